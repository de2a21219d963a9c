/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * regions: which memory of ours drives can reach, and where
 *
 * A table is never changed: adding or removing makes a new one. So any thread
 * may look something up in a table that it holds, without a lock; who publishes
 * a new one frees the old one when nobody does.
 *
 * Pure.
 */
#ifndef UTIL_NVME_REGIONS_H
#define UTIL_NVME_REGIONS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct NvRegion {
    uint64_t host;              /* its address for us */
    uint64_t bytes;
    uint64_t iova;              /* and for drives */
    unsigned users;             /* who have registered just this */
} NvRegion;

typedef struct NvRegions {
    unsigned nr;
    NvRegion regions[];         /* by address; none overlaps another */
} NvRegions;

/*
 * The whole pages of a buffer: others can't be mapped without letting drives
 * reach what lies beside it. False if there are none, or the end is nowhere.
 */
bool nv_region_round(uint64_t *host, uint64_t *bytes, uint64_t page_bytes);

NvRegions *nv_regions_new(void);
void nv_regions_free(NvRegions *regions);

typedef enum NvRegionFound {
    NV_REGION_NONE,             /* nothing of it is there */
    NV_REGION_SAME,             /* just this is */
    NV_REGION_OVERLAP,          /* some of it, or more, is */
} NvRegionFound;

NvRegionFound nv_regions_compare(const NvRegions *regions, uint64_t host,
                                 uint64_t bytes);

/*
 * A new table. What is added is not there (@iova is where it was mapped), or is
 * there just so (@iova does not matter).
 */
NvRegions *nv_regions_add(const NvRegions *regions, uint64_t host,
                          uint64_t bytes, uint64_t iova);

/*
 * A new table, or NULL if just this is not there. @last: it was the last user,
 * and @iova can be unmapped when nobody uses the old table any more.
 */
NvRegions *nv_regions_remove(const NvRegions *regions, uint64_t host,
                             uint64_t bytes, bool *last, uint64_t *iova);

/*
 * How much of @bytes from @host on drives find from @iova on: 0 if the first
 * byte is nowhere, less than @bytes if a region ends before they do.
 */
uint64_t nv_regions_find(const NvRegions *regions, uint64_t host,
                         uint64_t bytes, uint64_t *iova);

#endif /* UTIL_NVME_REGIONS_H */
