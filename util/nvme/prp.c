/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prp: where the data of a command lie, as a drive wants to be told
 *
 * Owns: the form of PRP entries and lists.
 * Must not know: host addresses, commands, who has the memory of lists.
 * Threads: a builder belongs to one.
 *
 * The second page is in PRP2 until there is a third: only then it moves into
 * the list. In the same way the last entry of a page of the list moves to the
 * next one when another entry comes, and a pointer takes its place. So nobody
 * has to know ahead how many there will be.
 */
#include <assert.h>

#include "util/nvme/prp.h"
#include "util/raid/le-bytes.h"

#define FIRST_ALIGNMENT     4u

uint32_t nv_prp_list_entries(uint64_t bytes, uint32_t page_bytes)
{
    /* Its first page may begin with the last four bytes of one. */
    uint64_t pages = (bytes + page_bytes - FIRST_ALIGNMENT + page_bytes - 1) /
                     page_bytes;
    uint64_t data = pages > 2 ? pages - 1 : 0;
    uint32_t in_page = page_bytes / NV_PRP_ENTRY_BYTES;

    if (data <= in_page) {
        return data;
    }
    /* All pages of the list but its last one have a pointer. */
    return data + (data - 2) / (in_page - 1);
}

void nv_prp_start(NvPrp *prp, uint32_t page_bytes, void *list,
                  uint64_t list_iova, uint32_t list_entries)
{
    assert(page_bytes >= 2 * NV_PRP_ENTRY_BYTES &&
           (page_bytes & (page_bytes - 1)) == 0);
    assert(list_iova % NV_PRP_ENTRY_BYTES == 0);
    *prp = (NvPrp) {
        .page_bytes = page_bytes,
        .list = list,
        .list_iova = list_iova,
        .list_entries = list_entries,
    };
}

static uint64_t entry_iova(const NvPrp *prp, uint32_t index)
{
    return prp->list_iova + (uint64_t)index * NV_PRP_ENTRY_BYTES;
}

static bool append(NvPrp *prp, uint64_t page)
{
    uint64_t at = entry_iova(prp, prp->used);

    if (prp->used > 0 && prp->used < prp->list_entries &&
        at % prp->page_bytes == 0) {
        uint8_t *last = prp->list +
                        (size_t)(prp->used - 1) * NV_PRP_ENTRY_BYTES;

        memcpy(last + NV_PRP_ENTRY_BYTES, last, NV_PRP_ENTRY_BYTES);
        le_put_u64(last, 0, at);
        prp->used++;
    }
    if (prp->used == prp->list_entries) {
        return false;
    }
    le_put_u64(prp->list, (size_t)prp->used * NV_PRP_ENTRY_BYTES, page);
    prp->used++;
    return true;
}

static bool add_page(NvPrp *prp, uint64_t iova)
{
    prp->nr_pages++;
    switch (prp->nr_pages) {
    case 1:
        prp->prp1 = iova;
        return true;
    case 2:
        prp->prp2 = iova;
        return true;
    case 3:
        if (!append(prp, prp->prp2)) {
            return false;
        }
        prp->prp2 = prp->list_iova;
        return append(prp, iova);
    default:
        return append(prp, iova);
    }
}

bool nv_prp_add(NvPrp *prp, uint64_t iova, uint64_t bytes)
{
    uint64_t inside = iova & (prp->page_bytes - 1);

    if (bytes == 0 || bytes > UINT64_MAX - iova) {
        return false;
    }
    if (prp->nr_pages == 0) {
        if (iova % FIRST_ALIGNMENT) {
            return false;
        }
    } else if (prp->end & (prp->page_bytes - 1)) {
        /* The last page is not full: only its next byte may follow. */
        uint64_t room = prp->page_bytes - inside;

        if (iova != prp->end) {
            return false;
        }
        if (bytes <= room) {
            prp->end = iova + bytes;
            return true;
        }
        iova += room;
        bytes -= room;
        inside = 0;
    } else if (inside) {
        return false;
    }
    prp->end = iova + bytes;
    for (;;) {
        uint64_t here = prp->page_bytes - inside;

        if (!add_page(prp, iova)) {
            return false;
        }
        if (bytes <= here) {
            return true;
        }
        iova += here;
        bytes -= here;
        inside = 0;
    }
}
