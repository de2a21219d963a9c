/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Columns: the private buffers of one stripe request, and what is computed
 * in them
 *
 * A column holds what one role has in the bands of a plan, band after band
 * without gaps, so that bands which follow each other on the member follow
 * each other in memory. A role that MODIFY writes has a second column for its
 * old content.
 */
#ifndef BLOCK_OPUS_RAID_BASE_COLUMNS_H
#define BLOCK_OPUS_RAID_BASE_COLUMNS_H

#include "block/opus-raid/base/bounce.h"
#include "util/raid/plan.h"

typedef struct OpusColumns {
    const RaidGeometry *geom;
    const RaidPlan *plan;
    RaidMask used;              /* roles with a column */
    RaidMask modified;          /* roles with a column for the old content */
    bool extra;                 /* one more, for whatever the caller likes */
    size_t column_bytes;        /* from one column to the next */
    size_t total_bytes;
    uint8_t *buf;
    uint32_t band_off[RAID_PLAN_MAX_BANDS];     /* within a column */
    uint8_t coef[RAID_MAX_MEMBERS];             /* of each data role */
    const uint8_t *exps;        /* of each coef: see parity.h; or NULL */
    uint8_t exps_buf[RAID_MAX_MEMBERS];
} OpusColumns;

/**
 * opus_columns_alloc: get buffers for @plan
 * @plan:  must stay as it is until opus_columns_free()
 * @extra: with a column that belongs to no role
 *
 * Returns 0 or -ENOMEM.
 */
int coroutine_fn opus_columns_alloc(OpusColumns *c, const RaidGeometry *geom,
                                    const RaidPlan *plan, bool extra);
void coroutine_fn opus_columns_free(OpusColumns *c);

/* What @role has, or is to have, in band @band. */
uint8_t *opus_column(const OpusColumns *c, unsigned role, unsigned band);

/* The column that belongs to no role. */
uint8_t *opus_column_extra(const OpusColumns *c, unsigned band);

/* Where reading @role for band @band goes: for MODIFY, the old content. */
uint8_t *opus_column_read_to(const OpusColumns *c, unsigned role,
                             unsigned band);

/* Compute what every band of a read plan has to recover. */
void opus_columns_recover(OpusColumns *c);

/**
 * opus_columns_write: take in new data, and compute all parity
 * @start:       first byte of the request in the stripe's data
 * @qiov_offset: where that byte is in @qiov; each byte is read once
 */
void opus_columns_write(OpusColumns *c, uint64_t start,
                        const QEMUIOVector *qiov, size_t qiov_offset);

#endif /* BLOCK_OPUS_RAID_BASE_COLUMNS_H */
