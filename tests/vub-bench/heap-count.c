/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heap-count: how often another process has asked its heap for memory
 *
 * Owns: the file with the counter.
 * Must not know: which process.
 * Threads: one.
 */

#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "heap-count.h"

void heap_count_open(HeapCount *heap, const char *directory)
{
    int fd;
    void *mem = MAP_FAILED;

    heap->path = g_build_filename(directory, "heap-counter", NULL);
    fd = open(heap->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, sizeof(*heap->calls)) == 0) {
        mem = mmap(NULL, sizeof(*heap->calls), PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd, 0);
    }
    if (mem == MAP_FAILED) {
        g_error("%s: no counter", heap->path);
    }
    close(fd);
    heap->calls = mem;
    g_setenv(HEAP_COUNT_VARIABLE, heap->path, TRUE);
}

void heap_count_close(HeapCount *heap)
{
    if (heap->calls) {
        munmap(heap->calls, sizeof(*heap->calls));
        unlink(heap->path);
        g_unsetenv(HEAP_COUNT_VARIABLE);
        g_clear_pointer(&heap->path, g_free);
        heap->calls = NULL;
    }
}

uint64_t heap_count_read(const HeapCount *heap)
{
    return __atomic_load_n(heap->calls, __ATOMIC_RELAXED);
}
