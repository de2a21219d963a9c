/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quiet: how much is said of what clients do
 *
 * A client can do thousands of things a second that are worth a message.
 */

#ifndef OPUS_VUB_QUIET_H
#define OPUS_VUB_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#define VUB_QUIET_MESSAGES 20
#define VUB_QUIET_INTERVAL_NS (60 * 1000000000ll)

typedef struct VubQuiet {
    int64_t since_ns;           /* when this interval began */
    unsigned nr_said;           /* in it */
    unsigned nr_unsaid;         /* in it */
} VubQuiet;

/*
 * True if one more message may be said: VUB_QUIET_MESSAGES of each interval,
 * the first of which begins with the first message. *@nr_unsaid is how many
 * were left out in the interval that has just ended, and is to be said then.
 */
bool vub_quiet_may(VubQuiet *quiet, int64_t now_ns, unsigned *nr_unsaid);

#endif /* OPUS_VUB_QUIET_H */
