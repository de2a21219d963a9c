/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parallel: run the parts of one request at the same time
 */
#ifndef BLOCK_OPUS_RAID_BASE_PARALLEL_H
#define BLOCK_OPUS_RAID_BASE_PARALLEL_H

#include "qemu/coroutine.h"

typedef void coroutine_fn OpusParallelFn(void *opaque, unsigned index);

/**
 * opus_parallel: call @fn(@opaque, i) for each i from 0 to @nr - 1
 * @max: how many may run at the same time, at least 1
 *
 * Returns when all are done. Each call runs in a coroutine of the caller's
 * AioContext, so the calls need no locks among themselves. They are started
 * in the order of their index; what they submit before they first yield is
 * submitted together.
 *
 * The caller's graph lock covers all calls, for it waits for them.
 */
void coroutine_fn opus_parallel(OpusParallelFn *fn, void *opaque,
                                unsigned nr, unsigned max);

#endif /* BLOCK_OPUS_RAID_BASE_PARALLEL_H */
