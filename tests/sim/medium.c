/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Medium: a disk with a volatile write cache
 *
 * Owns: the bytes, durable and not.
 * Must not know: arrays, QEMU.
 * Threads: one.
 */

#include <assert.h>
#include <glib.h>
#include <string.h>
#include "choice.h"
#include "medium.h"

struct MediumWrite {
    uint64_t off;
    size_t bytes;
    uint8_t *data;              /* NULL: not captured yet */
    bool fua;
    uint64_t done;              /* the how manieth that was done */
};

struct Medium {
    size_t bytes;
    unsigned atom;
    uint8_t *durable;           /* the caller's */
    uint8_t *now;
    uint64_t nr_done;
    GPtrArray *cache;           /* MediumWrite, in the order of ->done */
    GPtrArray *flying;          /* MediumWrite, in the order of submission */
    GArray *touched;            /* uint64_t: offsets of pages, each once */
};

static void write_free(void *opaque)
{
    MediumWrite *w = opaque;

    g_free(w->data);
    g_free(w);
}

Medium *medium_new(size_t bytes, unsigned atom, uint8_t *image)
{
    Medium *m = g_new0(Medium, 1);

    m->bytes = bytes;
    m->atom = atom;
    m->durable = image;
    m->now = g_memdup2(image, bytes);
    m->cache = g_ptr_array_new_with_free_func(write_free);
    m->flying = g_ptr_array_new_with_free_func(write_free);
    m->touched = g_array_new(false, false, sizeof(uint64_t));
    return m;
}

void medium_free(Medium *m)
{
    if (m) {
        g_ptr_array_free(m->cache, true);
        g_ptr_array_free(m->flying, true);
        g_array_free(m->touched, true);
        g_free(m->now);
        g_free(m);
    }
}

const uint8_t *medium_read(const Medium *m)
{
    return m->now;
}

static void touch(Medium *m, uint64_t off, size_t bytes)
{
    for (uint64_t page = off / MEDIUM_PAGE * MEDIUM_PAGE; page < off + bytes;
         page += MEDIUM_PAGE) {
        guint i = 0;

        while (i < m->touched->len &&
               g_array_index(m->touched, uint64_t, i) != page) {
            i++;
        }
        if (i == m->touched->len) {
            g_array_append_val(m->touched, page);
        }
    }
}

MediumWrite *medium_submit(Medium *m, uint64_t off, size_t bytes,
                           const uint8_t *data, bool fua)
{
    MediumWrite *w = g_new0(MediumWrite, 1);

    assert(off + bytes <= m->bytes);
    w->off = off;
    w->bytes = bytes;
    w->data = g_memdup2(data, data ? bytes : 0);
    w->fua = fua;
    g_ptr_array_add(m->flying, w);
    touch(m, off, bytes);
    return w;
}

void medium_capture(MediumWrite *w, const uint8_t *data)
{
    assert(!w->data);
    w->data = g_memdup2(data, w->bytes);
}

bool medium_captured(const MediumWrite *w)
{
    return w->data;
}

size_t medium_write_bytes(const MediumWrite *w)
{
    return w->bytes;
}

/* What is durable now can't be replaced by an older write any more. */
static void outdate(Medium *m, const MediumWrite *by)
{
    for (guint i = 0; i < m->cache->len; i++) {
        MediumWrite *w = m->cache->pdata[i];
        uint64_t lo = MAX(w->off, by->off);
        uint64_t hi = MIN(w->off + w->bytes, by->off + by->bytes);

        if (lo < hi) {
            memcpy(w->data + (lo - w->off), by->data + (lo - by->off),
                   hi - lo);
        }
    }
}

void medium_done(Medium *m, MediumWrite *w)
{
    guint index;
    bool found = g_ptr_array_find(m->flying, w, &index);

    assert(found && w->data);
    g_ptr_array_steal_index(m->flying, index);
    memcpy(m->now + w->off, w->data, w->bytes);
    w->done = ++m->nr_done;
    if (w->fua) {
        memcpy(m->durable + w->off, w->data, w->bytes);
        outdate(m, w);
        write_free(w);
    } else {
        g_ptr_array_add(m->cache, w);
    }
}

void medium_failed(Medium *m, MediumWrite *w)
{
    if (choice(2)) {
        w->fua = false;
        medium_done(m, w);
    } else {
        g_ptr_array_remove(m->flying, w);
    }
}

uint64_t medium_flush_submit(const Medium *m)
{
    return m->nr_done;
}

void medium_flush_done(Medium *m, uint64_t mark)
{
    guint nr = 0;

    while (nr < m->cache->len) {
        MediumWrite *w = m->cache->pdata[nr];

        if (w->done > mark) {
            break;
        }
        memcpy(m->durable + w->off, w->data, w->bytes);
        nr++;
    }
    if (nr) {
        g_ptr_array_remove_range(m->cache, 0, nr);
    }
}

void medium_flush_failed(Medium *m, uint64_t mark)
{
    if (choice(2)) {
        return;
    }
    while (m->cache->len) {
        MediumWrite *w = m->cache->pdata[0];

        if (w->done > mark) {
            break;
        }
        g_ptr_array_remove_index(m->cache, 0);
    }
}

/* What the cut leaves of one write. */
static void cut_write(const Medium *m, const MediumWrite *w, MediumCut how,
                      uint8_t *image)
{
    unsigned fate = how == MEDIUM_CUT_KEEP ? 0 : how == MEDIUM_CUT_DROP ? 1
                                                                  : choice(3);

    if (fate == 0) {
        memcpy(image + w->off, w->data, w->bytes);
    } else if (fate == 2) {
        uint64_t at = w->off;

        while (at < w->off + w->bytes) {
            uint64_t end = MIN((at / m->atom + 1) * m->atom,
                               w->off + w->bytes);

            if (choice(2)) {
                memcpy(image + at, w->data + (at - w->off), end - at);
            }
            at = end;
        }
    }
}

void medium_cut(Medium *m, MediumCut how)
{
    uint8_t *image = m->durable;
    unsigned first = 0;

    for (guint i = 0; i < m->cache->len; i++) {
        cut_write(m, m->cache->pdata[i], how, image);
    }
    if (m->flying->len) {
        first = choice(m->flying->len);
    }
    for (guint i = 0; i < m->flying->len; i++) {
        MediumWrite *w = m->flying->pdata[(first + i) % m->flying->len];

        /* Its sender had not given it the bytes yet. */
        if (w->data) {
            cut_write(m, w, how, image);
        }
    }
}

void medium_cut_exactly(const Medium *m, uint64_t keep, uint8_t *image)
{
    unsigned bit = 0;

    for (guint i = 0; i < m->touched->len; i++) {
        uint64_t off = g_array_index(m->touched, uint64_t, i);

        memcpy(image + off, m->durable + off, MEDIUM_PAGE);
    }
    for (guint i = 0; i < m->cache->len; i++, bit++) {
        cut_write(m, m->cache->pdata[i], keep >> bit & 1 ? MEDIUM_CUT_KEEP :
                  MEDIUM_CUT_DROP, image);
    }
    for (guint i = 0; i < m->flying->len; i++, bit++) {
        cut_write(m, m->flying->pdata[i], keep >> bit & 1 ? MEDIUM_CUT_KEEP :
                  MEDIUM_CUT_DROP, image);
    }
}

uint64_t medium_hash_bytes(const uint8_t *bytes, size_t nr, uint64_t start)
{
    uint64_t h = start * 0x9e3779b97f4a7c15ull + nr;

    for (size_t i = 0; i < nr; i += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, bytes + i, sizeof(word));
        h = (h ^ word) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    return h;
}

static uint64_t hash_image(const Medium *m, const uint8_t *image)
{
    uint64_t h = 0;

    /* Pages were touched in any order. */
    for (guint i = 0; i < m->touched->len; i++) {
        uint64_t off = g_array_index(m->touched, uint64_t, i);

        h ^= medium_hash_bytes(image + off, MEDIUM_PAGE, off);
    }
    return h;
}

static uint64_t hash_writes(GPtrArray *writes)
{
    uint64_t h = 0;

    for (guint i = 0; i < writes->len; i++) {
        const MediumWrite *w = writes->pdata[i];

        h += medium_hash_bytes(w->data, w->bytes, w->off * 2 + w->fua);
    }
    return h;
}

uint64_t medium_hash(const Medium *m)
{
    return hash_image(m, m->durable) +
           hash_image(m, m->now) * 3 + hash_writes(m->cache) * 5 +
           hash_writes(m->flying) * 7;
}

void medium_each_page(const Medium *m, const uint8_t *image, MediumPageFn *fn,
                      void *opaque)
{
    for (guint i = 0; i < m->touched->len; i++) {
        uint64_t off = g_array_index(m->touched, uint64_t, i);

        fn(opaque, off, image + off);
    }
}

unsigned medium_volatile(const Medium *m)
{
    return m->cache->len + m->flying->len;
}
