/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/nvme/regions against a map of all bytes: what is found lies in a
 * region from its first to its last byte, and a table never changes
 */

#include <glib.h>
#include <string.h>

#include "util/nvme/regions.h"

#define HOST        0x7f0000000000ull
#define PAGE        16u
#define BYTES       (16 * PAGE)
#define MAX_KNOWN   8u

/* Of each byte: which region it is in, from 1 on, and where drives find it. */
typedef struct Oracle {
    unsigned region[BYTES];
    uint64_t iova[BYTES];
    struct {
        unsigned start;
        unsigned bytes;
        unsigned users;
    } known[MAX_KNOWN];
    unsigned stamp;
} Oracle;

static void assert_same(const NvRegions *regions, const Oracle *oracle)
{
    for (unsigned start = 0; start < BYTES; start++) {
        unsigned most = 0;

        while (start + most < BYTES && oracle->region[start] &&
               oracle->region[start + most] == oracle->region[start]) {
            most++;
        }
        for (unsigned bytes = 1; bytes <= BYTES; bytes += 1 + bytes / 8) {
            uint64_t iova = 0;

            g_assert_cmpuint(nv_regions_find(regions, HOST + start, bytes,
                                             &iova), ==, MIN(most, bytes));
            if (most) {
                g_assert_cmphex(iova, ==, oracle->iova[start]);
            }
        }
    }
}

static NvRegionFound oracle_compare(const Oracle *oracle, unsigned start,
                                    unsigned bytes)
{
    NvRegionFound found = NV_REGION_NONE;

    for (unsigned i = 0; i < MAX_KNOWN; i++) {
        if (oracle->known[i].users == 0) {
            continue;
        }
        if (oracle->known[i].start == start &&
            oracle->known[i].bytes == bytes) {
            return NV_REGION_SAME;
        }
        if (oracle->known[i].start < start + bytes &&
            start < oracle->known[i].start + oracle->known[i].bytes) {
            found = NV_REGION_OVERLAP;
        }
    }
    return found;
}

static void oracle_fill(Oracle *oracle, unsigned start, unsigned bytes,
                        unsigned stamp, uint64_t iova)
{
    for (unsigned i = 0; i < bytes; i++) {
        oracle->region[start + i] = stamp;
        oracle->iova[start + i] = iova + i;
    }
}

static NvRegions *try_add(const NvRegions *regions, Oracle *oracle,
                          unsigned start, unsigned bytes)
{
    NvRegionFound found = oracle_compare(oracle, start, bytes);
    uint64_t iova = g_test_rand_int();
    unsigned slot = 0;

    g_assert_cmpint(nv_regions_compare(regions, HOST + start, bytes), ==,
                    found);
    if (found == NV_REGION_SAME) {
        while (oracle->known[slot].start != start ||
               oracle->known[slot].users == 0) {
            slot++;
        }
    } else {
        while (slot < MAX_KNOWN && oracle->known[slot].users) {
            slot++;
        }
    }
    if (found == NV_REGION_OVERLAP || slot == MAX_KNOWN) {
        return NULL;
    }
    if (found == NV_REGION_NONE) {
        oracle_fill(oracle, start, bytes, ++oracle->stamp, iova);
        oracle->known[slot].start = start;
        oracle->known[slot].bytes = bytes;
    }
    oracle->known[slot].users++;
    return nv_regions_add(regions, HOST + start, bytes, iova);
}

static NvRegions *try_remove(const NvRegions *regions, Oracle *oracle)
{
    unsigned slot = g_test_rand_int_range(0, MAX_KNOWN);
    unsigned start = oracle->known[slot].start;
    unsigned bytes = oracle->known[slot].bytes;
    NvRegions *less;
    uint64_t iova;
    bool last;

    if (oracle->known[slot].users == 0) {
        return NULL;
    }
    g_assert_null(nv_regions_remove(regions, HOST + start, bytes + 1, &last,
                                    &iova));
    g_assert_null(nv_regions_remove(regions, HOST + start + 1, bytes - 1, &last,
                                    &iova));
    less = nv_regions_remove(regions, HOST + start, bytes, &last, &iova);
    g_assert_nonnull(less);
    g_assert_cmpint(last, ==, oracle->known[slot].users == 1);
    g_assert_cmphex(iova, ==, oracle->iova[start]);
    oracle->known[slot].users--;
    if (last) {
        oracle_fill(oracle, start, bytes, 0, 0);
    }
    return less;
}

static void test_random(void)
{
    NvRegions *regions = nv_regions_new();
    Oracle oracle = { 0 };

    for (unsigned i = 0; i < 3000; i++) {
        unsigned start = g_test_rand_int_range(0, BYTES);
        unsigned bytes = g_test_rand_int_range(2, BYTES / 4);
        Oracle before = oracle;
        NvRegions *next;

        if (i % 3) {
            /* Often what is there already, or beside it. */
            start &= ~(PAGE - 1);
            bytes = (bytes | (PAGE - 1)) + 1;
        }
        bytes = MIN(bytes, BYTES - start);
        next = g_test_rand_int_range(0, 5) > 1 && bytes > 1
            ? try_add(regions, &oracle, start, bytes)
            : try_remove(regions, &oracle);
        if (next) {
            if (i % 16 == 0) {
                assert_same(regions, &before);
            }
            nv_regions_free(regions);
            regions = next;
        }
        if (i % 4 == 0) {
            assert_same(regions, &oracle);
        }
    }
    nv_regions_free(regions);
}

static void assert_round(uint64_t host, uint64_t bytes, bool want,
                         uint64_t to_host, uint64_t to_bytes)
{
    g_assert_cmpint(nv_region_round(&host, &bytes, 4096), ==, want);
    if (want) {
        g_assert_cmphex(host, ==, to_host);
        g_assert_cmphex(bytes, ==, to_bytes);
    }
}

static void test_round(void)
{
    assert_round(0x1000, 0x2000, true, 0x1000, 0x2000);
    assert_round(0x1001, 0x2fff, true, 0x2000, 0x2000);
    assert_round(0x1001, 0x2ffe, true, 0x2000, 0x1000);
    assert_round(0x1001, 0x1fff, true, 0x2000, 0x1000);
    assert_round(0x1001, 0x1ffe, false, 0, 0);
    assert_round(0x1000, 0xfff, false, 0, 0);
    assert_round(0x1fff, 1, false, 0, 0);
    assert_round(0x1001, 0, false, 0, 0);
    assert_round(0x1000, 0, false, 0, 0);
    assert_round(UINT64_MAX - 0x1fff, 0x1fff, true, UINT64_MAX - 0x1fff,
                 0x1000);
    assert_round(UINT64_MAX - 0x10, 0x11, false, 0, 0);
    assert_round(0x1000, UINT64_MAX, false, 0, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme/regions/random", test_random);
    g_test_add_func("/nvme/regions/round", test_round);
    return g_test_run();
}
