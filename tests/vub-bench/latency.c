/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Latency: how often requests took how long
 *
 * Owns: the shape of the buckets. Times below 256 ns have one each; above, each
 * power of two has 128.
 * Must not know: where times come from.
 * Threads: one at a time.
 */

#include <glib.h>
#include "latency.h"

#define STEPS   (1u << LATENCY_STEP_BITS)

static unsigned bucket_of(uint64_t ns)
{
    unsigned shift;

    if (ns < STEPS) {
        return ns;
    }
    ns = MIN(ns, (1ull << LATENCY_MAX_BITS) - 1);
    shift = 63 - __builtin_clzll(ns) - LATENCY_STEP_BITS;
    return (shift << LATENCY_STEP_BITS) + (ns >> shift);
}

/* The middle of a bucket. */
static double bucket_ns(unsigned bucket)
{
    unsigned shift;

    if (bucket < 2 * STEPS) {
        return bucket;
    }
    shift = (bucket >> LATENCY_STEP_BITS) - 1;
    bucket -= shift << LATENCY_STEP_BITS;
    return (bucket + 0.5) * (1ull << shift);
}

void latency_add(Latency *latency, uint64_t ns)
{
    latency->counts[bucket_of(ns)]++;
    latency->total++;
}

void latency_merge(Latency *to, const Latency *from)
{
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        to->counts[i] += from->counts[i];
    }
    to->total += from->total;
}

double latency_quantile(const Latency *latency, double share)
{
    uint64_t wanted = latency->total * share;
    uint64_t seen = 0;

    for (unsigned i = 0; i < LATENCY_BUCKETS && latency->total; i++) {
        seen += latency->counts[i];
        if (seen > wanted || seen == latency->total) {
            return bucket_ns(i);
        }
    }
    return 0;
}
