/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts: what operators do to the array in the middle of its life
 */
#ifndef OPUS_SIM_ACTS_H
#define OPUS_SIM_ACTS_H

#include "trial-parts.h"

/* One thing, at random, that may be done while requests are in flight. */
void acts_beside(Trial *t);

/*
 * One that takes the array away from all its users for a while; none may have
 * a request in flight. If it can't be brought back, t->stuck is set.
 */
void acts_between(Trial *t);

/* An array that was opened read-only becomes writable, or is stuck. */
void acts_make_writable(Trial *t);

/* While the power is off, a disk gets bad blocks that others make up for. */
void acts_plant_bad(Trial *t);

#endif /* OPUS_SIM_ACTS_H */
