/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Alloc-count: how often a thread has asked the heap for memory
 *
 * Owns: malloc() and its kin, for the whole program and all its libraries: a
 * program's own definition goes before the C library's. They count, and leave
 * the work to the C library, whose heap it remains; so free() needs nothing.
 * A sanitizer has definitions of its own; then nothing is counted.
 * Must not know: QEMU; nothing here may allocate.
 * Threads: any.
 */

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include "alloc-count.h"

#ifndef OPUS_HEAP_IS_TAKEN

static __thread uint64_t calls;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t nr, size_t bytes);
void *__libc_realloc(void *ptr, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);

void *malloc(size_t bytes)
{
    calls++;
    return __libc_malloc(bytes);
}

void *calloc(size_t nr, size_t bytes)
{
    calls++;
    return __libc_calloc(nr, bytes);
}

void *realloc(void *ptr, size_t bytes)
{
    calls++;
    return __libc_realloc(ptr, bytes);
}

void *memalign(size_t align, size_t bytes)
{
    calls++;
    return __libc_memalign(align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes)
{
    calls++;
    return __libc_memalign(align, bytes);
}

int posix_memalign(void **ptr, size_t align, size_t bytes)
{
    void *mem;

    calls++;
    mem = __libc_memalign(align, bytes);
    if (mem) {
        *ptr = mem;
    }
    return mem ? 0 : ENOMEM;
}

bool alloc_count_works(void)
{
    return true;
}

uint64_t alloc_count(void)
{
    return calls;
}

#else

bool alloc_count_works(void)
{
    return false;
}

uint64_t alloc_count(void)
{
    return 0;
}

#endif
