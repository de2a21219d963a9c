/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sabotage: steps that can be left out, so that it shows whether a test notices
 *
 * Owns: which step it is.
 * Must not know: what the steps are.
 * Threads: any.
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "block/opus-raid/base/sabotage.h"

#ifdef OPUS_SABOTAGE
bool opus_sabotaged(OpusSabotage step)
{
    static int chosen = -1;

    if (OPUS_SABOTAGE >= 0) {
        return step == OPUS_SABOTAGE;
    }
    if (qatomic_read(&chosen) < 0) {
        const char *text = getenv("OPUS_SABOTAGE");

        qatomic_set(&chosen, text ? atoi(text) : 0);
    }
    return step == qatomic_read(&chosen);
}
#endif
