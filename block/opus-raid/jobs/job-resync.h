/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: resync
 */
#ifndef BLOCK_OPUS_RAID_JOBS_JOB_RESYNC_H
#define BLOCK_OPUS_RAID_JOBS_JOB_RESYNC_H

#include "block/opus-raid/array/opus-raid.h"

/* Is there one to start? Main loop. */
bool opus_resync_is_wanted(const OpusRaid *s);

/**
 * opus_resync_start: start a resync, which goes on where the last one ended
 *
 * Main loop. Returns false, with @errp set, when it can't be started.
 */
bool opus_resync_start(OpusRaid *s, const char *job_id, Error **errp);

#endif /* BLOCK_OPUS_RAID_JOBS_JOB_RESYNC_H */
