/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Verify parity: which column of a stripe is believed
 *
 * See lay_out and verify in ops.h.
 */
#ifndef BLOCK_OPUS_RAID_REDUNDANCY_PARITY_VERIFY_H
#define BLOCK_OPUS_RAID_REDUNDANCY_PARITY_VERIFY_H

#include "block/opus-raid/array/opus-raid.h"

struct OpusVerifyPiece;

void opus_parity_lay_out(struct OpusVerifyPiece *p, uint64_t stripe,
                         uint32_t lo);
int coroutine_fn GRAPH_RDLOCK opus_parity_verify(struct OpusVerifyPiece *p);

#endif /* BLOCK_OPUS_RAID_REDUNDANCY_PARITY_VERIFY_H */
