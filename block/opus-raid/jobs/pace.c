/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pace: how fast a job goes, and when it gives way to the guest
 *
 * Owns: the meaning of the lowest and the highest speed.
 * Must not know: what the job does.
 * Threads: the job's coroutine.
 *
 * As with md's sync_speed_min and sync_speed_max: without other load, a job
 * is as fast as the members are, up to the highest speed; while the guest has
 * requests it is no faster than the lowest. Whether it has is told by numbers
 * that are kept anyway: the block layer's requests in flight, and the array's
 * statistics.
 */

#include "qemu/osdep.h"
#include "block/block_int.h"
#include "block/blockjob_int.h"
#include "qemu/units.h"
#include "block/opus-raid/jobs/pace.h"

/* A guest counts as busy for so long after its last request. */
#define BUSY_NS         (100 * SCALE_MS)

/* Time from one look to the next. */
#define LOOK_NS         (20 * SCALE_MS)

/* A step lasts about as long; then the job may be paused or cancelled. */
#define STEP_NS         (100 * SCALE_MS)

/* Steps with no limit: 64 MiB in 100 ms is faster than most members. */
#define STEP_BYTES      (64 * MiB)

static uint64_t guest_requests(OpusRaid *s)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < OPUS_COUNT__MAX; i++) {
        sum += opus_stats_sum(&s->stats, i);
    }
    return sum;
}

void opus_pace_init(OpusPace *pace, OpusRaid *s, BlockJob *job)
{
    *pace = (OpusPace) {
        .s = s, .job = job, .seen_requests = guest_requests(s),
    };
}

bool opus_pace_guest_is_busy(OpusPace *pace)
{
    uint64_t requests = guest_requests(pace->s);
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    if (requests != pace->seen_requests ||
        qatomic_read(&pace->s->bs->in_flight)) {
        pace->seen_requests = requests;
        pace->seen_ns = now;
        pace->busy = true;
    } else if (now - pace->seen_ns >= BUSY_NS) {
        pace->busy = false;
    }
    return pace->busy;
}

static uint64_t share_of(uint64_t bytes_per_second, int64_t ns)
{
    return bytes_per_second / (NANOSECONDS_PER_SECOND / ns);
}

static bool guest_is_quiet(void *opaque)
{
    return !opus_pace_guest_is_busy(opaque);
}

OpusStepLimit opus_pace_limit(OpusPace *pace)
{
    uint64_t max = qatomic_read(&pace->job->speed);
    uint64_t budget = max ? share_of(max, STEP_NS) : STEP_BYTES;

    if (opus_pace_guest_is_busy(pace)) {
        uint64_t min = qatomic_read(&pace->s->options.rebuild_speed_min);

        budget = MIN(budget, share_of(min, STEP_NS));
    }
    return (OpusStepLimit) {
        .bytes = MAX(budget, 1), .go_on = guest_is_quiet, .opaque = pace,
    };
}

/* Until it is time by the lowest speed, or the guest is no longer busy. */
static void coroutine_fn wait_for_guest(OpusPace *pace)
{
    for (;;) {
        int64_t left = pace->next_ns - qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

        if (left <= 0 || job_is_cancelled(&pace->job->job) ||
            !opus_pace_guest_is_busy(pace)) {
            return;
        }
        job_sleep_ns(&pace->job->job, MIN(left, LOOK_NS));
    }
}

void coroutine_fn opus_pace_wait(OpusPace *pace, uint64_t bytes)
{
    uint64_t min = qatomic_read(&pace->s->options.rebuild_speed_min);
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_REALTIME);

    block_job_ratelimit_processed_bytes(pace->job, bytes);
    /* What was done before the guest became busy is not held against it. */
    pace->next_ns = MAX(pace->next_ns, now);
    if (bytes && opus_pace_guest_is_busy(pace)) {
        bytes = MIN(bytes, MAX(share_of(min, STEP_NS),
                               pace->s->geom.chunk_bytes));
        pace->next_ns += bytes * NANOSECONDS_PER_SECOND / MAX(min, 1);
        wait_for_guest(pace);
    }
    block_job_ratelimit_sleep(pace->job);
}
