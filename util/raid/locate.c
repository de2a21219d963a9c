/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Locate: which column of a RAID6 stripe is wrong
 *
 * Owns: what the differences in P and Q say about an error.
 * Must not know: members, stripes, what is done about it.
 * Threads: any; pure functions.
 *
 * This is for blocks that are wrong, so it is made to be read, not fast.
 */

#include "locate.h"

/* 2^z * x in GF(2^8) by the polynomial 0x11d. */
static uint8_t multiply(uint8_t x, unsigned z)
{
    while (z--) {
        x = (x << 1) ^ (x & 0x80 ? 0x1d : 0);
    }
    return x;
}

static unsigned exponent(const uint8_t *exps, unsigned column)
{
    return exps ? exps[column] : column;
}

/* The column that one byte speaks for; @dp and @dq are not both 0. */
static int locate_byte(unsigned nr_data, const uint8_t *exps, uint8_t dp,
                       uint8_t dq)
{
    if (!dq) {
        return nr_data;
    }
    if (!dp) {
        return nr_data + 1;
    }
    for (unsigned z = 0; z < nr_data; z++) {
        if (multiply(dp, exponent(exps, z)) == dq) {
            return z;
        }
    }
    return RAID_LOCATE_MANY;
}

static bool byte_agrees(unsigned nr_data, const uint8_t *exps, int column,
                        uint8_t dp, uint8_t dq)
{
    if (column == (int)nr_data) {
        return !dq;
    }
    if (column == (int)nr_data + 1) {
        return !dp;
    }
    return multiply(dp, exponent(exps, column)) == dq;
}

int raid_locate(unsigned nr_data, const uint8_t *exps, size_t bytes,
                const uint8_t *p, const uint8_t *q, const uint8_t *want_p,
                const uint8_t *want_q)
{
    int column = RAID_LOCATE_CLEAN;

    for (size_t i = 0; i < bytes; i++) {
        uint8_t dp = p[i] ^ want_p[i];
        uint8_t dq = q[i] ^ want_q[i];

        if (!dp && !dq) {
            continue;
        }
        if (column == RAID_LOCATE_CLEAN) {
            column = locate_byte(nr_data, exps, dp, dq);
        }
        if (column == RAID_LOCATE_MANY ||
            !byte_agrees(nr_data, exps, column, dp, dq)) {
            return RAID_LOCATE_MANY;
        }
    }
    return column;
}

void raid_locate_repair(size_t bytes, uint8_t *data, const uint8_t *p,
                        const uint8_t *want_p)
{
    for (size_t i = 0; i < bytes; i++) {
        data[i] ^= p[i] ^ want_p[i];
    }
}
