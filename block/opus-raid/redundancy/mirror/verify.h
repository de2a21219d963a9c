/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify copies: which copy of a chunk is believed
 *
 * See lay_out and verify in ops.h.
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_VERIFY_H
#define BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_VERIFY_H

#include "block/opus-raid/array/opus-raid.h"

struct OpusVerifyPiece;

void opus_mirror_lay_out(struct OpusVerifyPiece *p, uint64_t chunk,
                         uint32_t lo);
int coroutine_fn GRAPH_RDLOCK opus_mirror_verify(struct OpusVerifyPiece *p);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_MIRROR_VERIFY_H */
