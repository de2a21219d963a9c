/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/parity: each function and each number of columns against
 * a slow oracle, every erasure of one, two and more columns.
 */
#include <glib.h>
#include <string.h>

#include "slow-parity.h"
#include "util/raid/parity.h"

#define MAX_DATA    63
#define MAX_COLUMNS (MAX_DATA + 2)
#define GUARD       0x5a

/* Columns with a guard behind each of them. */
typedef struct Columns {
    unsigned nr;
    size_t bytes;
    uint8_t *memory;
    void *at[MAX_COLUMNS];
} Columns;

static void columns_init(Columns *columns, unsigned nr, size_t bytes)
{
    size_t stride = bytes + RAID_PARITY_ALIGN;

    columns->nr = nr;
    columns->bytes = bytes;
    columns->memory = g_aligned_alloc(nr, stride, RAID_PARITY_ALIGN);
    for (unsigned i = 0; i < nr; i++) {
        columns->at[i] = columns->memory + i * stride;
        memset((uint8_t *)columns->at[i] + bytes, GUARD, RAID_PARITY_ALIGN);
    }
}

static void columns_fill(Columns *columns)
{
    uint64_t x = (uint64_t)(uint32_t)g_test_rand_int() << 1 | 1;

    for (unsigned i = 0; i < columns->nr; i++) {
        uint64_t *words = columns->at[i];

        for (size_t w = 0; w < columns->bytes / sizeof(*words); w++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            words[w] = x;
        }
    }
}

/* Free them, once it is sure that nothing was written behind any. */
static void columns_check_and_free(Columns *columns)
{
    for (unsigned i = 0; i < columns->nr; i++) {
        const uint8_t *guard = (uint8_t *)columns->at[i] + columns->bytes;

        for (unsigned j = 0; j < RAID_PARITY_ALIGN; j++) {
            g_assert_cmphex(guard[j], ==, GUARD);
        }
    }
    g_aligned_free(columns->memory);
}

static void assert_parity(unsigned nr_data, size_t bytes, void *const *data,
                          const uint8_t *p, const uint8_t *q)
{
    const uint8_t *columns[MAX_DATA];

    for (unsigned i = 0; i < nr_data; i++) {
        columns[i] = data[i];
    }
    for (size_t at = 0; at < bytes; at++) {
        g_assert_cmphex(p[at], ==, slow_parity(nr_data, columns, at, 0));
        if (q) {
            g_assert_cmphex(q[at], ==, slow_parity(nr_data, columns, at, 1));
        }
    }
}

static const size_t lengths[] = { 64, 128, 192, 512, 4096 };

static void test_generate(void)
{
    for (unsigned nr_data = 1; nr_data <= MAX_DATA; nr_data++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
            void **at;
            Columns c;

            if (lengths[i] > 512 && nr_data % 10) {
                continue;
            }
            columns_init(&c, nr_data + 2, lengths[i]);
            columns_fill(&c);
            at = c.at;
            raid_parity_generate(nr_data, NULL, c.bytes, at, at[nr_data], NULL);
            assert_parity(nr_data, c.bytes, at, at[nr_data], NULL);
            if (nr_data >= 2 && nr_data < MAX_DATA) {
                columns_fill(&c);
                raid_parity_generate(nr_data, NULL, c.bytes, at, at[nr_data],
                                     at[nr_data + 1]);
                assert_parity(nr_data, c.bytes, at, at[nr_data],
                              at[nr_data + 1]);
            }
            columns_check_and_free(&c);
        }
    }
}

/* Any column, any of P and Q: the same as computed from scratch. */
static void check_update(unsigned nr_data, unsigned coef, unsigned parities,
                         size_t bytes)
{
    bool with_q = nr_data >= 2 && nr_data < MAX_DATA;
    Columns c, new_data, old;

    columns_init(&c, nr_data + 2, bytes);
    columns_init(&new_data, 2, bytes);
    columns_init(&old, 2, bytes);
    columns_fill(&c);
    columns_fill(&new_data);
    raid_parity_generate(nr_data, NULL, bytes, c.at, c.at[nr_data],
                         with_q ? c.at[nr_data + 1] : NULL);
    memcpy(old.at[0], c.at[coef], bytes);
    memcpy(old.at[1], c.at[coef], bytes);
    memcpy(new_data.at[1], new_data.at[0], bytes);
    memcpy(c.at[coef], new_data.at[0], bytes);

    raid_parity_update(coef, bytes, old.at[0], new_data.at[0],
                       parities & 1 ? c.at[nr_data] : NULL,
                       parities & 2 ? c.at[nr_data + 1] : NULL);
    for (size_t at = 0; at < bytes; at++) {
        g_assert_cmphex(((uint8_t *)old.at[0])[at], ==,
                        ((uint8_t *)old.at[1])[at] ^
                        ((uint8_t *)new_data.at[1])[at]);
    }
    g_assert_cmpmem(new_data.at[0], bytes, new_data.at[1], bytes);

    /* What was not given is as before: bring it up to date by another way. */
    if (!(parities & 1)) {
        raid_parity_update(coef, bytes, old.at[1], new_data.at[0],
                           c.at[nr_data], NULL);
    } else if (with_q && !(parities & 2)) {
        raid_parity_update(coef, bytes, old.at[1], new_data.at[0], NULL,
                           c.at[nr_data + 1]);
    }
    assert_parity(nr_data, bytes, c.at, c.at[nr_data],
                  with_q && parities ? c.at[nr_data + 1] : NULL);
    columns_check_and_free(&c);
    columns_check_and_free(&new_data);
    columns_check_and_free(&old);
}

static void test_update(void)
{
    static const unsigned counts[] = { 1, 2, 3, 7, 62, 63 };

    for (unsigned n = 0; n < G_N_ELEMENTS(counts); n++) {
        for (unsigned coef = 0; coef < counts[n]; coef++) {
            for (unsigned parities = 0; parities < 4; parities++) {
                if (parities & 2 && (counts[n] < 2 || counts[n] == MAX_DATA)) {
                    continue;
                }
                check_update(counts[n], coef, parities, 64);
                if (counts[n] < 8) {
                    check_update(counts[n], coef, parities, 4096 + 192);
                }
            }
        }
    }
}

/*
 * Recovery
 */

/*
 * Is each of @want a function of @have? Two unknowns need P and Q. Asked for
 * a parity column when data is lost, the other parity must give that first.
 */
static bool is_determined(unsigned nr_data, RaidMask have, RaidMask want)
{
    RaidMask data = raid_mask_first(nr_data);
    unsigned lost = raid_mask_count(data & ~have);
    unsigned parities = raid_mask_count(have & ~data);

    return want == 0 || lost <= parities;
}

/* Recover @want of a stripe in @c from @have; the other columns are NULL. */
static void check_recover(const Columns *c, Columns *out, unsigned nr_data,
                          RaidMask have, RaidMask want)
{
    void *cols[MAX_COLUMNS] = { NULL };
    bool ok;

    RAID_MASK_FOREACH(i, have) {
        cols[i] = c->at[i];
    }
    RAID_MASK_FOREACH(i, want) {
        cols[i] = out->at[i];
        memset(cols[i], GUARD, c->bytes);
    }
    ok = raid_parity_recover(nr_data, NULL, c->bytes, cols, have, want);
    g_assert_cmpint(ok, ==, is_determined(nr_data, have, want));
    RAID_MASK_FOREACH(i, want) {
        if (ok) {
            g_assert_cmpmem(cols[i], c->bytes, c->at[i], c->bytes);
        }
        for (size_t at = 0; !ok && at < c->bytes; at++) {
            g_assert_cmphex(((uint8_t *)cols[i])[at], ==, GUARD);
        }
    }
}

/* A stripe, all right. */
static void make_stripe(Columns *c, unsigned nr_data, bool with_q,
                        size_t bytes)
{
    columns_init(c, nr_data + 2, bytes);
    columns_fill(c);
    for (size_t at = 0; at < bytes; at++) {
        const uint8_t *const *data = (const uint8_t *const *)c->at;

        ((uint8_t *)c->at[nr_data])[at] = slow_parity(nr_data, data, at, 0);
        if (with_q) {
            ((uint8_t *)c->at[nr_data + 1])[at] = slow_parity(nr_data, data,
                                                              at, 1);
        }
    }
}

/* Every pair of columns, and every single one, with none or one more lost. */
static void recover_pairs(unsigned nr_data, bool with_q, size_t bytes)
{
    unsigned nr = nr_data + 1 + with_q;
    RaidMask all = raid_mask_first(nr);
    Columns c, out;

    make_stripe(&c, nr_data, with_q, bytes);
    columns_init(&out, nr_data + 2, bytes);
    for (unsigned a = 0; a < nr; a++) {
        for (unsigned b = a; b < nr; b++) {
            RaidMask pair = RAID_BIT(a) | RAID_BIT(b);

            check_recover(&c, &out, nr_data, all & ~pair, pair);
            check_recover(&c, &out, nr_data, all & ~pair, RAID_BIT(a));
            check_recover(&c, &out, nr_data, all & ~pair, RAID_BIT(b));
        }
    }
    columns_check_and_free(&c);
    columns_check_and_free(&out);
}

/* Everything that can be had or not, and everything that can be wanted. */
static void recover_all_sets(unsigned nr_data, bool with_q)
{
    unsigned nr = nr_data + 1 + with_q;
    RaidMask all = raid_mask_first(nr);
    Columns c, out;

    make_stripe(&c, nr_data, with_q, 64);
    columns_init(&out, nr_data + 2, 64);
    for (RaidMask have = 0; have <= all; have++) {
        for (RaidMask want = 0; want <= all; want++) {
            if (!(want & have) && raid_mask_count(want) <= 2) {
                check_recover(&c, &out, nr_data, have, want);
            }
        }
    }
    columns_check_and_free(&c);
    columns_check_and_free(&out);
}

static void test_recover_p(void)
{
    for (unsigned nr_data = 1; nr_data <= MAX_DATA; nr_data++) {
        recover_pairs(nr_data, false, 64);
    }
    recover_pairs(4, false, 4096 + 64);
}

static void test_recover_pq(void)
{
    for (unsigned nr_data = 1; nr_data < MAX_DATA; nr_data++) {
        recover_pairs(nr_data, true, 64);
    }
    recover_pairs(4, true, 4096 + 64);
}

static void test_recover_all_sets(void)
{
    for (unsigned nr_data = 1; nr_data <= 6; nr_data++) {
        recover_all_sets(nr_data, false);
        recover_all_sets(nr_data, true);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/parity/generate", test_generate);
    g_test_add_func("/parity/update", test_update);
    g_test_add_func("/parity/recover/p", test_recover_p);
    g_test_add_func("/parity/recover/pq", test_recover_pq);
    g_test_add_func("/parity/recover/all-sets", test_recover_all_sets);
    return g_test_run();
}
