/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Columns: the private buffers of one stripe request, and what is computed
 * in them
 *
 * Owns: the layout of the buffers, and the order of computation in a band.
 * Must not know: members, I/O, locks.
 * Threads: one coroutine for each OpusColumns.
 * Invariants: I2: parity is computed from the columns that are written, never
 * from the guest's memory.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "util/raid/parity.h"
#include "block/opus-raid/base/columns.h"
#include "block/opus-raid/base/uninitialized.h"

/*
 * Data is taken in and parity computed tile by tile, so that parity finds the
 * data in the cache. Smaller tiles would keep it nearer to the core, but each
 * jump to the next column costs the prefetcher a new start: from a source in
 * memory, 4 KiB tiles run at two thirds of the speed of these.
 */
#define TILE_BYTES  (64 * KiB)

static RaidMask parity_roles(const RaidGeometry *geom)
{
    return raid_mask_first(geom->nr_data + geom->nr_parity) &
           ~raid_mask_first(geom->nr_data);
}

static bool band_generates(const RaidBand *band)
{
    return band->method == RAID_METHOD_FULL ||
           band->method == RAID_METHOD_RECONSTRUCT ||
           band->method == RAID_METHOD_RECOVER_WRITE;
}

int coroutine_fn opus_columns_alloc(OpusColumns *c, const RaidGeometry *geom,
                                    const RaidPlan *plan, bool extra)
{
    size_t bytes = 0;

    c->geom = geom;
    c->plan = plan;
    c->used = 0;
    c->modified = 0;
    c->extra = extra;
    for (unsigned i = 0; i < plan->nr_bands; i++) {
        const RaidBand *band = &plan->bands[i];

        c->band_off[i] = bytes;
        bytes += band->hi - band->lo;
        c->used |= band->want | band->read | band->recover | band->write;
        if (band->method == RAID_METHOD_MODIFY) {
            c->modified |= band->want;
        } else if (band_generates(band)) {
            /* Q is not computed without P, even where P is missing. */
            c->used |= parity_roles(geom);
        }
    }
    c->column_bytes = ROUND_UP(bytes, OPUS_BOUNCE_ALIGN);
    c->total_bytes = c->column_bytes * (raid_mask_count(c->used) +
                                        raid_mask_count(c->modified) + extra);
    for (unsigned role = 0; role < geom->nr_data; role++) {
        c->coef[role] = raid_stripe_coef(geom, plan->stripe, role);
    }
    c->exps = raid_stripe_exponents(geom, plan->stripe, c->exps_buf);
    c->buf = opus_bounce_alloc(c->total_bytes);
    return c->buf ? 0 : -ENOMEM;
}

void coroutine_fn opus_columns_free(OpusColumns *c)
{
    opus_bounce_free(c->buf, c->total_bytes);
    c->buf = NULL;
}

static unsigned rank_in(RaidMask mask, unsigned role)
{
    return raid_mask_count(mask & raid_mask_first(role));
}

uint8_t *opus_column(const OpusColumns *c, unsigned role, unsigned band)
{
    assert(c->used & RAID_BIT(role));
    return c->buf + rank_in(c->used, role) * c->column_bytes +
           c->band_off[band];
}

static uint8_t *old_column(const OpusColumns *c, unsigned role, unsigned band)
{
    unsigned index = raid_mask_count(c->used) + rank_in(c->modified, role);

    assert(c->modified & RAID_BIT(role));
    return c->buf + index * c->column_bytes + c->band_off[band];
}

uint8_t *opus_column_extra(const OpusColumns *c, unsigned band)
{
    unsigned index = raid_mask_count(c->used) + raid_mask_count(c->modified);

    assert(c->extra);
    return c->buf + index * c->column_bytes + c->band_off[band];
}

uint8_t *opus_column_read_to(const OpusColumns *c, unsigned role,
                             unsigned band)
{
    const RaidBand *b = &c->plan->bands[band];

    if (b->method == RAID_METHOD_MODIFY && (b->want & RAID_BIT(role))) {
        return old_column(c, role, band);
    }
    return opus_column(c, role, band);
}

/* The column of a role in parity.h's order: by coefficient, then P and Q. */
static unsigned parity_index(const OpusColumns *c, unsigned role)
{
    return role < c->geom->nr_data ? c->coef[role] : role;
}

static void recover_band(OpusColumns *c, unsigned i)
{
    const RaidBand *band = &c->plan->bands[i];
    OPUS_UNINITIALIZED void *cols[RAID_MAX_MEMBERS + 1];
    RaidMask have = 0;
    RaidMask want = 0;
    bool ok;

    if (!band->recover) {
        return;
    }
    memset(cols, 0, (c->geom->nr_data + 2) * sizeof(cols[0]));
    RAID_MASK_FOREACH(role, band->read | band->recover) {
        unsigned index = parity_index(c, role);

        cols[index] = opus_column(c, role, i);
        if (band->recover & RAID_BIT(role)) {
            want |= RAID_BIT(index);
        } else {
            have |= RAID_BIT(index);
        }
    }
    ok = raid_parity_recover(c->geom->nr_data, c->exps, band->hi - band->lo,
                             cols, have, want);
    /* The plan promised it. */
    assert(ok);
}

void opus_columns_recover(OpusColumns *c)
{
    for (unsigned i = 0; i < c->plan->nr_bands; i++) {
        recover_band(c, i);
    }
}

/* Where the guest's data for each role of a band comes from. */
typedef struct BandSource {
    unsigned nr;
    uint8_t roles[RAID_MAX_MEMBERS];
    OpusIovCursor cursors[RAID_MAX_MEMBERS];
} BandSource;

static void band_source_init(BandSource *src, const OpusColumns *c, unsigned i,
                             uint64_t start, const QEMUIOVector *qiov,
                             size_t qiov_offset)
{
    const RaidBand *band = &c->plan->bands[i];

    src->nr = 0;
    RAID_MASK_FOREACH(role, band->want) {
        uint64_t stripe_off = ((uint64_t)role << c->geom->chunk_shift) +
                              band->lo;

        src->roles[src->nr] = role;
        opus_iov_cursor_init(&src->cursors[src->nr], qiov,
                             qiov_offset + (stripe_off - start));
        src->nr++;
    }
}

static void band_source_take(BandSource *src, const OpusColumns *c, unsigned i,
                             size_t tile, size_t bytes)
{
    for (unsigned n = 0; n < src->nr; n++) {
        opus_iov_cursor_read(&src->cursors[n],
                             opus_column(c, src->roles[n], i) + tile, bytes);
    }
}

/* P and Q of one tile from all its data. */
static void generate_tile(const OpusColumns *c, unsigned i, size_t tile,
                          size_t bytes)
{
    unsigned nr_data = c->geom->nr_data;
    OPUS_UNINITIALIZED void *data[RAID_MAX_MEMBERS];
    void *q = NULL;

    for (unsigned role = 0; role < nr_data; role++) {
        data[c->coef[role]] = opus_column(c, role, i) + tile;
    }
    if (c->plan->bands[i].write & RAID_BIT(nr_data + 1)) {
        q = opus_column(c, nr_data + 1, i) + tile;
    }
    raid_parity_generate(nr_data, c->exps, bytes, data,
                         opus_column(c, nr_data, i) + tile, q);
}

/* Apply to P and Q of one tile the change of all roles that are written. */
static void modify_tile(const OpusColumns *c, unsigned i, size_t tile,
                        size_t bytes)
{
    const RaidBand *band = &c->plan->bands[i];
    unsigned nr_data = c->geom->nr_data;
    void *p = NULL;
    void *q = NULL;

    if (band->write & RAID_BIT(nr_data)) {
        p = opus_column(c, nr_data, i) + tile;
    }
    if (band->write & RAID_BIT(nr_data + 1)) {
        q = opus_column(c, nr_data + 1, i) + tile;
    }
    RAID_MASK_FOREACH(role, band->want) {
        unsigned exp = c->exps ? c->exps[c->coef[role]] : c->coef[role];

        raid_parity_update(exp, bytes, old_column(c, role, i) + tile,
                           opus_column(c, role, i) + tile, p, q);
    }
}

void opus_columns_write(OpusColumns *c, uint64_t start,
                        const QEMUIOVector *qiov, size_t qiov_offset)
{
    for (unsigned i = 0; i < c->plan->nr_bands; i++) {
        const RaidBand *band = &c->plan->bands[i];
        size_t band_bytes = band->hi - band->lo;
        OPUS_UNINITIALIZED BandSource src;

        /* Old content is needed to recover, so new data comes after. */
        recover_band(c, i);

        band_source_init(&src, c, i, start, qiov, qiov_offset);
        for (size_t tile = 0; tile < band_bytes; tile += TILE_BYTES) {
            size_t bytes = MIN(TILE_BYTES, band_bytes - tile);

            band_source_take(&src, c, i, tile, bytes);
            if (band->method == RAID_METHOD_MODIFY) {
                modify_tile(c, i, tile, bytes);
            } else if (band_generates(band)) {
                generate_tile(c, i, tile, bytes);
            }
        }
    }
}
