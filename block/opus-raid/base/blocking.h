/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control: I/O of an array that the main loop waits for
 */
#ifndef BLOCK_OPUS_RAID_BASE_BLOCKING_H
#define BLOCK_OPUS_RAID_BASE_BLOCKING_H

#include "qemu/coroutine.h"

typedef struct OpusRaid OpusRaid;

typedef int coroutine_fn OpusControlFn(OpusRaid *s, void *opaque,
                                       Error **errp);

/**
 * opus_control_run: run @fn in a coroutine, with the graph locked, to its end
 *
 * Main loop only. Returns what @fn does.
 */
int opus_control_run(OpusRaid *s, OpusControlFn *fn, void *opaque,
                     Error **errp);

/* The same without the graph lock, for what takes it itself. */
int opus_control_run_unlocked(OpusRaid *s, OpusControlFn *fn, void *opaque,
                              Error **errp);

#endif /* BLOCK_OPUS_RAID_BASE_BLOCKING_H */
