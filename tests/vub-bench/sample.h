/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sample: one run of one daemon under one load
 */
#ifndef VUB_BENCH_SAMPLE_H
#define VUB_BENCH_SAMPLE_H

#include <glib.h>
#include <sched.h>
#include <stdbool.h>
#include "client.h"
#include "volume.h"

typedef enum SampleCount {
    COUNT_NOTHING,
    COUNT_SYSCALLS,
    COUNT_ALLOCATIONS,          /* slows the server a little */
} SampleCount;

typedef struct SampleSpec {
    VolumeKind volume;
    unsigned nr_iothreads;      /* more than one: with iothread-vq-mapping */
    bool iothreads_poll;        /* for long; else as QEMU has it */
    ClientSpec client;          /* its queues are the export's, too */
    SampleCount count;
} SampleSpec;

typedef struct SampleOptions {
    double seconds;
    double settle_seconds;      /* under load, before the seconds that count */
    int64_t poll_max_ns;        /* of iothreads; -1: QEMU's default */
    cpu_set_t server_cpus;
    cpu_set_t client_cpus;
    VolumePlaces places;
    const char *directory;      /* for sockets and such; empty */
    const char *heap_library;   /* counts allocations */
} SampleOptions;

typedef struct Sample {
    double requests_per_second;
    double cpu_seconds;         /* the server's, of one request */
    double kernel_share;        /* of the server's CPU time, 0 .. 1; coarse */
    double median_ns;           /* latency; 0 unless timed */
    double p99_ns;
    double counted;             /* system calls or allocations, a request */
} Sample;

/*
 * Start @program, put the load on it, measure, stop it. False and @errp when
 * that is not possible. One thread at a time.
 */
bool sample_take(const char *program, const SampleSpec *spec,
                 const SampleOptions *options, Sample *sample, GError **errp);

#endif /* VUB_BENCH_SAMPLE_H */
