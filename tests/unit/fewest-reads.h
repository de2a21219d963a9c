/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fewest reads: the least number of columns from which a band can be served
 *
 * The oracle for the choices of util/raid/plan. It knows no methods: it tries
 * all sets of columns, and asks linear algebra whether what is wanted follows
 * from them. Stripes too wide for that are counted by the methods' costs.
 */
#ifndef TESTS_UNIT_FEWEST_READS_H
#define TESTS_UNIT_FEWEST_READS_H

#include "util/raid/geometry.h"

#define FEWEST_MAX_ROLES    8

/* Answers that were found before, for one geometry; zeros at first. */
typedef struct FewestReads {
    /* [kind of request][parity to write][unreadable][want] */
    uint8_t found[4][4][1 << FEWEST_MAX_ROLES][1 << FEWEST_MAX_ROLES];
} FewestReads;

typedef struct FewestReadsCase {
    RaidMask unreadable;        /* roles, no more than parity bears */
    RaidMask missing;           /* those of them that can't be written */
    RaidMask want;              /* data roles to read or to write */
    bool write;
    bool use_parity;            /* may old parity be read? */
} FewestReadsCase;

unsigned fewest_reads(FewestReads *cache, const RaidGeometry *geom,
                      const FewestReadsCase *c);

#endif /* TESTS_UNIT_FEWEST_READS_H */
