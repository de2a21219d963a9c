/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * regions: which memory of ours drives can reach, and where
 *
 * Owns: the form of the table.
 * Must not know: who maps, who registers, when a table can be freed.
 * Threads: any; a table is never changed.
 */
#include <assert.h>
#include <glib.h>
#include <string.h>

#include "util/nvme/regions.h"

bool nv_region_round(uint64_t *host, uint64_t *bytes, uint64_t page_bytes)
{
    uint64_t skip = -*host & (page_bytes - 1);

    if (*bytes > UINT64_MAX - *host || *bytes < skip) {
        return false;
    }
    *host += skip;
    *bytes = (*bytes - skip) & ~(page_bytes - 1);
    return *bytes > 0;
}

static NvRegions *alloc(unsigned nr)
{
    NvRegions *regions = g_malloc(sizeof(*regions) + nr * sizeof(NvRegion));

    regions->nr = nr;
    return regions;
}

NvRegions *nv_regions_new(void)
{
    return alloc(0);
}

void nv_regions_free(NvRegions *regions)
{
    g_free(regions);
}

/* The first region that ends behind @host, or the number of regions. */
static unsigned find(const NvRegions *regions, uint64_t host)
{
    unsigned low = 0, high = regions->nr;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        const NvRegion *region = &regions->regions[middle];

        if (region->host + region->bytes <= host) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

NvRegionFound nv_regions_compare(const NvRegions *regions, uint64_t host,
                                 uint64_t bytes)
{
    unsigned index = find(regions, host);
    const NvRegion *region = &regions->regions[index];

    assert(bytes > 0 && bytes <= UINT64_MAX - host);
    if (index == regions->nr || region->host >= host + bytes) {
        return NV_REGION_NONE;
    }
    return region->host == host && region->bytes == bytes ? NV_REGION_SAME
                                                          : NV_REGION_OVERLAP;
}

NvRegions *nv_regions_add(const NvRegions *regions, uint64_t host,
                          uint64_t bytes, uint64_t iova)
{
    NvRegionFound found = nv_regions_compare(regions, host, bytes);
    unsigned index = find(regions, host);
    bool there = found == NV_REGION_SAME;
    NvRegions *more = alloc(regions->nr + !there);

    assert(found != NV_REGION_OVERLAP);
    memcpy(more->regions, regions->regions, index * sizeof(NvRegion));
    memcpy(more->regions + index + !there, regions->regions + index,
           (regions->nr - index) * sizeof(NvRegion));
    if (!there) {
        more->regions[index] = (NvRegion) {
            .host = host, .bytes = bytes, .iova = iova,
        };
    }
    more->regions[index].users++;
    return more;
}

NvRegions *nv_regions_remove(const NvRegions *regions, uint64_t host,
                             uint64_t bytes, bool *last, uint64_t *iova)
{
    unsigned index = find(regions, host);
    NvRegions *less;

    if (nv_regions_compare(regions, host, bytes) != NV_REGION_SAME) {
        return NULL;
    }
    *last = regions->regions[index].users == 1;
    *iova = regions->regions[index].iova;
    less = alloc(regions->nr - *last);
    memcpy(less->regions, regions->regions, index * sizeof(NvRegion));
    memcpy(less->regions + index, regions->regions + index + *last,
           (less->nr - index) * sizeof(NvRegion));
    if (!*last) {
        less->regions[index].users--;
    }
    return less;
}

uint64_t nv_regions_find(const NvRegions *regions, uint64_t host,
                         uint64_t bytes, uint64_t *iova)
{
    unsigned index = find(regions, host);
    const NvRegion *region = &regions->regions[index];

    if (index == regions->nr || region->host > host) {
        return 0;
    }
    *iova = region->iova + (host - region->host);
    return MIN(bytes, region->host + region->bytes - host);
}
