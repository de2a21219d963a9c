/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locate: which column of a RAID6 stripe is wrong
 *
 * With P and Q there are two equations for each byte, so one column that is
 * wrong can be found without being told which (H. P. Anvin, "The mathematics
 * of RAID-6", section 4). An error e in the data column of coefficient z shows
 * up as e in P and as 2^z * e in Q; one in P or in Q shows up there alone.
 *
 * All functions are pure, may be called from any thread and do not allocate.
 */
#ifndef UTIL_RAID_LOCATE_H
#define UTIL_RAID_LOCATE_H

#include "raid-types.h"

#define RAID_LOCATE_CLEAN   (-1)    /* all columns fit together */
#define RAID_LOCATE_MANY    (-2)    /* more than one is wrong */

/**
 * raid_locate: find the column that is wrong
 * @nr_data:    2 .. 62
 * @exps:       of the data columns, see parity.h; or NULL
 * @p, @q:      as the members hold them
 * @want_p, @want_q: as they follow from the data columns
 *
 * Returns the coefficient of a data column, @nr_data for P, @nr_data + 1 for Q
 * or one of the above. Every byte must speak for the same column. Where two
 * columns are wrong, one byte alone speaks for a column that is neither of
 * them with a probability of @nr_data in 255, and all of n bytes for the same
 * one with a probability of 1 in 255 for each of the others: so blocks should
 * not be cut too small.
 */
int raid_locate(unsigned nr_data, const uint8_t *exps, size_t bytes,
                const uint8_t *p, const uint8_t *q, const uint8_t *want_p,
                const uint8_t *want_q);

/**
 * raid_locate_repair: make a data column right that raid_locate() found
 * @data: the column; P must be right
 */
void raid_locate_repair(size_t bytes, uint8_t *data, const uint8_t *p,
                        const uint8_t *want_p);

#endif /* UTIL_RAID_LOCATE_H */
