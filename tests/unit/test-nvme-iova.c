/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/nvme/iova against a map of all its pages: only what is free and
 * usable is handed out, the lowest that will do, and all comes together again
 */

#include <glib.h>
#include <string.h>

#include "util/nvme/iova.h"

#define PAGE        4096ull
#define PAGES       256u
#define MAX_TAKEN   64u

typedef struct Oracle {
    bool free[PAGES];
} Oracle;

static void oracle_init(Oracle *oracle, const NvIovaRange *usable, unsigned nr)
{
    memset(oracle, 0, sizeof(*oracle));
    for (unsigned page = 1; page < PAGES; page++) {
        for (uint64_t byte = page * PAGE; byte < (page + 1) * PAGE; byte++) {
            bool in_one = false;

            for (unsigned i = 0; i < nr && !in_one; i++) {
                in_one = usable[i].first <= byte && byte <= usable[i].last;
            }
            oracle->free[page] = in_one;
            if (!in_one) {
                break;
            }
        }
    }
}

static bool oracle_has(const Oracle *oracle, unsigned page, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++) {
        if (page + i >= PAGES || !oracle->free[page + i]) {
            return false;
        }
    }
    return true;
}

static void oracle_set(Oracle *oracle, unsigned page, unsigned pages, bool free)
{
    for (unsigned i = 0; i < pages; i++) {
        g_assert_cmpint(oracle->free[page + i], ==, !free);
        oracle->free[page + i] = free;
    }
}

static void assert_same(const NvIova *iova, const Oracle *oracle)
{
    unsigned pages = 0, pieces = 0;

    for (unsigned page = 1; page < PAGES; page++) {
        pages += oracle->free[page];
        pieces += oracle->free[page] && !oracle->free[page - 1];
    }
    g_assert_cmpuint(nv_iova_free_pages(iova), ==, pages);
    g_assert_cmpuint(nv_iova_pieces(iova), ==, pieces);
}

static bool take(NvIova *iova, Oracle *oracle, unsigned pages, unsigned step,
                 unsigned phase, unsigned *page)
{
    uint64_t at = 0;
    bool want = false;

    for (*page = 0; *page < PAGES && !want; (*page)++) {
        want = *page % step == phase && oracle_has(oracle, *page, pages);
    }
    *page -= want;
    g_assert_cmpint(nv_iova_take(iova, pages * PAGE, step * PAGE, phase * PAGE,
                                 &at), ==, want);
    if (want) {
        g_assert_cmphex(at, ==, *page * PAGE);
        oracle_set(oracle, *page, pages, false);
    }
    return want;
}

static void random_life(const NvIovaRange *usable, unsigned nr)
{
    NvIova *iova = nv_iova_new(usable, nr, PAGE);
    struct {
        unsigned page;
        unsigned pages;
    } taken[MAX_TAKEN];
    unsigned nr_taken = 0;
    Oracle all, oracle;

    oracle_init(&all, usable, nr);
    oracle = all;
    assert_same(iova, &oracle);
    for (unsigned i = 0; i < 2000; i++) {
        unsigned pages = g_test_rand_int_range(1, 1 << i % 7 | 2);
        unsigned step = 1 << (g_test_rand_bit() ? i % 5 : 0);
        unsigned phase = g_test_rand_int_range(0, step), page;

        if (nr_taken < MAX_TAKEN && g_test_rand_int_range(0, 5) > 1) {
            if (take(iova, &oracle, pages, step, phase, &page)) {
                taken[nr_taken].page = page;
                taken[nr_taken++].pages = pages;
            }
        } else if (nr_taken) {
            unsigned which = g_test_rand_int_range(0, nr_taken);
            unsigned part = g_test_rand_int_range(1, taken[which].pages + 1);

            page = taken[which].page;
            nv_iova_give(iova, page * PAGE, part * PAGE);
            oracle_set(&oracle, page, part, true);
            taken[which].page += part;
            taken[which].pages -= part;
            if (taken[which].pages == 0) {
                taken[which] = taken[--nr_taken];
            }
        }
        assert_same(iova, &oracle);
    }
    while (nr_taken) {
        nr_taken--;
        nv_iova_give(iova, taken[nr_taken].page * PAGE,
                     taken[nr_taken].pages * PAGE);
    }
    assert_same(iova, &all);
    nv_iova_free(iova);
}

static void test_random(void)
{
    for (unsigned i = 0; i < 20; i++) {
        NvIovaRange usable[5];
        unsigned nr = g_test_rand_int_range(0, G_N_ELEMENTS(usable) + 1);

        for (unsigned j = 0; j < nr; j++) {
            bool whole = g_test_rand_bit();

            usable[j].first = g_test_rand_int_range(0, PAGES * PAGE);
            usable[j].last = g_test_rand_int_range(0, PAGES * PAGE);
            if (whole) {
                usable[j].first &= ~(PAGE - 1);
                usable[j].last |= PAGE - 1;
            }
        }
        random_life(usable, nr);
    }
}

/* As x86 has it: a hole for interrupts, an end, and page 0 is nobody's. */
static void test_holes(void)
{
    static const NvIovaRange usable[] = {
        { 0x1000000, 0x1ffffff },       /* not sorted */
        { 0, 0xffffff },
        { 0x2010000, 0x2ffffff },
    };
    NvIova *iova = nv_iova_new(usable, G_N_ELEMENTS(usable), PAGE);
    uint64_t at;

    g_assert_cmpuint(nv_iova_pieces(iova), ==, 2);
    g_assert_false(nv_iova_take(iova, 0x2000000, PAGE, 0, &at));
    g_assert_true(nv_iova_take(iova, 0x1fff000, PAGE, 0, &at));
    g_assert_cmphex(at, ==, 0x1000);
    g_assert_true(nv_iova_take(iova, PAGE, 0x200000, 0x1f0000, &at));
    g_assert_cmphex(at, ==, 0x21f0000);
    nv_iova_free(iova);
}

static void test_last_byte(void)
{
    static const NvIovaRange usable = { UINT64_MAX - 2 * PAGE, UINT64_MAX };
    NvIova *iova = nv_iova_new(&usable, 1, PAGE);
    uint64_t at;

    g_assert_cmpuint(nv_iova_free_pages(iova), ==, 2);
    g_assert_false(nv_iova_take(iova, 3 * PAGE, PAGE, 0, &at));
    g_assert_false(nv_iova_take(iova, PAGE, 8 * PAGE, 0, &at));
    g_assert_true(nv_iova_take(iova, PAGE, 2 * PAGE, PAGE, &at));
    g_assert_cmphex(at, ==, UINT64_MAX - PAGE + 1);
    nv_iova_give(iova, at, PAGE);
    g_assert_true(nv_iova_take(iova, 2 * PAGE, PAGE, 0, &at));
    g_assert_cmpuint(nv_iova_pieces(iova), ==, 0);
    nv_iova_give(iova, at, 2 * PAGE);
    nv_iova_free(iova);

    iova = nv_iova_new(&(NvIovaRange) { 0, UINT64_MAX }, 1, PAGE);
    g_assert_cmpuint(nv_iova_free_pages(iova), ==, (UINT64_MAX >> 12));
    nv_iova_free(iova);
    nv_iova_free(nv_iova_new(NULL, 0, PAGE));
    nv_iova_free(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme/iova/random", test_random);
    g_test_add_func("/nvme/iova/holes", test_holes);
    g_test_add_func("/nvme/iova/last-byte", test_last_byte);
    return g_test_run();
}
