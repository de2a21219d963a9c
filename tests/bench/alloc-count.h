/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Alloc-count: how often a thread has asked the heap for memory
 */
#ifndef OPUS_BENCH_ALLOC_COUNT_H
#define OPUS_BENCH_ALLOC_COUNT_H

#include <stdbool.h>
#include <stdint.h>

/* False where a sanitizer has the heap for itself. Any thread. */
bool alloc_count_works(void);

/* Calls of malloc() and its kin by the calling thread, since it started. */
uint64_t alloc_count(void);

#endif /* OPUS_BENCH_ALLOC_COUNT_H */
