/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load: keep nodes busy for a time, and count
 *
 * A load has threads, each an AioContext of its own, and in each of them as
 * many coroutines as requests are to be in flight. A coroutine sends one
 * request, and when that is done, the next. The nodes' home is the first
 * thread, as with a device that has several iothreads.
 *
 * A node that never waits keeps the first coroutine of each thread busy, and
 * the others never come to run: then there is one request in flight.
 *
 * All functions: main loop only.
 */
#ifndef OPUS_BENCH_LOAD_H
#define OPUS_BENCH_LOAD_H

#include "system/block-backend.h"

#define LOAD_MAX_THREADS    16
#define LOAD_MAX_NODES      64

typedef enum LoadPattern {
    LOAD_RANDOM_READ,
    LOAD_RANDOM_WRITE,
    LOAD_SEQUENTIAL_WRITE,
} LoadPattern;

typedef struct LoadSpec {
    LoadPattern pattern;
    uint32_t bytes;             /* of one request; offsets are multiples */
    unsigned threads;
    unsigned depth;             /* requests in flight, all threads together */
    unsigned buffers;           /* that a coroutine uses in turn; 0 means 1 */
    double settle_seconds;      /* before counting starts */
    double seconds;
} LoadSpec;

/* Runs in place of a request; @buf holds LoadSpec.bytes. */
typedef void LoadStandIn(void *opaque, const void *buf);

/*
 * What is kept busy. Each coroutine uses all nodes in turn; or, when they are
 * slow and each is to be kept busy all the time, only one.
 */
typedef struct LoadTarget {
    BlockBackend *blks[LOAD_MAX_NODES];
    unsigned nr_blks;
    bool one_each;
    uint64_t start;             /* the part of each node that is used */
    uint64_t bytes;
    LoadStandIn *stand_in;      /* or NULL; then there are no nodes */
    void *opaque;
} LoadTarget;

typedef struct LoadResult {
    uint64_t requests;
    double seconds;
    double cpu_seconds;         /* of the whole process, kernel included */
} LoadResult;

/* Start so many threads; to be called once, before all else. */
void load_start_threads(unsigned nr);
void load_stop_threads(void);
unsigned load_nr_threads(void);

/* Where nodes are to live while a load runs. */
AioContext *load_home(void);

/**
 * load_run: run a load
 *
 * Returns 0, or the negative errno of the first request that failed.
 */
int load_run(const LoadSpec *spec, const LoadTarget *target,
             LoadResult *result);

#endif /* OPUS_BENCH_LOAD_H */
