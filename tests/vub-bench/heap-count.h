/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Heap-count: how often another process has asked its heap for memory
 */
#ifndef VUB_BENCH_HEAP_COUNT_H
#define VUB_BENCH_HEAP_COUNT_H

#include <stdint.h>

/* The environment variable that tells vub-bench-heap.so its counter's file. */
#define HEAP_COUNT_VARIABLE "VUB_BENCH_HEAP_COUNTER"

typedef struct HeapCount {
    char *path;
    uint64_t *calls;            /* NULL when closed */
} HeapCount;

/*
 * Make a counter in @directory for processes that are started from now on. It
 * stays 0 in those that do not load the library. Aborts if there is no memory.
 */
void heap_count_open(HeapCount *heap, const char *directory);
void heap_count_close(HeapCount *heap);

/* Calls of malloc() and its kin since the process has started. */
uint64_t heap_count_read(const HeapCount *heap);

#endif /* VUB_BENCH_HEAP_COUNT_H */
