/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Watch: starts the jobs that an array needs
 */
#ifndef BLOCK_OPUS_RAID_JOBS_SUPERVISOR_H
#define BLOCK_OPUS_RAID_JOBS_SUPERVISOR_H

#include "block/opus-raid/array/opus-raid.h"

/*
 * From opus_watch_begin() on, a rebuild or a resync is started whenever there
 * is something to do, if the array belongs to the monitor: programs that end
 * when their work is done could not wait for it. One that was cancelled or
 * failed is started when something has changed, or when the array is opened
 * again. Main loop.
 */
void opus_watch_begin(OpusRaid *s);
void opus_watch_end(OpusRaid *s);

/* Have another look. Any thread. */
void opus_watch_look(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_JOBS_SUPERVISOR_H */
