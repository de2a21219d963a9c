/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parity: P and Q of a stripe, as md computes them
 *
 * Owns:      the arithmetic of P and Q; the only file that calls ISA-L.
 * Knows not: geometry, members, which bytes of a stripe it works on.
 * Threads:   any; nothing here keeps state, all scratch is on the stack.
 * Keeps:     I2, as far as it is about arithmetic: P and Q are functions of the
 *            columns given, each byte of which is read once.
 *
 * What ISA-L asks for: xor_gen() two sources, pq_gen() two sources and 32-byte
 * lengths, the others 64 bytes; sources and results aligned to a vector.
 * xor_gen() and pq_gen() may write around the cache, so their results are not
 * read again here. What ec_encode_data() finds in its tables depends on the
 * processor since ISA-L 2.31: only ec_init_tables() knows.
 */
#include <assert.h>
#include <isa-l.h>
#include <string.h>

#include "parity.h"

#define MAX_COLUMNS     (RAID_MAX_MEMBERS + 1)
#define MAX_WANTED      2
#define TABLE_BYTES     32      /* ISA-L: for each coefficient */

/* Powers of the generator 2, reduced by 0x11d. */
static const uint8_t gf_exp[RAID_MAX_MEMBERS] = {
    0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80,
    0x1d, 0x3a, 0x74, 0xe8, 0xcd, 0x87, 0x13, 0x26,
    0x4c, 0x98, 0x2d, 0x5a, 0xb4, 0x75, 0xea, 0xc9,
    0x8f, 0x03, 0x06, 0x0c, 0x18, 0x30, 0x60, 0xc0,
    0x9d, 0x27, 0x4e, 0x9c, 0x25, 0x4a, 0x94, 0x35,
    0x6a, 0xd4, 0xb5, 0x77, 0xee, 0xc1, 0x9f, 0x23,
    0x46, 0x8c, 0x05, 0x0a, 0x14, 0x28, 0x50, 0xa0,
    0x5d, 0xba, 0x69, 0xd2, 0xb9, 0x6f, 0xde, 0xa1,
};

/* One wanted column as a sum of the columns that are there. */
typedef struct Row {
    const uint8_t *exps;        /* or NULL */
    unsigned column;            /* wanted */
    uint8_t coef[MAX_COLUMNS];  /* of each column; 0 where not needed */
} Row;

/* What every machine has in a register; wider ones buy little here. */
typedef uint64_t Vector __attribute__((vector_size(16), may_alias));

/* XOR of @nr columns into @out. */
static void xor_columns(unsigned nr, size_t bytes, void *const *columns,
                        void *out)
{
    void *vects[MAX_COLUMNS + 1];

    if (nr == 1) {
        memcpy(out, columns[0], bytes);
        return;
    }
    memcpy(vects, columns, nr * sizeof(vects[0]));
    vects[nr] = out;
    xor_gen(nr + 1, bytes, vects);
}

/*
 * to ^= from. Unlike xor_gen() this leaves the result in the cache, where it
 * is wanted next.
 */
static void xor_into(void *to, const void *from, size_t bytes)
{
    Vector *sum = to;
    const Vector *change = from;

    for (size_t i = 0; i < bytes / sizeof(Vector); i += 4) {
        sum[i] ^= change[i];
        sum[i + 1] ^= change[i + 1];
        sum[i + 2] ^= change[i + 2];
        sum[i + 3] ^= change[i + 3];
    }
}

void raid_parity_update(unsigned exp, size_t bytes, void *old,
                        const void *new_data, void *p, void *q)
{
    xor_into(old, new_data, bytes);
    if (p) {
        xor_into(p, old, bytes);
    }
    if (q) {
        unsigned char table[TABLE_BYTES], factor = gf_exp[exp];
        unsigned char *sum = q;

        ec_init_tables(1, 1, &factor, table);
        ec_encode_data_update(bytes, 1, 1, 0, table, old, &sum);
    }
}

/*
 * Recovery
 *
 * Let g(i) = 2^i, or what @exps has instead of i. With all data but D(x) known,
 *
 *     D(x) = P + sum D(i)                 and also
 *     D(x) = (Q + sum g(i) D(i)) / g(x),
 *
 * and with D(x) and D(y) unknown, adding g(y) times the first to the second
 * form of the sums leaves
 *
 *     D(x) = (Q + g(y) P + sum (g(i) + g(y)) D(i)) / (g(x) + g(y)).
 *
 * Each is a Row: a coefficient for each column that is there.
 */

static uint8_t power(const Row *row, unsigned i)
{
    return gf_exp[row->exps ? row->exps[i] : i];
}

/* P (or Q) by its definition, over the data in @data. */
static void row_of_parity(Row *row, unsigned nr_data, RaidMask data, bool q)
{
    RAID_MASK_FOREACH(i, data) {
        row->coef[i] = q ? power(row, i) : 1;
    }
    row->column = nr_data + q;
}

/* D(x) from P (or from Q) and all other data. */
static void row_of_data(Row *row, unsigned nr_data, RaidMask data, unsigned x,
                        bool q)
{
    uint8_t scale = q ? gf_inv(power(row, x)) : 1;

    RAID_MASK_FOREACH(i, data) {
        row->coef[i] = q ? gf_mul(power(row, i), scale) : 1;
    }
    row->coef[nr_data + q] = scale;
    row->column = x;
}

/* D(x) from P, Q and all data but D(x) and D(y). */
static void row_without(Row *row, unsigned nr_data, RaidMask data, unsigned x,
                        unsigned y)
{
    uint8_t scale = gf_inv(power(row, x) ^ power(row, y));

    RAID_MASK_FOREACH(i, data) {
        row->coef[i] = gf_mul(power(row, i) ^ power(row, y), scale);
    }
    row->coef[nr_data] = gf_mul(power(row, y), scale);
    row->coef[nr_data + 1] = scale;
    row->column = x;
}

/*
 * P (or Q) when D(x) is not there: put D(x), which the other one of them
 * gives, into the definition.
 */
static void row_of_parity_without(Row *row, unsigned nr_data, RaidMask data,
                                  unsigned x, bool q)
{
    Row lost = { .exps = row->exps };
    uint8_t scale = q ? power(row, x) : 1;

    row_of_data(&lost, nr_data, data, x, !q);
    row_of_parity(row, nr_data, data, q);
    RAID_MASK_FOREACH(i, data) {
        row->coef[i] ^= gf_mul(lost.coef[i], scale);
    }
    row->coef[nr_data + !q] = gf_mul(lost.coef[nr_data + !q], scale);
}

/* Fill a row for column @want; false if @have does not determine it. */
static bool make_row(Row *row, unsigned nr_data, const uint8_t *exps,
                     RaidMask have, unsigned want)
{
    RaidMask data = have & raid_mask_first(nr_data);
    RaidMask lost = raid_mask_first(nr_data) & ~data;
    bool have_p = have & RAID_BIT(nr_data);
    /* 63 data columns leave no bit for Q, and then there is none. */
    bool have_q = nr_data + 1 < RAID_MAX_MEMBERS &&
                  have & RAID_BIT(nr_data + 1);
    unsigned x, y;

    memset(row, 0, sizeof(*row));
    row->exps = exps;
    if (lost == 0) {
        row_of_parity(row, nr_data, data, want > nr_data);
        return true;
    }
    x = want < nr_data ? want : raid_mask_lowest(lost);
    lost &= ~RAID_BIT(x);

    if (want >= nr_data) {
        bool q = want > nr_data;

        if (lost || !(q ? have_p : have_q)) {
            return false;
        }
        row_of_parity_without(row, nr_data, data, x, q);
        return true;
    }
    if (lost == 0) {
        if (!have_p && !have_q) {
            return false;
        }
        row_of_data(row, nr_data, data, x, !have_p);
        return true;
    }
    y = raid_mask_lowest(lost);
    if (lost != RAID_BIT(y) || !have_p || !have_q) {
        return false;
    }
    row_without(row, nr_data, data, x, y);
    return true;
}

static bool is_plain_sum(const Row *row, RaidMask sources)
{
    RAID_MASK_FOREACH(i, sources) {
        if (row->coef[i] != 1) {
            return false;
        }
    }
    return true;
}

/* Columns that any of the rows needs. */
static RaidMask rows_sources(const Row *rows, unsigned nr_rows, RaidMask have)
{
    RaidMask sources = 0;

    RAID_MASK_FOREACH(i, have) {
        for (unsigned r = 0; r < nr_rows; r++) {
            if (rows[r].coef[i]) {
                sources |= RAID_BIT(i);
            }
        }
    }
    return sources;
}

/* Compute all rows in one pass over the columns in @have. */
static void apply_rows(const Row *rows, unsigned nr_rows, size_t bytes,
                       void *const *cols, RaidMask have)
{
    unsigned char tables[MAX_WANTED * MAX_COLUMNS * TABLE_BYTES];
    unsigned char coefs[MAX_WANTED * MAX_COLUMNS], *coef = coefs;
    void *from[MAX_COLUMNS];
    unsigned char *to[MAX_WANTED];
    RaidMask sources = rows_sources(rows, nr_rows, have);
    unsigned nr_sources = 0;

    RAID_MASK_FOREACH(i, sources) {
        from[nr_sources++] = cols[i];
    }
    if (nr_rows == 1 && is_plain_sum(&rows[0], sources)) {
        xor_columns(nr_sources, bytes, from, cols[rows[0].column]);
        return;
    }
    for (unsigned r = 0; r < nr_rows; r++) {
        to[r] = cols[rows[r].column];
        RAID_MASK_FOREACH(i, sources) {
            *coef++ = rows[r].coef[i];
        }
    }
    ec_init_tables(nr_sources, nr_rows, coefs, tables);
    ec_encode_data(bytes, nr_sources, nr_rows, tables,
                   (unsigned char **)from, to);
}

/* Each column's share by its own factor: pq_gen() knows 2^i only. */
static void generate_by_rows(unsigned nr_data, const uint8_t *exps,
                             size_t bytes, void *const *data, void *p,
                             void *q)
{
    RaidMask all_data = raid_mask_first(nr_data);
    Row rows[MAX_WANTED];
    void *cols[MAX_COLUMNS];

    memcpy(cols, data, nr_data * sizeof(cols[0]));
    cols[nr_data] = p;
    cols[nr_data + 1] = q;
    make_row(&rows[0], nr_data, exps, all_data, nr_data);
    make_row(&rows[1], nr_data, exps, all_data, nr_data + 1);
    apply_rows(rows, MAX_WANTED, bytes, cols, all_data);
}

void raid_parity_generate(unsigned nr_data, const uint8_t *exps, size_t bytes,
                          void *const *data, void *p, void *q)
{
    void *vects[MAX_COLUMNS + 1];

    if (!q) {
        xor_columns(nr_data, bytes, data, p);
        return;
    }
    if (exps) {
        generate_by_rows(nr_data, exps, bytes, data, p, q);
        return;
    }
    memcpy(vects, data, nr_data * sizeof(vects[0]));
    vects[nr_data] = p;
    vects[nr_data + 1] = q;
    pq_gen(nr_data + 2, bytes, vects);
}

bool raid_parity_recover(unsigned nr_data, const uint8_t *exps, size_t bytes,
                         void *const *cols, RaidMask have, RaidMask want)
{
    RaidMask all_data = raid_mask_first(nr_data);
    Row rows[MAX_WANTED];
    unsigned nr_rows = 0;

    assert(raid_mask_count(want) <= MAX_WANTED && !(have & want));
    if (want == 0) {
        return true;
    }
    if (nr_data >= 2 && (have & all_data) == all_data &&
        raid_mask_count(want) == 2) {
        raid_parity_generate(nr_data, exps, bytes, cols, cols[nr_data],
                             cols[nr_data + 1]);
        return true;
    }
    RAID_MASK_FOREACH(column, want) {
        if (!make_row(&rows[nr_rows++], nr_data, exps, have, column)) {
            return false;
        }
    }
    apply_rows(rows, nr_rows, bytes, cols, have);
    return true;
}
