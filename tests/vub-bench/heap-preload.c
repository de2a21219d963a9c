/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heap-preload: a library that counts a program's calls of malloc() and its kin
 *
 * Owns: malloc() and its kin in the program that loads it first (LD_PRELOAD).
 * They count and leave the work to the C library, whose heap it remains; so
 * free() needs nothing. The counter is in the file that the environment names,
 * where another process reads it while the program runs.
 * Must not know: the program; nothing here may allocate.
 * Threads: any.
 */

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "heap-count.h"

static uint64_t until_opened;
static uint64_t *calls = &until_opened;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t nr, size_t bytes);
void *__libc_realloc(void *ptr, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

static void count(void)
{
    __atomic_fetch_add(calls, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t bytes)
{
    count();
    return __libc_malloc(bytes);
}

void *calloc(size_t nr, size_t bytes)
{
    count();
    return __libc_calloc(nr, bytes);
}

void *realloc(void *ptr, size_t bytes)
{
    count();
    return __libc_realloc(ptr, bytes);
}

void *memalign(size_t align, size_t bytes)
{
    count();
    return __libc_memalign(align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
    count();
    return __libc_memalign(align, bytes);
}

int posix_memalign(void **ptr, size_t align, size_t bytes)
{
    void *mem;

    count();
    mem = __libc_memalign(align, bytes);
    if (mem) {
        *ptr = mem;
    }
    return mem ? 0 : ENOMEM;
}

static void __attribute__((constructor)) open_counter(void)
{
    const char *path = getenv(HEAP_COUNT_VARIABLE);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *mem;

    if (fd >= 0) {
        mem = mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                   0);
        close(fd);
        if (mem != MAP_FAILED) {
            calls = mem;
        }
    }
}
