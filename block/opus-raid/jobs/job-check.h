/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: check and repair
 */
#ifndef BLOCK_OPUS_RAID_JOBS_JOB_CHECK_H
#define BLOCK_OPUS_RAID_JOBS_JOB_CHECK_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_check_start: start a check of all of the array
 * @job_id: NULL: the default one
 * @repair: make right what is found to be wrong
 * @speed:  bytes per second; 0: no limit
 * @flags:  see opus_job_flags()
 *
 * Main loop. Returns false, with @errp set, when it can't be started.
 */
bool opus_check_start(OpusRaid *s, const char *job_id, bool repair,
                      uint64_t speed, int flags, Error **errp);

#endif /* BLOCK_OPUS_RAID_JOBS_JOB_CHECK_H */
