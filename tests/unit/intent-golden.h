/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmaps and partial parity logs that md wrote, with the superblocks they
 * belong to (data/NAME.intent, see data/make-intents.sh).
 */
#ifndef TESTS_UNIT_INTENT_GOLDEN_H
#define TESTS_UNIT_INTENT_GOLDEN_H

#include "util/raid/geometry.h"
#include "util/raid/md-super.h"

#define INTENT_MAX_MEMBERS  4

typedef struct IntentMember {
    MdSuper super;
    uint64_t device_bytes;
    const uint8_t *intent;          /* start of the bitmap or log */
    const uint8_t *data;            /* start of the data area */
} IntentMember;

typedef struct IntentGolden {
    char name[32];
    unsigned nr;
    size_t intent_bytes;            /* of each member */
    size_t data_bytes;
    RaidGeometry geom;
    IntentMember members[INTENT_MAX_MEMBERS];
    uint8_t *bytes;                 /* of the whole file */
} IntentGolden;

/* Read one array; the test fails when it is not there. */
IntentGolden *intent_golden_load(const char *name);
void intent_golden_free(IntentGolden *golden);

#endif /* TESTS_UNIT_INTENT_GOLDEN_H */
