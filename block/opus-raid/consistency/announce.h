/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Intent: what must be durable before a write that touches redundancy begins
 */
#ifndef BLOCK_OPUS_RAID_CONSISTENCY_ANNOUNCE_H
#define BLOCK_OPUS_RAID_CONSISTENCY_ANNOUNCE_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_intent_begin: announce a write of @bytes at @array_off
 *
 * When it returns 0, the superblocks say durably that the array is dirty, and
 * the bitmap, if it has one, names the range (I1). Then opus_intent_end() is
 * needed. Levels without redundancy need neither.
 *
 * Returns 0, or -EIO when the array has failed.
 */
int coroutine_fn GRAPH_RDLOCK
opus_intent_begin(OpusRaid *s, uint64_t array_off, uint64_t bytes);

/* @ret: what the write will return */
void coroutine_fn
opus_intent_end(OpusRaid *s, uint64_t array_off, uint64_t bytes, int ret);

#endif /* BLOCK_OPUS_RAID_CONSISTENCY_ANNOUNCE_H */
