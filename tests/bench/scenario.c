/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenario: the table of what raid-bench measures
 *
 * Owns: the scenarios and their models. No code that runs anything.
 *
 * Models. An array has n members; throttled ones do r requests a second each,
 * and what is not throttled is free.
 *
 * - Reads, healthy: each takes one request of one member, so n r.
 * - Small writes of RAID5 write data and P: n r / 2 where r counts writes.
 *   RAID6 writes data, P and Q: n r / 3.
 * - Full stripes: of n chunks written, n - 1 (RAID6: n - 2) are data.
 * - Reads, RAID5 without one member: 1 in n needs all n - 1 others, the rest
 *   need one: 2 (n - 1) / n requests for each read, and n - 1 members to serve
 *   them: n r / 2, half of healthy. RAID6 without one: 1 in n needs n - 2
 *   others, so (2 n - 3) / n each: (n - 1) n / (2 n - 3) r, at best: when the
 *   one that is left out changes so that all are used alike.
 * - Parity: the CPU time of a full stripe, less that of n chunks written to the
 *   members by themselves, is compared with one copy and ISA-L.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "scenario.h"

#define CHUNK   (64 * KiB)

#define NULL_RIG(lvl, nr)                                               \
    { .backend = RIG_NULL, .level = OPUS_RAID_LEVEL_##lvl,              \
      .nr_members = nr, .chunk_bytes = CHUNK, .member_bytes = 4 * GiB }

#define THROTTLED_RIG(lvl, nr, what, rate)                              \
    { .backend = RIG_NULL, .level = OPUS_RAID_LEVEL_##lvl,              \
      .nr_members = nr, .chunk_bytes = CHUNK, .member_bytes = 4 * GiB,  \
      .limit = what, .limit_per_second = rate }

#define LOGGED_RIG(lvl, nr, log, what, rate)                            \
    { .backend = RIG_NULL, .level = OPUS_RAID_LEVEL_##lvl,              \
      .policy = OPUS_RAID_CONSISTENCY_POLICY_##log,                     \
      .nr_members = nr, .chunk_bytes = CHUNK, .member_bytes = 4 * GiB,  \
      .limit = what, .limit_per_second = rate }

#define LOGGED_RAM_RIG(log)                                             \
    { .backend = RIG_RAM, .level = OPUS_RAID_LEVEL_RAID5,               \
      .policy = OPUS_RAID_CONSISTENCY_POLICY_##log,                     \
      .nr_members = 5, .chunk_bytes = CHUNK, .member_bytes = 128 * MiB, \
      .latency_ns = SCALE_MS }

#define RAM_RIG(latency)                                                \
    { .backend = RIG_RAM, .level = OPUS_RAID_LEVEL_RAID5,               \
      .nr_members = 5, .chunk_bytes = CHUNK, .member_bytes = 128 * MiB, \
      .latency_ns = latency }

#define FILE_RIG                                                        \
    { .backend = RIG_FILE, .level = OPUS_RAID_LEVEL_RAID5,              \
      .nr_members = 5, .chunk_bytes = CHUNK, .member_bytes = 128 * MiB }

#define RANDOM(what, nr_threads, in_flight)                             \
    { .pattern = LOAD_RANDOM_##what, .bytes = 4 * KiB,                  \
      .threads = nr_threads, .depth = in_flight }

#define STRIPES(nr_data, nr_threads, in_flight, nr_buffers)             \
    { .pattern = LOAD_SEQUENTIAL_WRITE, .bytes = (nr_data) * CHUNK,     \
      .threads = nr_threads, .depth = in_flight, .buffers = nr_buffers }

const Scenario scenarios[] = {
    /* What the driver itself costs: members that cost nothing. */
    {
        .name = "null-read",
        .rig = NULL_RIG(RAID5, 5), .load = RANDOM(READ, 1, 32),
        .reference = REF_RAW, .metric = METRIC_CPU, .target = 1.10,
    }, {
        .name = "null-read-threads",
        .rig = NULL_RIG(RAID5, 5), .load = RANDOM(READ, 2, 32),
        .reference = REF_RAW, .metric = METRIC_CPU, .target = 1.10,
    }, {
        .name = "null-read-degraded",
        .rig = NULL_RIG(RAID5, 5), .load = RANDOM(READ, 1, 32),
        .nr_missing = 1,
        .reference = REF_HEALTHY, .metric = METRIC_CPU_RATE, .target = 0.50,
    }, {
        .name = "null-read-degraded-raid6",
        .rig = NULL_RIG(RAID6, 6), .load = RANDOM(READ, 1, 32),
        .nr_missing = 1,
        .reference = REF_HEALTHY, .metric = METRIC_CPU_RATE, .target = 0.50,
    }, {
        .name = "null-write",
        .rig = NULL_RIG(RAID5, 5), .load = RANDOM(WRITE, 1, 32),
        .reference = REF_MEMBERS, .metric = METRIC_CPU, .share = 4,
        .model = "2 reads, 2 writes",
    }, {
        .name = "null-write-threads",
        .rig = NULL_RIG(RAID5, 5), .load = RANDOM(WRITE, 2, 32),
        .reference = REF_MEMBERS, .metric = METRIC_CPU, .share = 4,
        .model = "2 reads, 2 writes",
    }, {
        .name = "null-write-raid6",
        .rig = NULL_RIG(RAID6, 6), .load = RANDOM(WRITE, 1, 32),
        .reference = REF_MEMBERS, .metric = METRIC_CPU, .share = 6,
        .model = "3 reads, 3 writes",
    }, {
        .name = "null-stripe",
        .rig = NULL_RIG(RAID5, 5), .load = STRIPES(4, 1, 8, 8),
        .reference = REF_YARDSTICK, .metric = METRIC_CPU, .target = 1.15,
        .model = "without its members' writes",
    }, {
        .name = "null-stripe-raid6",
        .rig = NULL_RIG(RAID6, 6), .load = STRIPES(4, 1, 8, 8),
        .reference = REF_YARDSTICK, .metric = METRIC_CPU, .target = 1.15,
        .model = "without its members' writes",
    },

    /*
     * What of its members' speed an array gives: members of a fixed rate.
     * QEMU's throttle lets a member that was idle catch up for 100 ms, which
     * is noise at both ends of a run: these run longer.
     */
    {
        .name = "throttled-read",
        .rig = THROTTLED_RIG(RAID5, 5, "x-iops-total", 8000),
        .stretch = 2,
        .load = RANDOM(READ, 2, 128),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS, .target = 0.97,
    }, {
        .name = "throttled-read-raid6",
        .rig = THROTTLED_RIG(RAID6, 6, "x-iops-total", 8000),
        .stretch = 2,
        .load = RANDOM(READ, 2, 128),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS, .target = 0.97,
    }, {
        .name = "throttled-read-degraded",
        .rig = THROTTLED_RIG(RAID5, 5, "x-iops-total", 8000),
        .stretch = 2,
        .load = RANDOM(READ, 2, 128), .nr_missing = 1,
        .reference = REF_HEALTHY, .metric = METRIC_REQUESTS, .target = 0.50,
        .model = "n/2 of n: 0.500",
    }, {
        .name = "throttled-read-degraded-raid6",
        .rig = THROTTLED_RIG(RAID6, 6, "x-iops-total", 8000),
        .stretch = 2,
        .load = RANDOM(READ, 2, 128), .nr_missing = 1,
        .reference = REF_HEALTHY, .metric = METRIC_REQUESTS, .target = 0.50,
        .model = "(n-1)/(2n-3): 0.556",
    }, {
        .name = "throttled-write",
        .rig = THROTTLED_RIG(RAID5, 5, "x-iops-write", 8000),
        .stretch = 2,
        .load = RANDOM(WRITE, 2, 128),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS,
        .share = 1.0 / 2, .model = "writes/2, reads free", .target = 0.97,
    }, {
        .name = "throttled-write-raid6",
        .rig = THROTTLED_RIG(RAID6, 6, "x-iops-write", 8000),
        .stretch = 2,
        .load = RANDOM(WRITE, 2, 128),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS,
        .share = 1.0 / 3, .model = "writes/3, reads free", .target = 0.97,
    }, {
        .name = "throttled-stripe",
        .rig = THROTTLED_RIG(RAID5, 5, "x-bps-write", 100 * MiB),
        .stretch = 2,
        .load = STRIPES(4, 2, 32, 1), .ref_bytes = CHUNK,
        .reference = REF_MEMBERS, .metric = METRIC_BYTES,
        .share = 4.0 / 5, .model = "(n-1)/n", .target = 0.95,
    }, {
        .name = "throttled-stripe-raid6",
        .rig = THROTTLED_RIG(RAID6, 6, "x-bps-write", 100 * MiB),
        .stretch = 2,
        .load = STRIPES(4, 2, 32, 1), .ref_bytes = CHUNK,
        .reference = REF_MEMBERS, .metric = METRIC_BYTES,
        .share = 4.0 / 6, .model = "(n-2)/n", .target = 0.95,
    },

    /* What consistency policies cost. Flushes cost nothing on these members. */
    {
        .name = "policy-bitmap",
        .rig = LOGGED_RIG(RAID5, 5, BITMAP, "x-iops-write", 8000),
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS, .target = 0.95,
    }, {
        .name = "policy-bitmap-raid6",
        .rig = LOGGED_RIG(RAID6, 6, BITMAP, "x-iops-write", 8000),
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS, .target = 0.95,
    }, {
        /* Most writes of the run are the first ones to their bits. */
        .name = "policy-bitmap-fine",
        .rig = { .backend = RIG_NULL, .level = OPUS_RAID_LEVEL_RAID5,
                 .policy = OPUS_RAID_CONSISTENCY_POLICY_BITMAP,
                 .bitmap_chunk_bytes = 64 * KiB,
                 .nr_members = 5, .chunk_bytes = CHUNK,
                 .member_bytes = 4 * GiB,
                 .limit = "x-iops-write", .limit_per_second = 8000 },
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    }, {
        .name = "policy-ppl",
        .rig = LOGGED_RIG(RAID5, 5, PPL, "x-iops-write", 8000),
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS, .target = 0.70,
    }, {
        .name = "policy-journal",
        .rig = LOGGED_RIG(RAID5, 5, JOURNAL, "x-iops-write", 8000),
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    }, {
        .name = "policy-journal-raid6",
        .rig = LOGGED_RIG(RAID6, 6, JOURNAL, "x-iops-write", 8000),
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    }, {
        .name = "policy-bitmap-bytes",
        .rig = LOGGED_RIG(RAID5, 5, BITMAP, "x-bps-write", 20 * MiB),
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    }, {
        .name = "policy-ppl-bytes",
        .rig = LOGGED_RIG(RAID5, 5, PPL, "x-bps-write", 20 * MiB),
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    }, {
        .name = "policy-journal-bytes",
        .rig = LOGGED_RIG(RAID5, 5, JOURNAL, "x-bps-write", 20 * MiB),
        .stretch = 2, .load = RANDOM(WRITE, 2, 128),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    }, {
        .name = "policy-bitmap-latency",
        .rig = LOGGED_RAM_RIG(BITMAP),
        .load = RANDOM(WRITE, 2, 32),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    }, {
        .name = "policy-ppl-latency",
        .rig = LOGGED_RAM_RIG(PPL),
        .load = RANDOM(WRITE, 2, 32),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    }, {
        .name = "policy-journal-latency",
        .rig = LOGGED_RAM_RIG(JOURNAL),
        .load = RANDOM(WRITE, 2, 32),
        .reference = REF_RESYNC, .metric = METRIC_REQUESTS,
    },

    /* Members in memory. */
    {
        .name = "ram-read",
        .rig = RAM_RIG(0), .load = RANDOM(READ, 2, 32),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS,
    }, {
        .name = "ram-write",
        .rig = RAM_RIG(0), .load = RANDOM(WRITE, 2, 32),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS,
        .share = 1.0 / 4, .model = "2 reads, 2 writes",
    }, {
        .name = "ram-stripe",
        .rig = RAM_RIG(0), .load = STRIPES(4, 2, 32, 1), .ref_bytes = CHUNK,
        .reference = REF_MEMBERS, .metric = METRIC_BYTES,
        .share = 4.0 / 5, .model = "(n-1)/n",
    }, {
        .name = "ram-latency-read",
        .rig = RAM_RIG(100 * SCALE_US), .load = RANDOM(READ, 2, 32),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS,
    }, {
        .name = "ram-latency-write",
        .rig = RAM_RIG(100 * SCALE_US), .load = RANDOM(WRITE, 2, 32),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS,
        .share = 1.0 / 2, .model = "read, then write",
    },

    /* Files on a tmpfs, by io_uring. */
    {
        .name = "tmpfs-read",
        .rig = FILE_RIG, .load = RANDOM(READ, 2, 32),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS,
    }, {
        .name = "tmpfs-write",
        .rig = FILE_RIG, .load = RANDOM(WRITE, 2, 32),
        .reference = REF_MEMBERS, .metric = METRIC_REQUESTS,
        .share = 1.0 / 4, .model = "2 reads, 2 writes",
    }, {
        .name = "tmpfs-stripe",
        .rig = FILE_RIG, .load = STRIPES(4, 2, 32, 1), .ref_bytes = CHUNK,
        .reference = REF_MEMBERS, .metric = METRIC_BYTES,
        .share = 4.0 / 5, .model = "(n-1)/n",
    },
};

const unsigned nr_scenarios = ARRAY_SIZE(scenarios);
