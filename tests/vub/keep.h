/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rig whose daemon can be killed: the front-end keeps memory, ring and the
 * in-flight buffer, and gives them to the next one.
 */
#ifndef TESTS_VUB_KEEP_H
#define TESTS_VUB_KEEP_H

#include "rig.h"

typedef struct Keep {
    Rig rig;
    WireInflight info;
    int fd;
    uint8_t *map;
    WireSplitRegion *split;     /* that of ring 0 */
} Keep;

/* Up to a buffer that was given out and set; the ring does not run yet. */
void keep_open(Keep *keep, DiskKind kind, const Way *way, unsigned nr_rings);
/* Start and enable the ring. */
void keep_start(Keep *keep);
/* Kill the daemon. */
void keep_crash(Keep *keep);
/* Start the next one and give it all; the ring runs. */
void keep_resume(Keep *keep, DiskKind kind);
/* Tell all anew but the start, after the buffer was made up. */
void keep_hand_over(Keep *keep);
void keep_close(Keep *keep);
/* The same for one without a daemon. */
void keep_free(Keep *keep);

#endif /* TESTS_VUB_KEEP_H */
