/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acts: what operators do to the array in the middle of its life
 *
 * Owns: which of it can be done when, and what the trial must expect then.
 * Must not know: how the driver works, or how things are said to it.
 * Threads: main loop.
 *
 * A refusal is broken only where nothing explains it: no fault was planned, no
 * member was failed, and the power is on.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "acts.h"
#include "choice.h"
#include "report.h"
#include "subject-acts.h"

/* Frees the error, and clears it. Returns whether it went well. */
static bool carried_out(const char *what, bool ok, Error **err)
{
    report_note("# %s%s%s\n", what, ok ? "" : ": ",
                ok ? "" : error_get_pretty(*err));
    error_free(*err);
    *err = NULL;
    return ok;
}

/* The same for what may not be refused. */
static bool must_work(const Trial *t, const char *what, bool ok, Error **err)
{
    if (!ok && !bus_is_cut() && !t->planned_faults &&
        !strstr(error_get_pretty(*err), "in use by job")) {
        report_broken("%s is refused: %s", what, error_get_pretty(*err));
    }
    return carried_out(what, ok, err);
}

static void reopen(Trial *t)
{
    Error *err = NULL;
    bool ok = subject_reopen(&err);

    must_work(t, "reopen with an option", ok, &err);
}

/* One member goes, unless another one does anyway. */
static void fail(Trial *t)
{
    Error *err = NULL;
    unsigned disk;

    if (t->planned_faults || t->bad || !trial_choose_victim(t, &disk) ||
        (trial_needs_resync_first(t) && trial_is_pending(t))) {
        return;
    }
    t->planned_faults = true;
    t->trusted &= ~(1ull << disk);
    t->counts->faults++;
    carried_out("fail", subject_fail(disk, &err), &err);
}

static void remove_out(Trial *t)
{
    uint64_t out = subject_disks(STATE(FAULTY) | STATE(STALE));
    unsigned disk = ctz64(out);
    Error *err = NULL;

    if (out && carried_out("remove", subject_remove(disk, &err), &err)) {
        t->offered &= ~(1ull << disk);
        t->removed |= 1ull << disk;
    }
}

/* It may come back by the bitmap, be refused, or be too old. */
static void readd(Trial *t)
{
    unsigned disk = ctz64(t->removed);
    Error *err = NULL;

    if (t->removed && carried_out("re-add", subject_readd(disk, &err), &err)) {
        t->offered |= 1ull << disk;
        t->removed &= ~(1ull << disk);
    }
}

static void replace(Trial *t)
{
    uint64_t blank = ((1ull << t->spec->bus.nr_disks) - 1) & ~t->offered &
                     ~t->removed;
    uint64_t in_sync = subject_disks(STATE(IN_SYNC));
    Error *err = NULL;
    unsigned disk;

    if (!blank || t->planned_faults || t->bad || subject_is_busy() ||
        subject_state() != OPUS_RAID_ARRAY_STATE_OPTIMAL) {
        return;
    }
    do {
        disk = choice(t->spec->bus.nr_disks);
    } while (!(in_sync >> disk & 1));
    bus_replace(ctz64(blank));
    if (carried_out("replace", subject_replace(disk, ctz64(blank), &err),
                    &err)) {
        t->offered |= 1ull << ctz64(blank);
        t->leaving |= 1ull << disk;
    }
}

static void change_policy(Trial *t)
{
    OpusRaidConsistencyPolicy policy =
        choice(OPUS_RAID_CONSISTENCY_POLICY__MAX);
    Error *err = NULL;

    if (!subject_has_policy(t->subject.level, policy)) {
        return;
    }
    t->other_policy = policy;
    if (carried_out("policy change",
                    subject_set_policy(policy, t->subject.bitmap_chunk_bytes,
                                       &err), &err)) {
        t->subject.policy = policy;
    }
    if (!bus_is_cut()) {
        t->other_policy = t->subject.policy;
    }
}

static void grow(Trial *t)
{
    uint64_t bytes = subject_member_bytes() +
                     t->subject.chunk_bytes * (1 + choice(2));
    Error *err = NULL;

    if (bytes > t->spec->subject.member_bytes + t->subject.room_bytes) {
        return;
    }
    t->crashed = true;          /* it writes, whatever guests do */
    if (carried_out("grow", subject_grow(bytes, &err), &err)) {
        oracle_grow(t->oracle, subject_bytes());
    }
}

static void check(Trial *t)
{
    Error *err = NULL;
    bool trusted = subject_state() == OPUS_RAID_ARRAY_STATE_OPTIMAL;

    if (carried_out("check", subject_check(choice(2), &err), &err)) {
        t->checks = trusted;
    }
}

void acts_beside(Trial *t)
{
    static void (*const acts[])(Trial *t) = {
        reopen, reopen, fail, remove_out, readd, replace, change_policy, grow,
        check,
    };

    if (!bus_is_cut()) {
        acts[choice(ARRAY_SIZE(acts))](t);
    }
}

/* A read error may come just while the array is assembled anew. */
static void plan_read_error(Trial *t)
{
    unsigned disk;

    if (!t->planned_faults && t->spec->faults && !t->bad && choice(2) &&
        trial_choose_victim(t, &disk)) {
        bus_plan_fault(bus_events() + 1 + choice(40), disk, BUS_FAULT_READ);
        t->planned_faults = true;
        /* A member whose superblock can't be read is not known as one. */
        t->shaky |= 1ull << disk;
    }
}

void acts_make_writable(Trial *t)
{
    Error *err = NULL;
    bool ok;

    plan_read_error(t);
    ok = subject_set_read_only(false, &err);
    t->stuck = !must_work(t, "read-only to writable", ok, &err);
}

static void become_read_only(Trial *t)
{
    Error *err = NULL;
    bool ok = subject_set_read_only(true, &err);

    if (must_work(t, "writable to read-only", ok, &err)) {
        trial_check_content(t, false);
        if (choice(2)) {
            fail(t);
        }
        acts_make_writable(t);
    }
}

/* Another process may use the disks meanwhile. */
static void be_inactive(Trial *t)
{
    Error *err = NULL;
    bool ok = subject_set_active(false, &err);

    if (!must_work(t, "active to inactive", ok, &err)) {
        return;
    }
    if (choice(2)) {
        OracleWrite w = oracle_write_begin(t->oracle, 0, t->spec->bus.atom, 1,
                                           false);
        g_autofree uint8_t *buf = g_malloc(t->spec->bus.atom);

        oracle_fill(w.number, 0, t->spec->bus.atom, buf);
        t->crashed = true;          /* unless this life ends well */
        ok = subject_lend(t->offered, t->spec->bus.atom, buf, &err);
        if (!bus_is_cut()) {
            oracle_write_end(t->oracle, 0, t->spec->bus.atom, w, ok, ok);
        }
        carried_out("another tenant", ok, &err);
    }
    plan_read_error(t);
    ok = subject_set_active(true, &err);
    t->stuck = !must_work(t, "inactive to active", ok, &err);
}

void acts_between(Trial *t)
{
    trial_wait_for_jobs();
    /* One that has failed would come back, with what a flush has lost. */
    if (bus_is_cut() || subject_state() == OPUS_RAID_ARRAY_STATE_FAILED) {
        return;
    }
    if (choice(2)) {
        become_read_only(t);
    } else {
        be_inactive(t);
    }
}

void acts_plant_bad(Trial *t)
{
    bool bears = t->subject.level == OPUS_RAID_LEVEL_RAID1 ||
                 t->subject.level == OPUS_RAID_LEVEL_RAID10 ||
                 t->subject.policy == OPUS_RAID_CONSISTENCY_POLICY_JOURNAL;
    unsigned disk = ctz64(t->trusted);

    /* Another copy, or parity, has to be there. */
    if (bears && !t->bad && ctpop64(t->trusted) == t->subject.nr_slots &&
        subject_plant_bad(bus_image(disk), t->spec->bus.disk_bytes,
                          choice(t->spec->subject.member_bytes / 4096) * 4096,
                          4096)) {
        t->bad = 1ull << disk;
        report_note("# disk %u has bad blocks\n", disk);
    }
}
