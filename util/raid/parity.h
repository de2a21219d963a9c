/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parity: P and Q of a stripe, as md computes them
 *
 * P is the XOR of the data. Q is the sum of 2^coef * data over GF(2^8) with
 * the polynomial 0x11d (H. P. Anvin, "The mathematics of RAID-6"; Linux
 * lib/raid6). A column is one member's bytes of a stripe; columns are given
 * in the order of their coefficient (raid_stripe_coef()), P at index nr_data,
 * Q at nr_data + 1. Where raid_stripe_exponents() gives other exponents than
 * these coefficients, they are passed as @exps; otherwise that is NULL.
 *
 * All functions are pure, may be called from any thread and do not allocate.
 * Every buffer is aligned to RAID_PARITY_ALIGN, every length a multiple of it.
 */
#ifndef UTIL_RAID_PARITY_H
#define UTIL_RAID_PARITY_H

#include "raid-types.h"

#define RAID_PARITY_ALIGN   64

/**
 * raid_parity_generate: compute P, and Q unless it is NULL, from all data
 * @nr_data: 1 .. 63; at least 2 with Q
 * @data:    nr_data columns, only read
 */
void raid_parity_generate(unsigned nr_data, const uint8_t *exps, size_t bytes,
                          void *const *data, void *p, void *q);

/**
 * raid_parity_update: replace one column's share of P and Q
 * @exp:   exponent of the column's coefficient
 * @old:   what the column held; becomes old ^ new
 * @p, @q: updated in place; each may be NULL
 */
void raid_parity_update(unsigned exp, size_t bytes, void *old,
                        const void *new_data, void *p, void *q);

/**
 * raid_parity_recover: compute lost columns from the others
 * @cols: nr_data + 2 pointers by coefficient, then P, then Q; those neither in
 *        @have nor in @want may be NULL
 * @have: columns that hold what the members hold
 * @want: columns to compute, none of them in @have; at most two
 *
 * Returns false, having written nothing, when @have does not determine @want.
 */
bool raid_parity_recover(unsigned nr_data, const uint8_t *exps, size_t bytes,
                         void *const *cols, RaidMask have, RaidMask want);

#endif /* UTIL_RAID_PARITY_H */
