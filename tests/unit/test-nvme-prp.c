/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/nvme/prp: what a drive makes of the entries, which a reader by the
 * standard's words finds out, is byte for byte what was added; and what can't
 * be told that way is refused
 */

#include <glib.h>
#include <string.h>

#include "util/nvme/prp.h"
#include "util/raid/le-bytes.h"

/* Small, so that lists of several pages are common. */
#define PAGE            32u
#define LIST_IOVA       0x7000ull
#define MAX_ENTRIES     64u
#define MAX_BYTES       1024u
#define CANARY          0xa5

typedef struct Extent {
    uint64_t iova;
    uint64_t bytes;
} Extent;

typedef struct Oracle {
    uint64_t at[MAX_BYTES];     /* where each byte lies */
    unsigned nr;
    bool can_be_told;
    unsigned nr_pages;
} Oracle;

static void oracle_make(Oracle *oracle, const Extent *extents, unsigned nr)
{
    oracle->nr = 0;
    for (unsigned i = 0; i < nr; i++) {
        for (uint64_t byte = 0; byte < extents[i].bytes; byte++) {
            g_assert_cmpuint(oracle->nr, <, MAX_BYTES);
            oracle->at[oracle->nr++] = extents[i].iova + byte;
        }
    }
    oracle->can_be_told = oracle->at[0] % 4 == 0;
    oracle->nr_pages = 1;
    for (unsigned i = 1; i < oracle->nr; i++) {
        bool begins_page = oracle->at[i] % PAGE == 0;
        bool ends_page = oracle->at[i - 1] % PAGE == PAGE - 1;

        if (begins_page && ends_page) {
            oracle->nr_pages++;
        } else if (oracle->at[i] != oracle->at[i - 1] + 1) {
            oracle->can_be_told = false;
        }
    }
}

/* Slots that a list of @data entries takes if it begins at @offset of a page */
static unsigned slots(unsigned data, unsigned offset)
{
    unsigned here = (PAGE - offset) / 8;

    return data <= here ? data : here + slots(data - (here - 1), 0);
}

static uint64_t read_entry(const NvPrp *prp, uint64_t iova)
{
    g_assert_cmpuint(iova, >=, prp->list_iova);
    g_assert_cmpuint(iova % 8, ==, 0);
    g_assert_cmpuint((iova - prp->list_iova) / 8, <, prp->used);
    return le_get_u64(prp->list, iova - prp->list_iova);
}

/* As a drive does that has to move as many bytes as @oracle has. */
static void read_back(const NvPrp *prp, const Oracle *oracle)
{
    uint64_t list = 0, page = prp->prp1;
    unsigned done = 0, pages = 0;

    for (;;) {
        unsigned here = MIN(PAGE - page % PAGE, oracle->nr - done);

        for (unsigned i = 0; i < here; i++) {
            g_assert_cmphex(page + i, ==, oracle->at[done + i]);
        }
        done += here;
        pages++;
        if (done == oracle->nr) {
            break;
        }
        if (pages == 1 && oracle->nr - done <= PAGE) {
            page = prp->prp2;
        } else {
            if (pages == 1) {
                list = prp->prp2;
            }
            page = read_entry(prp, list);
            list += 8;
            if (list % PAGE == 0 && oracle->nr - done > PAGE) {
                list = page;
                g_assert_cmphex(list % PAGE, ==, 0);
                page = read_entry(prp, list);
                list += 8;
            }
        }
        g_assert_cmphex(page % PAGE, ==, 0);
    }
    g_assert_cmpuint(pages, ==, oracle->nr_pages);
    if (pages == 1) {
        g_assert_cmphex(prp->prp2, ==, 0);
    }
}

static void try(const Extent *extents, unsigned nr, unsigned list_offset,
                unsigned entries)
{
    static Oracle oracle;
    uint8_t list[MAX_ENTRIES * 8 + 8];
    bool want, got = true;
    NvPrp prp;

    oracle_make(&oracle, extents, nr);
    want = oracle.can_be_told &&
           (oracle.nr_pages <= 2 ||
            slots(oracle.nr_pages - 1, list_offset) <= entries);
    memset(list, CANARY, sizeof(list));
    nv_prp_start(&prp, PAGE, list, LIST_IOVA + list_offset, entries);
    for (unsigned i = 0; i < nr && got; i++) {
        got = nv_prp_add(&prp, extents[i].iova, extents[i].bytes);
    }
    g_assert_cmpint(got, ==, want);
    for (unsigned i = entries * 8; i < sizeof(list); i++) {
        g_assert_cmphex(list[i], ==, CANARY);
    }
    if (got) {
        g_assert_cmpuint(prp.used, ==, oracle.nr_pages <= 2 ? 0 :
                         slots(oracle.nr_pages - 1, list_offset));
        read_back(&prp, &oracle);
    }
}

/* Every place of the first byte, every length, every list. */
static void test_one(void)
{
    for (unsigned start = 0; start < PAGE; start++) {
        for (unsigned bytes = 1; bytes <= 12 * PAGE; bytes++) {
            Extent extent = { 0x1000 + start, bytes };

            for (unsigned offset = 0; offset < PAGE; offset += 8) {
                for (unsigned entries = 0; entries <= 16; entries++) {
                    try(&extent, 1, offset, entries);
                }
            }
        }
    }
}

static void test_two(void)
{
    for (unsigned start = 0; start < PAGE; start += 2) {
        for (unsigned bytes = 1; bytes <= 2 * PAGE + 1; bytes++) {
            uint64_t ends[] = { 0x1000 + start + bytes, 0x2000, 0x1000, 0x2004,
                                0x1000 + start + bytes + 1 };

            for (unsigned more = 1; more <= 2 * PAGE + 1; more++) {
                for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++) {
                    Extent extents[] = { { 0x1000 + start, bytes },
                                         { ends[i], more } };

                    try(extents, 2, 8, MAX_ENTRIES);
                }
            }
        }
    }
}

static void test_many(void)
{
    for (unsigned i = 0; i < 200000; i++) {
        Extent extents[6];
        unsigned nr = g_test_rand_int_range(1, 7);
        bool fits = g_test_rand_int_range(0, 8);

        for (unsigned j = 0; j < nr; j++) {
            uint64_t end = j ? extents[j - 1].iova + extents[j - 1].bytes : 0;

            extents[j].iova = 0x10000 * (j + 1);
            extents[j].bytes = g_test_rand_int_range(1, 5 * PAGE);
            if (j == 0 || !fits) {
                extents[j].iova += g_test_rand_int_range(0, PAGE / 4) * 4;
            } else if (end % PAGE || g_test_rand_int_range(0, 4) == 0) {
                extents[j].iova = end;
            }
        }
        try(extents, nr, g_test_rand_int_range(0, PAGE / 8) * 8,
            g_test_rand_int_range(0, MAX_ENTRIES));
    }
}

/* What a driver reserves is enough, and no less would be. */
static void test_list_entries(void)
{
    uint8_t list[MAX_ENTRIES * 8];

    for (unsigned bytes = 1; bytes <= MAX_BYTES; bytes++) {
        unsigned entries = nv_prp_list_entries(bytes, PAGE), most = 0;

        g_assert_cmpuint(entries, <=, MAX_ENTRIES);
        for (unsigned start = 0; start < PAGE; start += 4) {
            NvPrp prp;

            nv_prp_start(&prp, PAGE, list, LIST_IOVA, entries);
            g_assert_true(nv_prp_add(&prp, start, bytes));
            most = MAX(most, prp.used);
        }
        g_assert_cmpuint(most, ==, entries);
    }
    g_assert_cmpuint(nv_prp_list_entries(4096, 4096), ==, 0);
    g_assert_cmpuint(nv_prp_list_entries(8192, 4096), ==, 2);
    g_assert_cmpuint(nv_prp_list_entries(2 << 20, 4096), ==, 512);
    g_assert_cmpuint(nv_prp_list_entries((2 << 20) + 4096, 4096), ==, 514);
}

static void test_ends_of_space(void)
{
    uint8_t list[8 * 8];
    NvPrp prp;

    nv_prp_start(&prp, 4096, list, LIST_IOVA, 8);
    g_assert_false(nv_prp_add(&prp, 0x1000, 0));
    nv_prp_start(&prp, 4096, list, LIST_IOVA, 8);
    g_assert_false(nv_prp_add(&prp, UINT64_MAX - 3, 8));
    nv_prp_start(&prp, 4096, list, LIST_IOVA, 8);
    g_assert_false(nv_prp_add(&prp, 0x1000, UINT64_MAX));
    nv_prp_start(&prp, 4096, list, LIST_IOVA, 8);
    g_assert_true(nv_prp_add(&prp, UINT64_MAX - 4095, 4095));
    g_assert_false(nv_prp_add(&prp, UINT64_MAX, 1));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme/prp/one", test_one);
    g_test_add_func("/nvme/prp/two", test_two);
    g_test_add_func("/nvme/prp/many", test_many);
    g_test_add_func("/nvme/prp/list-entries", test_list_entries);
    g_test_add_func("/nvme/prp/ends-of-space", test_ends_of_space);
    return g_test_run();
}
