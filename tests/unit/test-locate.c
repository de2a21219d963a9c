/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/locate: every number of columns and every one of them
 * that is damaged, pairs that are, and every difference that a byte can make.
 */
#include <glib.h>
#include <string.h>

#include "slow-parity.h"
#include "util/raid/locate.h"

#define MAX_DATA    62
#define BYTES       512

typedef struct Stripe {
    unsigned nr_data;
    const uint8_t *exps;
    uint8_t columns[MAX_DATA + 2][BYTES];
    uint8_t want_p[BYTES];
    uint8_t want_q[BYTES];
} Stripe;

static void compute_parity(Stripe *s, uint8_t *p, uint8_t *q)
{
    memset(p, 0, BYTES);
    memset(q, 0, BYTES);
    for (unsigned i = 0; i < s->nr_data; i++) {
        uint8_t power = slow_power(s->exps ? s->exps[i] : i);

        for (unsigned b = 0; b < BYTES; b++) {
            p[b] ^= s->columns[i][b];
            q[b] ^= slow_times(power, s->columns[i][b]);
        }
    }
}

static void random_bytes(uint8_t *to)
{
    for (unsigned b = 0; b < BYTES; b++) {
        to[b] = g_test_rand_int();
    }
}

static Stripe *new_stripe(unsigned nr_data, const uint8_t *exps)
{
    Stripe *s = g_new0(Stripe, 1);

    s->nr_data = nr_data;
    s->exps = exps;
    for (unsigned i = 0; i < nr_data; i++) {
        random_bytes(s->columns[i]);
    }
    compute_parity(s, s->columns[nr_data], s->columns[nr_data + 1]);
    return s;
}

/* What is found after parity was computed anew from the data. */
static int locate(Stripe *s)
{
    compute_parity(s, s->want_p, s->want_q);
    return raid_locate(s->nr_data, s->exps, BYTES, s->columns[s->nr_data],
                       s->columns[s->nr_data + 1], s->want_p, s->want_q);
}

/* Make @nr bytes from @first on differ from what they are. */
static void damage(Stripe *s, unsigned column, unsigned first, unsigned nr)
{
    for (unsigned b = first; b < first + nr; b++) {
        s->columns[column][b] ^= g_test_rand_int_range(1, 256);
    }
}

static void repair(Stripe *s, int column)
{
    if (column < (int)s->nr_data) {
        raid_locate_repair(BYTES, s->columns[column], s->columns[s->nr_data],
                           s->want_p);
    } else {
        memcpy(s->columns[column],
               column == (int)s->nr_data ? s->want_p : s->want_q, BYTES);
    }
}

static void check_every_column(unsigned nr_data, const uint8_t *exps)
{
    static const struct {
        unsigned first, nr;
    } ranges[] = { { 0, BYTES }, { 0, 1 }, { BYTES - 1, 1 }, { 100, 17 } };

    g_autofree Stripe *s = new_stripe(nr_data, exps);
    g_autofree Stripe *right = g_new(Stripe, 1);

    g_assert_cmpint(locate(s), ==, RAID_LOCATE_CLEAN);
    *right = *s;
    for (unsigned column = 0; column < nr_data + 2; column++) {
        for (unsigned r = 0; r < G_N_ELEMENTS(ranges); r++) {
            damage(s, column, ranges[r].first, ranges[r].nr);
            g_assert_cmpint(locate(s), ==, column);
            repair(s, column);
            g_assert_cmpint(locate(s), ==, RAID_LOCATE_CLEAN);
            g_assert(!memcmp(s->columns, right->columns, sizeof(s->columns)));
        }
    }
}

static void test_every_column(void)
{
    for (unsigned nr_data = 2; nr_data <= MAX_DATA; nr_data++) {
        check_every_column(nr_data, NULL);
    }
}

/* As DDF counts: each slot takes an exponent, so those of P and Q do, too. */
static void check_exponents(unsigned nr_data, unsigned p, unsigned q)
{
    uint8_t exps[MAX_DATA];
    unsigned i = 0;

    for (unsigned slot = 0; slot < nr_data + 2; slot++) {
        if (slot != p && slot != q) {
            exps[i++] = slot;
        }
    }
    g_assert_cmpuint(i, ==, nr_data);
    check_every_column(nr_data, exps);
}

static void test_exponents(void)
{
    for (unsigned nr_data = 2; nr_data <= MAX_DATA; nr_data += 12) {
        check_exponents(nr_data, 0, 1);
        check_exponents(nr_data, nr_data / 2, nr_data / 2 + 1);
        check_exponents(nr_data, nr_data + 1, 0);
        check_exponents(nr_data, nr_data, nr_data + 1);
    }
}

/* The same bytes of two columns, and different ones. */
static void test_every_pair(void)
{
    for (unsigned nr_data = 2; nr_data <= MAX_DATA; nr_data += 5) {
        g_autofree Stripe *s = new_stripe(nr_data, NULL);
        g_autofree Stripe *right = g_memdup2(s, sizeof(*s));

        for (unsigned a = 0; a < nr_data + 2; a++) {
            for (unsigned b = 0; b < a; b++) {
                damage(s, a, 0, BYTES);
                damage(s, b, 0, BYTES);
                g_assert_cmpint(locate(s), ==, RAID_LOCATE_MANY);
                *s = *right;
                damage(s, a, 0, 64);
                damage(s, b, 448, 64);
                g_assert_cmpint(locate(s), ==, RAID_LOCATE_MANY);
                *s = *right;
            }
        }
    }
}

/* One byte: a column is named exactly when it could have made both. */
static void test_every_difference(void)
{
    uint8_t zero = 0;

    for (unsigned nr_data = 2; nr_data <= MAX_DATA; nr_data += 10) {
        for (unsigned dp = 0; dp < 256; dp++) {
            for (unsigned dq = 0; dq < 256; dq++) {
                uint8_t p = dp, q = dq;
                int column = RAID_LOCATE_MANY;

                for (unsigned z = 0; z < nr_data && dp; z++) {
                    if (slow_times(slow_power(z), dp) == dq) {
                        column = z;
                    }
                }
                if (!dp || !dq) {
                    column = RAID_LOCATE_CLEAN;
                    if (dp || dq) {
                        column = dp ? nr_data : nr_data + 1;
                    }
                }
                g_assert_cmpint(raid_locate(nr_data, NULL, 1, &p, &q, &zero,
                                            &zero), ==, column);
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/locate/every-column", test_every_column);
    g_test_add_func("/locate/exponents", test_exponents);
    g_test_add_func("/locate/every-pair", test_every_pair);
    g_test_add_func("/locate/every-difference", test_every_difference);
    return g_test_run();
}
