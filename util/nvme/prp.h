/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * prp: where the data of a command lie, as a drive wants to be told
 *
 * By pages: the first address may lie inside of a page, all others begin one.
 * One page is in PRP1, two in PRP1 and PRP2; of more, PRP2 points to a list,
 * and the last entry of a page of the list to the next page of it if it does
 * not fit. The list lies in memory that is the caller's, contiguous for both
 * sides.
 *
 * Pure; a builder belongs to one thread.
 */
#ifndef UTIL_NVME_PRP_H
#define UTIL_NVME_PRP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NV_PRP_ENTRY_BYTES  8u

typedef struct NvPrp {
    /* Constant while it is built */
    uint32_t page_bytes;        /* the controller's, not the host's */
    uint8_t *list;
    uint64_t list_iova;
    uint32_t list_entries;

    /* What goes into the command */
    uint64_t prp1;
    uint64_t prp2;

    /* Builder */
    uint32_t nr_pages;          /* so far */
    uint32_t used;              /* of the list */
    uint64_t end;               /* behind what was added last */
} NvPrp;

/* Entries that suffice for @bytes anywhere if the list begins a page. */
uint32_t nv_prp_list_entries(uint64_t bytes, uint32_t page_bytes);

/**
 * nv_prp_start: begin anew
 * @page_bytes: a power of two, at least 16
 * @list:       @list_entries of NV_PRP_ENTRY_BYTES each, which the drive
 *              finds at @list_iova; aligned to an entry
 */
void nv_prp_start(NvPrp *prp, uint32_t page_bytes, void *list,
                  uint64_t list_iova, uint32_t list_entries);

/**
 * nv_prp_add: and then come @bytes at @iova
 *
 * Returns false if they can't come there: a joint is inside of a page, the
 * first byte not at a multiple of four, the list full, nothing is added, or the
 * address space ends before they do. Nobody may use @prp then.
 */
bool nv_prp_add(NvPrp *prp, uint64_t iova, uint64_t bytes);

#endif /* UTIL_NVME_PRP_H */
