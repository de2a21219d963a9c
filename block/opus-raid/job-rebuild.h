/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Job: rebuild
 */
#ifndef BLOCK_OPUS_RAID_JOB_REBUILD_H
#define BLOCK_OPUS_RAID_JOB_REBUILD_H

#include "opus-raid.h"

/**
 * opus_rebuild_start: start a rebuild, if there is something to rebuild
 * @job_id: see opus_rebuild_default_id()
 *
 * Goes on with a member that is partly rebuilt, or else takes a spare for a
 * slot without a member in use. Main loop; waits for all requests. Returns
 * false, with @errp set, when there is nothing to do, or it can't be done.
 */
bool opus_rebuild_start(OpusRaid *s, const char *job_id, Error **errp);

/* "opus-raid-rebuild-" and the array's node name; the caller frees it. */
char *opus_rebuild_default_id(const OpusRaid *s);

/*
 * From opus_rebuild_watch() on, a rebuild is started whenever there is
 * something to rebuild, if the array belongs to the monitor: programs that end
 * when their work is done could not wait for it. Main loop.
 */
void opus_rebuild_watch(OpusRaid *s);
void opus_rebuild_unwatch(OpusRaid *s);

/* Have another look. Any thread. */
void opus_rebuild_look(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_JOB_REBUILD_H */
