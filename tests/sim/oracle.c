/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Oracle: what a disk may hold, after all that was done to it
 *
 * Owns: for each sector, the writes that it may be from.
 * Must not know: arrays, QEMU.
 * Threads: one.
 *
 * A write is out of question once another one that began after its end is
 * known to be there: for a read, when that was done before; for a power cut,
 * when it was durable.
 */

#include <assert.h>
#include <glib.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "oracle.h"

#define NEVER   UINT64_MAX

/* The number of a mixture, which is not compared. */
#define MIXTURE UINT32_MAX

typedef struct Version {
    uint32_t number;
    bool binding;
    bool durable;
    uint64_t begun;
    uint64_t ended;             /* NEVER: still on its way */
} Version;

struct Oracle {
    uint64_t nr_sectors;
    uint64_t time;
    uint32_t last_number;
    unsigned reads;             /* under way: they may find what is old */
    uint64_t mix_bytes;         /* a block of a mixture; 0: there is none */
    GArray **sectors;           /* of Version */
};

Oracle *oracle_new(uint64_t bytes)
{
    Oracle *o = g_new0(Oracle, 1);

    oracle_grow(o, bytes);
    return o;
}

void oracle_grow(Oracle *o, uint64_t bytes)
{
    Version zero = { .binding = true, .durable = true };
    uint64_t nr_sectors = bytes / ORACLE_SECTOR;

    assert(nr_sectors >= o->nr_sectors);
    o->sectors = g_renew(GArray *, o->sectors, nr_sectors);
    for (uint64_t i = o->nr_sectors; i < nr_sectors; i++) {
        o->sectors[i] = g_array_new(false, false, sizeof(Version));
        g_array_append_val(o->sectors[i], zero);
    }
    o->nr_sectors = nr_sectors;
}

uint64_t oracle_bytes(const Oracle *o)
{
    return o->nr_sectors * ORACLE_SECTOR;
}

void oracle_free(Oracle *o)
{
    if (o) {
        for (uint64_t i = 0; i < o->nr_sectors; i++) {
            g_array_free(o->sectors[i], true);
        }
        g_free(o->sectors);
        g_free(o);
    }
}

Oracle *oracle_copy(const Oracle *o)
{
    Oracle *copy = g_memdup2(o, sizeof(*o));

    copy->sectors = g_new0(GArray *, o->nr_sectors);
    for (uint64_t i = 0; i < o->nr_sectors; i++) {
        copy->sectors[i] = g_array_copy(o->sectors[i]);
    }
    return copy;
}

static Version *version_at(GArray *sector, guint i)
{
    return &g_array_index(sector, Version, i);
}

/* Is the version out of question, given that @known ones are there? */
static bool is_superseded(GArray *sector, const Version *v, bool durable,
                          uint64_t before)
{
    for (guint i = 0; i < sector->len; i++) {
        const Version *by = version_at(sector, i);

        if (by->begun > v->ended && by->binding && by->ended < before &&
            (by->durable || !durable)) {
            return true;
        }
    }
    return false;
}

/* Forget versions that can't come back. */
static void prune(const Oracle *o, GArray *sector)
{
    guint i = 0;

    while (!o->reads && i < sector->len) {
        if (is_superseded(sector, version_at(sector, i), true, NEVER)) {
            g_array_remove_index(sector, i);
        } else {
            i++;
        }
    }
}

OracleWrite oracle_write_begin(Oracle *o, uint64_t off, uint64_t bytes,
                               unsigned alternatives, bool zero)
{
    OracleWrite w = {
        .number = zero ? 0 : o->last_number + 1, .begun = ++o->time,
    };

    assert((off | bytes) % ORACLE_SECTOR == 0);
    o->last_number += zero ? 0 : alternatives;
    for (uint64_t i = off; i < off + bytes; i += ORACLE_SECTOR) {
        for (unsigned j = 0; j < alternatives; j++) {
            Version v = {
                .number = zero ? 0 : w.number + j, .begun = w.begun,
                .ended = NEVER,
            };

            g_array_append_val(o->sectors[i / ORACLE_SECTOR], v);
        }
    }
    return w;
}

void oracle_fill(uint32_t number, uint64_t off, uint64_t bytes, uint8_t *buf)
{
    uint64_t *words = (uint64_t *)buf;

    for (uint64_t i = 0; i < bytes / sizeof(*words); i++) {
        uint64_t sector = (off + i * sizeof(*words)) / ORACLE_SECTOR;
        uint64_t z = ((uint64_t)number << 32 | sector) * 64 + i % 64;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        words[i] = number ? z ^ (z >> 27) : 0;
    }
}

void oracle_write_end(Oracle *o, uint64_t off, uint64_t bytes, OracleWrite w,
                      bool binding, bool durable)
{
    o->time++;
    for (uint64_t i = off; i < off + bytes; i += ORACLE_SECTOR) {
        GArray *sector = o->sectors[i / ORACLE_SECTOR];

        for (guint j = 0; j < sector->len; j++) {
            Version *v = version_at(sector, j);

            if (v->begun == w.begun && v->ended == NEVER) {
                v->ended = o->time;
                v->binding = binding;
                v->durable = binding && durable;
            }
        }
        prune(o, sector);
    }
}

uint64_t oracle_flush_begin(Oracle *o)
{
    return ++o->time;
}

void oracle_flush_end(Oracle *o, uint64_t begun)
{
    o->time++;
    for (uint64_t i = 0; i < o->nr_sectors; i++) {
        GArray *sector = o->sectors[i];

        for (guint j = 0; j < sector->len; j++) {
            Version *v = version_at(sector, j);

            v->durable |= v->binding && v->ended < begun;
        }
        prune(o, sector);
    }
}

void oracle_cut(Oracle *o)
{
    o->time++;
    o->reads = 0;
    for (uint64_t i = 0; i < o->nr_sectors; i++) {
        GArray *sector = o->sectors[i];

        prune(o, sector);
        for (guint j = 0; j < sector->len; j++) {
            Version *v = version_at(sector, j);

            /* Each of them, but none is sure to be. */
            v->begun = o->time;
            v->ended = o->time;
            v->binding = false;
            v->durable = false;
        }
    }
    o->time++;
}

uint64_t oracle_read_begin(Oracle *o)
{
    o->reads++;
    return ++o->time;
}

void oracle_read_end(Oracle *o)
{
    assert(o->reads);
    o->reads--;
}

void oracle_let_mix(Oracle *o, uint64_t block_bytes)
{
    assert(block_bytes % ORACLE_SECTOR == 0);
    o->mix_bytes = block_bytes;
}

/* Is it in a block with a sector that more than one write may be in? */
static bool may_mix(const Oracle *o, uint64_t off)
{
    uint64_t start = o->mix_bytes ? off / o->mix_bytes * o->mix_bytes : 0;

    for (uint64_t i = start; i < start + o->mix_bytes; i += ORACLE_SECTOR) {
        if (i / ORACLE_SECTOR < o->nr_sectors &&
            o->sectors[i / ORACLE_SECTOR]->len > 1) {
            return true;
        }
    }
    return false;
}

static bool holds(uint32_t number, uint64_t off, const uint8_t *buf)
{
    uint64_t wanted[ORACLE_SECTOR / sizeof(uint64_t)];

    if (number == MIXTURE) {
        return true;
    }
    oracle_fill(number, off, ORACLE_SECTOR, (uint8_t *)wanted);
    return !memcmp(wanted, buf, ORACLE_SECTOR);
}

static bool sector_is_right(Oracle *o, uint64_t off, const uint8_t *buf,
                            uint64_t begun)
{
    GArray *sector = o->sectors[off / ORACLE_SECTOR];

    for (guint i = 0; i < sector->len; i++) {
        const Version *v = version_at(sector, i);

        if (holds(v->number, off, buf) &&
            !is_superseded(sector, v, false, begun ? begun : NEVER)) {
            return true;
        }
    }
    return may_mix(o, off);
}

int64_t oracle_check(Oracle *o, uint64_t off, uint64_t bytes,
                     const uint8_t *buf, uint64_t begun)
{
    for (uint64_t i = 0; i < bytes; i += ORACLE_SECTOR) {
        if (!sector_is_right(o, off + i, buf + i, begun)) {
            return off + i;
        }
    }
    return -1;
}

void oracle_settle(Oracle *o, uint64_t off, uint64_t bytes, const uint8_t *buf)
{
    o->time++;
    for (uint64_t i = 0; i < bytes; i += ORACLE_SECTOR) {
        GArray *sector = o->sectors[(off + i) / ORACLE_SECTOR];
        Version found = { .binding = true, .durable = true,
                          .begun = o->time, .ended = o->time };

        guint j = 0;

        while (j < sector->len && !holds(version_at(sector, j)->number,
                                         off + i, buf + i)) {
            j++;
        }
        assert(j < sector->len || o->mix_bytes);
        found.number = j < sector->len ? version_at(sector, j)->number
                                       : MIXTURE;
        g_array_set_size(sector, 0);
        g_array_append_val(sector, found);
    }
    o->time++;
}

uint64_t oracle_hash(const Oracle *o)
{
    uint64_t h = 0;

    for (uint64_t i = 0; i < o->nr_sectors; i++) {
        for (guint j = 0; j < o->sectors[i]->len; j++) {
            const Version *v = version_at(o->sectors[i], j);

            h = (h ^ v->number ^ v->binding << 30 ^ v->durable << 31 ^
                 (uint64_t)(v->ended == NEVER) << 32) * 0xff51afd7ed558ccdull;
            h ^= h >> 29;
        }
        h = h * 0x9e3779b97f4a7c15ull + i;
    }
    return h;
}

void oracle_explain(Oracle *o, uint64_t off, const uint8_t *buf)
{
    GArray *sector = o->sectors[off / ORACLE_SECTOR];
    uint32_t number = 0;

    for (guint i = 0; i < sector->len; i++) {
        const Version *v = version_at(sector, i);

        fprintf(stderr, "#   write %" PRIu32 ": from %" PRIu64 " to %" PRId64
                "%s%s%s\n", v->number, v->begun, (int64_t)v->ended,
                v->binding ? ", binding" : "", v->durable ? ", durable" : "",
                holds(v->number, off, buf) ? "  <- found" : "");
    }
    while (number <= o->last_number && !holds(number, off, buf)) {
        number++;
    }
    if (number <= o->last_number) {
        fprintf(stderr, "#   found: write %" PRIu32 "\n", number);
    } else {
        fprintf(stderr, "#   found: no write of this sector\n");
    }
}
