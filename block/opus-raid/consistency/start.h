/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start: from an array that is assembled to one that may be written, and back
 *
 * Those to be run by opus_control_run(): with no request in flight.
 */
#ifndef BLOCK_OPUS_RAID_CONSISTENCY_START_H
#define BLOCK_OPUS_RAID_CONSISTENCY_START_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_start_co: an OpusControlFn; make the array ready to be written
 *
 * It was just assembled for that. Replays its log, brings superblocks up to
 * date, and starts the log. After an error, which says why, the array must not
 * be written: not everything was replayed.
 */
int coroutine_fn GRAPH_RDLOCK opus_start_co(OpusRaid *s, void *opaque,
                                            Error **errp);

/* Is there a log that is off, though redundancy is right? Main loop. */
bool opus_log_is_due(const OpusRaid *s);

/**
 * opus_start_log: log again, if that is due
 *
 * Main loop; requests wait meanwhile. Returns 0 or a negative errno.
 */
int opus_start_log(OpusRaid *s, Error **errp);

/**
 * opus_settle_co: an OpusControlFn; leave a clean array with an empty bitmap
 *
 * Nothing is going to be written for now. Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_settle_co(OpusRaid *s, void *opaque,
                                             Error **errp);

#endif /* BLOCK_OPUS_RAID_CONSISTENCY_START_H */
