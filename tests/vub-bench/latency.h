/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Latency: how often requests took how long
 *
 * Steps of less than 1 %, up to 2 minutes. One writer at a time, no locking.
 */
#ifndef VUB_BENCH_LATENCY_H
#define VUB_BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_STEP_BITS   7   /* of a power of two; 128 steps */
#define LATENCY_MAX_BITS    37
#define LATENCY_BUCKETS     ((LATENCY_MAX_BITS - LATENCY_STEP_BITS + 1) << \
                             LATENCY_STEP_BITS)

typedef struct Latency {
    uint64_t total;
    uint32_t counts[LATENCY_BUCKETS];
} Latency;

void latency_add(Latency *latency, uint64_t ns);

/* Add all of @from to @to. */
void latency_merge(Latency *to, const Latency *from);

/* The time that @share (0 .. 1) of all took at most, in ns; 0 without any. */
double latency_quantile(const Latency *latency, double share);

#endif /* VUB_BENCH_LATENCY_H */
