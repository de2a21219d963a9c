/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * iova: addresses that a drive can use, handed out and taken back
 *
 * An IOMMU has holes, for interrupts and for what the platform keeps, and ends
 * somewhere. Page 0 is never handed out: as an address it says "none".
 *
 * Pure; no lock: who shares it has one.
 */
#ifndef UTIL_NVME_IOVA_H
#define UTIL_NVME_IOVA_H

#include <stdbool.h>
#include <stdint.h>

typedef struct NvIova NvIova;

/* Both ends belong to it. */
typedef struct NvIovaRange {
    uint64_t first;
    uint64_t last;
} NvIovaRange;

/**
 * nv_iova_new: all that may be used, and nothing of it is
 * @usable: in any order; may overlap, and need not keep to pages
 */
NvIova *nv_iova_new(const NvIovaRange *usable, unsigned nr,
                    uint64_t page_bytes);
void nv_iova_free(NvIova *iova);

/**
 * nv_iova_take: the lowest room for @bytes, a multiple of pages
 * @align: a power of two, at least a page
 * @phase: less than @align, a multiple of pages: what is left over when the
 *         address is divided by @align. A large page of the IOMMU serves where
 *         that is the same on both sides.
 *
 * Returns false if there is none.
 */
bool nv_iova_take(NvIova *iova, uint64_t bytes, uint64_t align, uint64_t phase,
                  uint64_t *at);

/* Just what was taken, or a part of it that keeps to pages. */
void nv_iova_give(NvIova *iova, uint64_t at, uint64_t bytes);

/* Pages that nobody has; and in how many pieces they are. */
uint64_t nv_iova_free_pages(const NvIova *iova);
unsigned nv_iova_pieces(const NvIova *iova);

#endif /* UTIL_NVME_IOVA_H */
