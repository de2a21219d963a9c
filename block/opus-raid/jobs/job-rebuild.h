/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: rebuild
 */
#ifndef BLOCK_OPUS_RAID_JOBS_JOB_REBUILD_H
#define BLOCK_OPUS_RAID_JOBS_JOB_REBUILD_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_rebuild_start: start a rebuild, if there is something to rebuild
 * @job_id: NULL: the first of the default ones that is free
 * @flags:  see opus_job_flags()
 *
 * Goes on with a member that is partly rebuilt, or else takes a spare for a
 * slot without a member in use; slots that a job is at are left alone. Main
 * loop; waits for all requests. Returns
 * false, with @errp set, when there is nothing to do, or it can't be done.
 */
bool opus_rebuild_start(OpusRaid *s, const char *job_id, int flags,
                        Error **errp);

/**
 * opus_replace_start: the same, with a spare for a slot that has a member
 * @m:    the spare
 * @slot: opus_replace_is_possible() of its member
 *
 * The member stays in use until the spare holds all that it does.
 */
bool opus_replace_start(OpusRaid *s, OpusMember *m, unsigned slot,
                        const char *job_id, int flags, Error **errp);

/* May this member be replaced now? If not, @errp says why. Main loop. */
bool opus_replace_is_possible(OpusRaid *s, const OpusMember *m, Error **errp);

/* A spare that is large enough, or NULL. */
OpusMember *opus_find_spare(OpusRaid *s);

/* Is there one to start that could be? Main loop. */
bool opus_rebuild_is_wanted(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_JOBS_JOB_REBUILD_H */
