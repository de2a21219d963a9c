/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Start: from an array that is assembled to one that may be written, and back
 *
 * All functions: main loop, or its coroutine, with no request in flight.
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

/**
 * opus_start_logs_co: an OpusControlFn; log again, now that redundancy is right
 *
 * Does nothing where there is no log, or it is in force, or redundancy is not
 * known to be right.
 */
int coroutine_fn GRAPH_RDLOCK opus_start_logs_co(OpusRaid *s, void *opaque,
                                                 Error **errp);

/**
 * opus_settle_co: an OpusControlFn; leave a clean array with an empty bitmap
 *
 * Nothing is going to be written for now. Returns 0 or a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_settle_co(OpusRaid *s, void *opaque,
                                             Error **errp);

#endif /* BLOCK_OPUS_RAID_CONSISTENCY_START_H */
