/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenario: the table of what vub-bench measures
 *
 * Owns: the scenarios and their targets. No code that runs anything.
 *
 * All are random reads of 4 KiB. The first ones compare our export with the
 * stock one; the others compare ours with itself, the RAID too: its question is
 * what the array adds, not what the export does.
 *
 * Each queue has 32 requests in flight, one or many: what the scenarios with
 * many ask is what a request costs when its neighbours are other queues'.
 */

#include "scenario.h"

#define READS(nr, in_flight)                                            \
    .client = { .nr_queues = nr, .depth = in_flight, .bytes = 4096 }

#define POLLED_READS(nr, in_flight)                                     \
    .client = { .nr_queues = nr, .depth = in_flight, .bytes = 4096,     \
                .polling = true }

#define SIDE(who, what, threads, ...)                                   \
    { .program = PROGRAM_##who,                                         \
      .spec = { .volume = what, .nr_iothreads = threads,               \
                __VA_ARGS__ } }

/* The same for both, but the program. */
#define OURS_AND_STOCK(...)                                             \
    .a = SIDE(OURS, __VA_ARGS__), .b = SIDE(STOCK, __VA_ARGS__)

const Scenario scenarios[] = {
    {
        .name = "null-depth32",
        OURS_AND_STOCK(VOLUME_NULL, 1, READS(1, 32)),
        .metric = METRIC_CPU_RATE, .target = 2.00,
    }, {
        .name = "null-depth32-polling",
        OURS_AND_STOCK(VOLUME_NULL, 1, POLLED_READS(1, 32)),
        .metric = METRIC_CPU_RATE, .target = 2.00,
    }, {
        /* Both ends poll; the stock export can't, whatever it is told. */
        .name = "null-depth1-polling",
        OURS_AND_STOCK(VOLUME_NULL, 1, .iothreads_poll = true,
                       .client = { .nr_queues = 1, .depth = 1, .bytes = 4096,
                                   .polling = true, .timed = true }),
        .metric = METRIC_LATENCY, .target = 0.20,
    }, {
        .name = "tmpfs-depth32",
        OURS_AND_STOCK(VOLUME_TMPFS, 1, READS(1, 32)),
        .metric = METRIC_CPU_RATE, .target = 1.00,
    }, {
        .name = "direct-depth32",
        OURS_AND_STOCK(VOLUME_DIRECT, 1, READS(1, 32)),
        .metric = METRIC_CPU_RATE, .target = 1.00,
    }, {
        .name = "null-syscalls",
        OURS_AND_STOCK(VOLUME_NULL, 1, READS(1, 32), .count = COUNT_SYSCALLS),
        .metric = METRIC_COUNT, .target = 0.25,
    }, {
        .name = "null-allocations",
        OURS_AND_STOCK(VOLUME_NULL, 1, READS(1, 32),
                       .count = COUNT_ALLOCATIONS),
        .metric = METRIC_COUNT, .target = 0,
    },

    {
        .name = "null-2-threads",
        .a = SIDE(OURS, VOLUME_NULL, 2, READS(2, 32)),
        .b = SIDE(OURS, VOLUME_NULL, 1, READS(1, 32)),
        .metric = METRIC_CPU, .target = 1.10,
    }, {
        .name = "null-8-queues",
        .a = SIDE(OURS, VOLUME_NULL, 1, READS(8, 32)),
        .b = SIDE(OURS, VOLUME_NULL, 1, READS(1, 32)),
        .metric = METRIC_CPU, .target = 1.15,
    }, {
        /* The array's members have a layer that null-co alone has not. */
        .name = "raid5-depth32",
        .a = SIDE(OURS, VOLUME_RAID5, 1, READS(1, 32)),
        .b = SIDE(OURS, VOLUME_NULL, 1, READS(1, 32)),
        .metric = METRIC_CPU_RATE, .target = 0.75,
    }, {
        .name = "raid5-depth32-raw",
        .a = SIDE(OURS, VOLUME_RAID5, 1, READS(1, 32)),
        .b = SIDE(OURS, VOLUME_RAW, 1, READS(1, 32)),
        .metric = METRIC_CPU_RATE, .target = 0.75,
    },
};

const unsigned nr_scenarios = G_N_ELEMENTS(scenarios);
