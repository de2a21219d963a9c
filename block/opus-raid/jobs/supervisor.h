/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Supervisor: starts the jobs that an array needs, and its log
 */
#ifndef BLOCK_OPUS_RAID_JOBS_SUPERVISOR_H
#define BLOCK_OPUS_RAID_JOBS_SUPERVISOR_H

#include "block/opus-raid/array/opus-raid.h"

/*
 * From opus_supervisor_begin() on, a rebuild or a resync is started whenever
 * there is something to do, if the array belongs to the monitor: programs that
 * end when their work is done could not wait for it. One that was cancelled or
 * failed is started after opus_array_changed(), or when the array is opened
 * again. So is a log, whoever owns the array, as soon as it is of use. Main
 * loop.
 */
void opus_supervisor_begin(OpusRaid *s);
void opus_supervisor_end(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_JOBS_SUPERVISOR_H */
