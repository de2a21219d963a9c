/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quiet: how much is said of what clients do
 *
 * Owns: counting. Must not know: clocks, messages.
 * Threads: one at a time.
 */

#include "vub-quiet.h"

bool vub_quiet_may(VubQuiet *quiet, int64_t now_ns, unsigned *nr_unsaid)
{
    bool fresh = quiet->nr_said == 0 ||
                 now_ns - quiet->since_ns >= VUB_QUIET_INTERVAL_NS;

    *nr_unsaid = 0;
    if (fresh) {
        *nr_unsaid = quiet->nr_unsaid;
        *quiet = (VubQuiet) { .since_ns = now_ns };
    }
    if (quiet->nr_said == VUB_QUIET_MESSAGES) {
        quiet->nr_unsaid++;
        return false;
    }
    quiet->nr_said++;
    return true;
}
