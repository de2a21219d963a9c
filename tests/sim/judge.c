/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judge: does an array hold what it should?
 *
 * Owns: the words for what is wrong.
 * Must not know: how it came to this.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "bus.h"
#include "choice.h"
#include "judge.h"
#include "report.h"

bool judge_content(Oracle *oracle, bool settle)
{
    g_autofree uint8_t *all = subject_read_all();
    uint64_t bytes = subject_bytes();
    int64_t bad;

    if (!all || bus_is_cut()) {
        return false;
    }
    bad = oracle_check(oracle, 0, bytes, all, 0);
    if (bad >= 0) {
        oracle_explain(oracle, bad, all + bad);
        report_broken("the array holds what it must not, at %" PRId64, bad);
    }
    if (settle) {
        oracle_settle(oracle, 0, bytes, all);
    }
    return true;
}

static void open_without(Oracle *oracle, uint64_t in_sync, uint64_t left_out)
{
    Error *err = NULL;

    bus_cut();
    bus_power_on(0, NULL, NULL);
    if (!subject_open(in_sync & ~left_out, SUBJECT_READ_ONLY, &err)) {
        report_broken("refused without disks 0x%" PRIx64 ": %s", left_out,
                      error_get_pretty(err));
    }
    if (!judge_content(oracle, !left_out)) {
        report_broken("the array can't be read without disks 0x%" PRIx64,
                      left_out);
    }
    subject_close();
}

unsigned judge_redundancy(const SubjectSpec *spec, Oracle *oracle,
                          uint64_t in_sync)
{
    unsigned missing = spec->nr_slots - ctpop64(in_sync);
    unsigned more = subject_tolerates(spec) - missing;
    unsigned opens = 1;

    /* With all there are: what is read now is what the others must tell. */
    open_without(oracle, in_sync, 0);
    for (unsigned a = 0; more && in_sync >> a; a++) {
        uint64_t rest = in_sync & ~(1ull << a);

        if (!(in_sync >> a & 1)) {
            continue;
        }
        open_without(oracle, in_sync, 1ull << a);
        opens++;
        if (more > 1) {
            unsigned b = choice(64 - clz64(in_sync));

            while (!(rest >> b & 1)) {
                b = (b + 1) % 64;
            }
            open_without(oracle, in_sync, 1ull << a | 1ull << b);
            opens++;
        }
    }
    bus_cut();
    return opens;
}
