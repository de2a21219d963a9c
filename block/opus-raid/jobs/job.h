/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: what the block jobs of an array have in common
 */
#ifndef BLOCK_OPUS_RAID_JOBS_JOB_H
#define BLOCK_OPUS_RAID_JOBS_JOB_H

#include "block/blockjob.h"
#include "block/opus-raid/array/opus-raid.h"
#include "block/opus-raid/jobs/pace.h"

typedef struct OpusJob {
    BlockJob common;
    OpusRaid *s;
    OpusPace pace;
} OpusJob;

static inline OpusJob *opus_job(Job *job)
{
    return container_of(job, OpusJob, common.job);
}

/**
 * opus_job_create: make a block job of an array
 * @driver: its instance starts with an OpusJob
 * @id:     NULL: opus_job_default_id()
 * @speed:  bytes per second; 0: no limit
 * @flags:  see opus_job_flags()
 *
 * The job goes on beside anything but the end of the array. Main loop. Returns
 * NULL with @errp set, or the job, which is yet to be started.
 */
OpusJob *opus_job_create(OpusRaid *s, const BlockJobDriver *driver,
                         const char *id, uint64_t speed, int flags,
                         Error **errp);

/*
 * From the arguments of a command. Unless it says otherwise a job ends, and
 * goes, by itself: JOB_DEFAULT.
 */
int opus_job_flags(bool has_auto_finalize, bool auto_finalize,
                   bool has_auto_dismiss, bool auto_dismiss);

/* "opus-raid-resync-r0", for a job of node r0; the caller frees it. */
char *opus_job_default_id(const OpusRaid *s, JobType type);

/**
 * opus_job_free_id: the same, or with a number behind it if that is taken
 *
 * Returns NULL while the job that has it is one of that type which has just
 * ended: it goes by itself. The caller frees it. Main loop.
 */
char *opus_job_free_id(const OpusRaid *s, JobType type);

/* One step; sets @bytes to the work that was, 0 when nothing is left. */
typedef int coroutine_fn OpusJobStep(OpusJob *job, uint64_t *bytes);

/**
 * opus_job_run: make steps, until one fails or has nothing left to do
 * @done:  how far it is, bytes; what need not be done counts, too
 * @total: all of it
 *
 * Each is made under the graph lock. Between them the job keeps its pace, may
 * be paused, and ends when it is cancelled: job_is_cancelled() is true then.
 * While the array is drained no step is under way. Returns 0, or the error of
 * a step.
 */
int coroutine_fn opus_job_run(OpusJob *job, OpusJobStep *step,
                              const uint64_t *done, uint64_t total);

/**
 * opus_job_let_go: end a job's hold of the array
 *
 * The last thing to do when the job is cleaned up: the array may be gone then.
 */
void opus_job_let_go(OpusJob *job);

/* Change the speed of all jobs of the array that are running. Main loop. */
void opus_job_set_speed(OpusRaid *s, uint64_t speed);

/* May the node become read-only, or be given away? If not: @errp is set. */
bool opus_job_none_running(const OpusRaid *s, Error **errp);

#endif /* BLOCK_OPUS_RAID_JOBS_JOB_H */
