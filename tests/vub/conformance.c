/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test-vub-conformance: a vhost-user-blk export against its specifications.
 *
 * usage: OPUS_DAEMON=PROGRAM test-vub-conformance [--list | WORD...]
 *
 * Speaks the protocol itself, so that it can also speak it wrongly. PROGRAM
 * is a qemu-storage-daemon; with WORDs only cases that hold one of them run.
 */
#include <glib.h>
#include <signal.h>

#include "cases.h"

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (!g_getenv("OPUS_DAEMON")) {
        g_printerr("OPUS_DAEMON must name a qemu-storage-daemon\n");
        return 1;
    }
    add_feature_cases();
    add_config_cases();
    add_ring_cases();
    add_request_cases();
    add_provision_cases();
    add_chain_cases();
    add_notify_cases();
    add_message_cases();
    add_framing_cases();
    add_memory_cases();
    add_life_cases();
    add_several_cases();
    add_log_cases();
    add_inflight_cases();
    add_unstable_cases();
    add_vanish_cases();
    return cases_run(argc, argv);
}
