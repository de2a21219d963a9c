/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iova: addresses that a drive can use, handed out and taken back
 *
 * Owns: which of them are free.
 * Must not know: what lies there, who maps it.
 * Threads: none; who shares it has a lock.
 *
 * Counted in pages, so that the end of a 64-bit space is a number as well. Free
 * pieces are sorted and never touch each other.
 */
#include <assert.h>
#include <glib.h>

#include "util/nvme/iova.h"

typedef struct Piece {
    uint64_t page;
    uint64_t pages;
} Piece;

struct NvIova {
    uint64_t page_bytes;        /* constant */
    GArray *free;               /* of Piece */
};

static Piece *piece(const NvIova *iova, unsigned index)
{
    return &g_array_index(iova->free, Piece, index);
}

/* The first piece that ends behind @page, or the number of pieces. */
static unsigned find(const NvIova *iova, uint64_t page)
{
    unsigned low = 0, high = iova->free->len;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const Piece *at = piece(iova, middle);

        if (at->page + at->pages <= page) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* What overlaps is free only once. */
static void add_usable(NvIova *iova, const NvIovaRange *range)
{
    /* The first page that is in it, and the first one that is not. */
    uint64_t page = range->first / iova->page_bytes +
                    (range->first % iova->page_bytes != 0);
    uint64_t end = range->last / iova->page_bytes +
                   (range->last % iova->page_bytes == iova->page_bytes - 1);

    page = MAX(page, 1);
    while (page < end) {
        unsigned index = find(iova, page);
        uint64_t until = end;

        if (index < iova->free->len) {
            const Piece *next = piece(iova, index);

            if (next->page <= page) {
                page = next->page + next->pages;
                continue;
            }
            until = MIN(until, next->page);
        }
        nv_iova_give(iova, page * iova->page_bytes,
                     (until - page) * iova->page_bytes);
        page = until;
    }
}

NvIova *nv_iova_new(const NvIovaRange *usable, unsigned nr,
                    uint64_t page_bytes)
{
    NvIova *iova = g_new0(NvIova, 1);

    assert(page_bytes >= 2 && (page_bytes & (page_bytes - 1)) == 0);
    iova->page_bytes = page_bytes;
    iova->free = g_array_new(false, false, sizeof(Piece));
    for (unsigned i = 0; i < nr; i++) {
        if (usable[i].first <= usable[i].last) {
            add_usable(iova, &usable[i]);
        }
    }
    return iova;
}

void nv_iova_free(NvIova *iova)
{
    if (iova) {
        g_array_free(iova->free, true);
        g_free(iova);
    }
}

/* Takes @pages at @page out of a piece that has them. */
static void cut(NvIova *iova, unsigned index, uint64_t page, uint64_t pages)
{
    Piece *from = piece(iova, index);
    Piece behind = {
        .page = page + pages,
        .pages = from->page + from->pages - (page + pages),
    };

    from->pages = page - from->page;
    if (from->pages == 0 && behind.pages == 0) {
        g_array_remove_index(iova->free, index);
    } else if (from->pages == 0) {
        *from = behind;
    } else if (behind.pages) {
        g_array_insert_val(iova->free, index + 1, behind);
    }
}

bool nv_iova_take(NvIova *iova, uint64_t bytes, uint64_t align, uint64_t phase,
                  uint64_t *at)
{
    uint64_t pages = bytes / iova->page_bytes;
    uint64_t step = align / iova->page_bytes;
    uint64_t rest = phase / iova->page_bytes;

    assert(bytes > 0 && bytes % iova->page_bytes == 0);
    assert(step > 0 && (align & (align - 1)) == 0);
    assert(phase < align && phase % iova->page_bytes == 0);
    for (unsigned i = 0; i < iova->free->len; i++) {
        const Piece *from = piece(iova, i);
        uint64_t skip = (rest - from->page) & (step - 1);

        if (skip <= from->pages && from->pages - skip >= pages) {
            uint64_t page = from->page + skip;

            cut(iova, i, page, pages);
            *at = page * iova->page_bytes;
            return true;
        }
    }
    return false;
}

void nv_iova_give(NvIova *iova, uint64_t at, uint64_t bytes)
{
    Piece given = {
        .page = at / iova->page_bytes,
        .pages = bytes / iova->page_bytes,
    };
    unsigned index = find(iova, given.page);

    assert(given.pages > 0);
    assert(at % iova->page_bytes == 0 && bytes % iova->page_bytes == 0);
    if (index < iova->free->len) {
        const Piece *next = piece(iova, index);

        assert(given.page + given.pages <= next->page);
        if (given.page + given.pages == next->page) {
            given.pages += next->pages;
            g_array_remove_index(iova->free, index);
        }
    }
    if (index > 0) {
        Piece *before = piece(iova, index - 1);

        if (before->page + before->pages == given.page) {
            before->pages += given.pages;
            return;
        }
    }
    g_array_insert_val(iova->free, index, given);
}

uint64_t nv_iova_free_pages(const NvIova *iova)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < iova->free->len; i++) {
        pages += piece(iova, i)->pages;
    }
    return pages;
}

unsigned nv_iova_pieces(const NvIova *iova)
{
    return iova->free->len;
}
