/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of superblocks to test with: made up, or those that md wrote
 * (data/NAME.sb, see data/make-superblocks.sh).
 */
#ifndef TESTS_UNIT_SUPER_SET_H
#define TESTS_UNIT_SUPER_SET_H

#include "util/raid/assemble.h"

#define SUPER_SET_MAX   8
#define GOLDEN_BYTES    512     /* of one superblock in a .sb file */

typedef struct SuperSet {
    unsigned nr;
    RaidCandidate candidates[SUPER_SET_MAX];    /* each points into supers[] */
    MdSuper supers[SUPER_SET_MAX];
} SuperSet;

typedef struct Golden {
    char name[32];
    unsigned minor;
    unsigned nr;
    uint64_t device_bytes[SUPER_SET_MAX];
    uint8_t image[SUPER_SET_MAX][GOLDEN_BYTES];
} Golden;

/* Read one array; the test fails when it is not there. */
void golden_load(Golden *golden, const char *name);

/* Call @fn for each array that there is; returns how many. */
unsigned golden_foreach(void (*fn)(const Golden *golden));

/* A clean array of version 1.2; member i is device number i on slot i. */
void super_set_make(SuperSet *set, int32_t md_level, unsigned nr_slots);

/* Those of @golden that @which names: "013" is the first, second and fourth. */
void super_set_load(SuperSet *set, const Golden *golden, const char *which);

/* Add a member of the same array with the next device number; its index. */
unsigned super_set_add(SuperSet *set, uint16_t role);

/* What the members in @who_mask say of device number @dev. */
void super_set_say(SuperSet *set, unsigned who_mask, unsigned dev,
                   uint16_t role);

/* Leave out member @i; the others keep their order. */
void super_set_drop(SuperSet *set, unsigned i);

void super_set_copy(SuperSet *to, const SuperSet *from);

/* Writable, in all orders; @out is for the order given. */
bool super_set_assemble(const SuperSet *set, RaidPolicy policy,
                        RaidAssembly *out);

#endif /* TESTS_UNIT_SUPER_SET_H */
