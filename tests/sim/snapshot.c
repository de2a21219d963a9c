/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshot: what a power cut may leave on all disks, and what it may mean
 *
 * Owns: pages that differ from a base, which is most of the disks.
 * Must not know: how cuts are enumerated.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "snapshot.h"

typedef struct Page {
    unsigned disk;
    uint64_t off;
    uint8_t bytes[MEDIUM_PAGE];
} Page;

void snapshot_base_take(SnapshotBase *base, const BusSpec *spec)
{
    base->nr_disks = spec->nr_disks;
    base->disk_bytes = spec->disk_bytes;
    for (unsigned i = 0; i < base->nr_disks; i++) {
        base->images[i] = g_memdup2(bus_image(i), base->disk_bytes);
    }
}

void snapshot_base_restore(const SnapshotBase *base)
{
    for (unsigned i = 0; i < base->nr_disks; i++) {
        memcpy(bus_image(i), base->images[i], base->disk_bytes);
    }
}

void snapshot_base_free(SnapshotBase *base)
{
    for (unsigned i = 0; i < base->nr_disks; i++) {
        g_free(base->images[i]);
        base->images[i] = NULL;
    }
}

typedef struct Take {
    const SnapshotBase *base;
    GArray *pages;
    unsigned disk;
} Take;

static Page *find_page(GArray *pages, unsigned disk, uint64_t off)
{
    for (guint i = 0; i < pages->len; i++) {
        Page *p = &g_array_index(pages, Page, i);

        if (p->disk == disk && p->off == off) {
            return p;
        }
    }
    return NULL;
}

static void take_page(void *opaque, uint64_t off, const uint8_t *bytes)
{
    Take *take = opaque;
    Page *p = find_page(take->pages, take->disk, off);

    if (!p) {
        if (!memcmp(bytes, take->base->images[take->disk] + off,
                    MEDIUM_PAGE)) {
            return;
        }
        g_array_set_size(take->pages, take->pages->len + 1);
        p = &g_array_index(take->pages, Page, take->pages->len - 1);
        p->disk = take->disk;
        p->off = off;
    }
    memcpy(p->bytes, bytes, MEDIUM_PAGE);
}

uint64_t snapshot_hash_disk(const SnapshotBase *base, const Snapshot *parent,
                            unsigned disk, uint64_t keep)
{
    g_autoptr(GArray) pages = g_array_new(false, false, sizeof(Page));
    Take take = { .base = base, .pages = pages, .disk = disk };
    uint64_t h = 0;

    for (guint i = 0; parent && i < parent->pages->len; i++) {
        const Page *p = &g_array_index(parent->pages, Page, i);

        if (p->disk == disk) {
            g_array_append_vals(pages, p, 1);
        }
    }
    bus_cut_pages(disk, keep, take_page, &take);
    for (guint i = 0; i < pages->len; i++) {
        const Page *p = &g_array_index(pages, Page, i);

        if (memcmp(p->bytes, base->images[disk] + p->off, MEDIUM_PAGE)) {
            h += medium_hash_bytes(p->bytes, MEDIUM_PAGE,
                                   p->off * BUS_MAX_DISKS + disk);
        }
    }
    return h;
}

Snapshot *snapshot_take(const SnapshotBase *base, const Snapshot *parent,
                        const uint64_t *keep)
{
    Snapshot *s = g_new0(Snapshot, 1);

    s->pages = parent ? g_array_copy(parent->pages)
                      : g_array_new(false, false, sizeof(Page));
    for (unsigned disk = 0; disk < base->nr_disks; disk++) {
        Take take = { .base = base, .pages = s->pages, .disk = disk };

        bus_cut_pages(disk, keep[disk], take_page, &take);
    }
    return s;
}

void snapshot_restore(const SnapshotBase *base, const Snapshot *s)
{
    snapshot_base_restore(base);
    for (guint i = 0; i < s->pages->len; i++) {
        const Page *p = &g_array_index(s->pages, Page, i);

        memcpy(bus_image(p->disk) + p->off, p->bytes, MEDIUM_PAGE);
    }
}

void snapshot_free(Snapshot *s)
{
    oracle_free(s->oracle);
    g_array_free(s->pages, true);
    g_free(s);
}
