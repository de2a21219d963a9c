/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest: random requests to the array, and whether they did what they should
 *
 * All functions: main loop.
 */
#ifndef OPUS_SIM_GUEST_H
#define OPUS_SIM_GUEST_H

#include "oracle.h"

typedef struct GuestSpec {
    unsigned workers;           /* requests in flight */
    unsigned requests;          /* of each worker */
    bool writes;                /* or only reads */
    bool scribbles;             /* buffers may change while in flight */
    /*
     * One more worker writes so many times to one place, slowly, but so often
     * that the array is never idle, and flushes nothing.
     */
    unsigned drips;
    unsigned align;
    /*
     * May requests fail while the power is on? They may where the array lost
     * more than it can bear, or what it can't bear yet.
     */
    bool (*may_fail)(void *opaque);
    void *opaque;
} GuestSpec;

/* Start the workers on the open array. */
void guest_start(const GuestSpec *spec, Oracle *oracle);
bool guest_is_busy(void);

/* Requests that were submitted since the start. */
unsigned guest_requests(void);

/* Has any request failed while there was power? */
bool guest_saw_errors(void);

#endif /* OPUS_SIM_GUEST_H */
