/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trial: the lives of one array, and what is left after each of them
 *
 * Owns: which disks belong to the array, and what may have happened to them.
 * Must not know: how the driver works; the promises are enough.
 * Threads: main loop.
 *
 * A life: the array is assembled from all disks that belong to it, checked as
 * a whole, put under load, and ends by a power cut or is closed. What is left
 * then must assemble again, within the limits of the level and the policy, and
 * hold what was written; and where redundancy is right, it must do so without
 * any of the members that it can do without.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/units.h"
#include "acts.h"
#include "choice.h"
#include "guest.h"
#include "judge.h"
#include "oracle.h"
#include "report.h"
#include "subject-acts.h"
#include "trial-parts.h"

static bool keeps_bitmap(OpusRaidConsistencyPolicy policy)
{
    return policy == OPUS_RAID_CONSISTENCY_POLICY_BITMAP;
}

void trial_choose(TrialSpec *spec, OpusRaidLevel level,
                  OpusRaidConsistencyPolicy policy)
{
    static const unsigned min_slots[] = {
        [OPUS_RAID_LEVEL_RAID1] = 2, [OPUS_RAID_LEVEL_RAID5] = 3,
        [OPUS_RAID_LEVEL_RAID6] = 4, [OPUS_RAID_LEVEL_RAID10] = 3,
    };
    unsigned slots = min_slots[level] + choice(3);
    uint32_t chunk = choice(2) ? 4 * KiB : 8 * KiB;
    /* With a bitmap, there should be more than what most requests go to. */
    unsigned chunks = keeps_bitmap(policy) ? 8 + choice(25) : 2 + choice(7);

    *spec = (TrialSpec) {
        .subject = {
            .level = level, .nr_slots = slots, .policy = policy,
            .chunk_bytes = chunk, .member_bytes = chunk * chunks,
            .room_bytes = choice(2) ? 4 * chunk : 0,
            .bitmap_chunk_bytes = chunk * (1 + choice(2)),
        },
        .bus = {
            .nr_disks = slots + 2, .atom = choice(2) ? 512 : 4096,
            .discard = choice(BUS_DISCARD__MAX), .fua = choice(3),
            .zeroes = choice(2),
        },
        .lives = 2 + choice(5), .faults = choice(3), .spares = choice(3),
        .acts = choice(2) ? 1 + choice(4) : 0,
    };
    spec->bus.disk_bytes = subject_disk_bytes(&spec->subject);
}

char *trial_describe(const TrialSpec *spec)
{
    return g_strdup_printf(
        "%s, %u members, policy %s, chunk %u, %" PRIu64 " bytes each, atom %u%s"
        "%s%s%s%s", OpusRaidLevel_str(spec->subject.level),
        spec->subject.nr_slots,
        OpusRaidConsistencyPolicy_str(spec->subject.policy),
        spec->subject.chunk_bytes, spec->subject.member_bytes, spec->bus.atom,
        spec->bus.fua ? ", FUA" : "", spec->bus.zeroes ? ", zeroes" : "",
        spec->faults ? ", faults" : "", spec->spares ? ", spares" : "",
        spec->acts ? ", acts" : "");
}

static void on_cut(void *opaque)
{
    Trial *t = opaque;

    report_note("# power cut at event %" PRIu64 "\n", bus_events());
    oracle_cut(t->oracle);
    t->counts->cuts++;
}

static void power_on(Trial *t, uint64_t cut_at)
{
    report_note("# power on, to be cut at %" PRIu64 "\n", cut_at);
    bus_power_on(cut_at, on_cut, t);
}

/* Is the array one that is refused when it is dirty and degraded? */
bool trial_needs_resync_first(const Trial *t)
{
    SubjectSpec other = t->subject;

    other.policy = t->other_policy;
    return !subject_heals_degraded(&t->subject) ||
           !subject_heals_degraded(&other);
}

/* Does redundancy await a resync? A degraded array does not tell. */
bool trial_is_pending(const Trial *t)
{
    OpusRaidArrayState state = subject_state();

    return state == OPUS_RAID_ARRAY_STATE_RESYNC_PENDING ||
           (state == OPUS_RAID_ARRAY_STATE_DEGRADED && t->was_crashed &&
            !trial_needs_resync_first(t));
}

/* May a request fail because of what the array had to go through? */
static bool may_fail(void *opaque)
{
    Trial *t = opaque;

    /* Nor can a bad block be made up for before a log is replayed. */
    if (t->was_pending && t->bad && subject_is_read_only()) {
        return true;
    }
    return t->was_pending && trial_needs_resync_first(t) && t->planned_faults;
}

/* Has it lost more than it can bear? Only faults of ours can do that. */
static bool has_failed(Trial *t)
{
    if (bus_is_cut() || subject_state() != OPUS_RAID_ARRAY_STATE_FAILED) {
        return false;
    }
    if (!may_fail(t)) {
        report_broken("the array has failed though enough members work");
    }
    return true;
}

static bool lacks_members(const Trial *t)
{
    return ctpop64(t->trusted) < t->subject.nr_slots;
}

/* Read all. */
void trial_check_content(Trial *t, bool settle)
{
    if (!judge_content(t->oracle, settle) && !bus_is_cut() && !may_fail(t)) {
        report_broken("the array can't be read");
    }
}

/*
 * Copies may differ until they are resynced, and then it counts which of them
 * are there; a chunk and its parity are another matter.
 */
static bool content_is_settled(const Trial *t, bool pending)
{
    OpusRaidLevel level = t->subject.level;

    /* A journal is yet to be replayed: what is old may become new. */
    if (subject_is_read_only() &&
        t->subject.policy == OPUS_RAID_CONSISTENCY_POLICY_JOURNAL) {
        return false;
    }
    /* P and Q may agree on what was there before, if data can't be read. */
    return !pending || level == OPUS_RAID_LEVEL_RAID5 ||
           (level == OPUS_RAID_LEVEL_RAID6 && !t->spec->faults);
}

/* Open the array; false when that is over, for now or for good. */
static bool open_array(Trial *t, SubjectHow how)
{
    Error *err = NULL;
    const char *text;

    if (subject_open(t->offered, how, &err)) {
        if (subject_bytes() < oracle_bytes(t->oracle)) {
            report_broken("the array has shrunk");
        }
        oracle_grow(t->oracle, subject_bytes());
        t->subject.policy = subject_policy();
        t->other_policy = t->subject.policy;
        return true;
    }
    text = error_get_pretty(err);
    report_note("# refused: %s\n", text);
    if (bus_is_cut()) {
        error_free(err);
        return false;
    }
    if (how == SUBJECT_READ_ONLY && t->crashed &&
        strstr(text, "DIRTY_DEGRADED")) {
        /* A log can't be replayed, so the data is to be had only writable. */
        error_free(err);
        return open_array(t, SUBJECT_WRITABLE);
    }
    if (!strstr(text, "DIRTY_DEGRADED") || !trial_needs_resync_first(t) ||
        !t->crashed || ctpop64(t->offered & t->trusted & ~t->shaky) >=
                       t->subject.nr_slots) {
        report_broken("the array is refused: %s", text);
    }
    error_free(err);
    t->over = true;
    t->counts->refusals++;
    return false;
}

/*
 * Compare what the driver says of members with what happened to them. What it
 * thinks after a cut stays with it.
 */
static void look_at_members(Trial *t)
{
    uint64_t in_sync = subject_disks(STATE(IN_SYNC));
    uint64_t lost = t->trusted & t->offered & ~in_sync & ~t->leaving &
                    ~t->shaky & ~bus_failed_disks();

    if (bus_is_cut()) {
        t->trusted &= ~bus_failed_disks();
        return;
    }
    if (lost) {
        report_broken("disks 0x%" PRIx64 " are not in sync though nothing "
                      "happened to them", lost);
    }
    t->counts->rebuilds += ctpop64(in_sync & ~t->trusted);
    t->leaving &= in_sync;
    t->trusted = in_sync & ~bus_failed_disks();
    report_note("# %s; in sync: 0x%" PRIx64 ", failed: 0x%" PRIx64 "\n",
                OpusRaidArrayState_str(subject_state()), in_sync,
                bus_failed_disks());
}

/* A disk that the array may lose now; false when there is none. */
bool trial_choose_victim(const Trial *t, unsigned *disk)
{
    uint64_t in_sync = subject_disks(STATE(IN_SYNC));
    unsigned missing = t->subject.nr_slots - ctpop64(in_sync);

    if (missing >= subject_tolerates(&t->subject)) {
        return false;
    }
    do {
        *disk = choice(t->spec->bus.nr_disks);
    } while (!(in_sync >> *disk & 1));
    return true;
}

/*
 * A guest that @drips sees bits of a bitmap cleared meanwhile, and members
 * flushed for that: some of those flushes fail, long after most requests.
 */
static void plan_faults(Trial *t, bool drips)
{
    bool sweep = drips && choice(4);
    unsigned disk;

    if (t->spec->faults && choice(2) && !t->bad && !t->planned_faults &&
        trial_choose_victim(t, &disk)) {
        BusFaultKind kind = sweep ? BUS_FAULT_FLUSH : choice(BUS_FAULT__MAX);

        bus_plan_fault(bus_events() + 1 + choice(sweep ? 600 :
                                                 choice(2) ? 20 : 200), disk,
                       kind);
        if (t->spec->acts && kind == BUS_FAULT_READ) {
            /* It may be the superblock that can't be read at a reopen. */
            t->shaky |= 1ull << disk;
        }
        t->counts->faults++;
        t->planned_faults = true;
    }
}

/* Give the array a spare, if it could use one. */
static void add_spare(Trial *t)
{
    uint64_t in_use = subject_disks(STATE(IN_SYNC) | STATE(REBUILDING) |
                                    STATE(SPARE));
    Error *err = NULL;

    if (subject_state() != OPUS_RAID_ARRAY_STATE_DEGRADED ||
        ctpop64(in_use) >= t->subject.nr_slots) {
        return;
    }
    for (unsigned disk = 0; disk < t->spec->bus.nr_disks; disk++) {
        if (t->offered >> disk & 1) {
            continue;
        }
        bus_replace(disk);
        t->removed &= ~(1ull << disk);
        t->trusted &= ~(1ull << disk);
        if (subject_add(disk, &err)) {
            t->offered |= 1ull << disk;
        } else if (!bus_is_cut() && !may_fail(t) && !bus_failed_disks()) {
            report_broken("a spare is refused: %s", error_get_pretty(err));
        }
        error_free(err);
        return;
    }
}

void trial_wait_for_jobs(void)
{
    while (subject_is_busy()) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

/* What a check has found on an array whose redundancy was right. */
static void look_at_mismatches(Trial *t)
{
    if (t->checks && !bus_is_cut() && !may_fail(t) && subject_mismatches()) {
        report_broken("%" PRIu64 " sectors do not fit together",
                      subject_mismatches());
    }
    t->checks = false;
}

/* Requests, faults, and what operators do. Ends without one in flight. */
static void load(Trial *t)
{
    bool rebuilds = t->spec->spares && choice(2) && !t->bad;
    unsigned acts = t->spec->acts ? choice(1 + t->spec->acts) : 0;
    unsigned next_act = choice(20);
    GuestSpec guest = {
        .workers = 1 + choice(4), .requests = choice(40),
        .writes = choice(5), .scribbles = choice(2),
        .drips = keeps_bitmap(t->subject.policy) && choice_once_in(3)
                 ? 80 + choice(120) : 0,
        .align = t->spec->bus.atom, .may_fail = may_fail, .opaque = t,
    };

    if (trial_needs_resync_first(t) && rebuilds && choice(2)) {
        /* Else a cut would leave it dirty and degraded, so it would end. */
        guest.writes = false;
    }
    plan_faults(t, guest.drips);
    guest_start(&guest, t->oracle);
    if (guest.writes && (guest.requests || guest.drips)) {
        t->crashed = true;
    }
    while (guest_is_busy() || subject_is_busy()) {
        if (rebuilds && guest_requests() > guest.requests / 2) {
            add_spare(t);
            rebuilds = false;
        }
        if (acts && guest_requests() >= next_act) {
            acts_beside(t);
            acts--;
            next_act = guest_requests() + choice(20);
        }
        aio_poll(qemu_get_aio_context(), true);
    }
    if (rebuilds && !bus_is_cut()) {
        add_spare(t);
    }
    for (; acts; acts--) {
        acts_beside(t);
    }
}

/* The middle of a life. */
static void live(Trial *t)
{
    load(t);
    if (subject_is_busy()) {
        trial_wait_for_jobs();
        if (choice(2)) {
            bus_cut();          /* just when it is done */
        }
    }
    look_at_mismatches(t);
    if (t->spec->acts && choice(2) && !bus_is_cut() && !guest_saw_errors()) {
        look_at_members(t);
        acts_between(t);
        if (!bus_is_cut() && !t->stuck && choice(2)) {
            load(t);
            trial_wait_for_jobs();
            look_at_mismatches(t);
        }
    }
    if (t->stuck) {
        bus_cut();
        t->stuck = false;
    }
}

/* The power goes while the array is assembled, or soon after. */
static void cut_recovery(Trial *t)
{
    Error *err = NULL;

    power_on(t, 1 + choice(20));
    if (subject_open(t->offered, SUBJECT_WRITABLE, &err)) {
        subject_close();
    }
    error_free(err);
    bus_cut();
    t->counts->recovery_cuts++;
}

/* Close the array, and judge what is left if nothing cut that short. */
static void end_life(Trial *t)
{
    uint64_t out;
    uint64_t gone;
    bool pending;
    bool failed;

    look_at_members(t);
    pending = trial_is_pending(t);
    failed = has_failed(t);
    if (!bus_is_cut() && !guest_saw_errors()) {
        trial_check_content(t, false);
    }
    out = subject_disks(STATE(STALE) | STATE(FAULTY));
    if (!bus_is_cut() && !subject_bad_bytes()) {
        t->bad = 0;
    }
    /* Those that are replaced may have gone while it waited for jobs. */
    subject_wait();
    gone = t->leaving & ~(bus_is_cut() ? 0 : subject_disks(STATE(IN_SYNC)));
    subject_close();
    t->trusted &= ~bus_failed_disks() & ~gone;
    if (bus_is_cut() || guest_saw_errors() || failed) {
        bus_cut();
        return;
    }
    /* What is out stays there for a while, and is then taken away. */
    if (choice(2)) {
        t->offered &= ~out;
        t->removed |= out;
    }
    /* All is durable once it is closed. */
    oracle_flush_end(t->oracle, oracle_flush_begin(t->oracle));
    bus_cut();
    t->crashed = pending;
    if (!t->crashed && !t->bad) {
        t->counts->opens += judge_redundancy(&t->subject, t->oracle,
                                             t->trusted);
        if (t->spec->acts && choice_once_in(4)) {
            acts_plant_bad(t);
        }
    }
}

/* Read all of an array that may have been left to be made right. */
static void check_recovered(Trial *t)
{
    if (t->was_crashed && lacks_members(t) && subject_may_mix(&t->subject)) {
        oracle_let_mix(t->oracle, subject_block_bytes());
    }
    trial_check_content(t, content_is_settled(t, t->was_pending));
    oracle_let_mix(t->oracle, 0);
}

/*
 * It was opened read-only: read all, and make it writable. What was read is
 * there to stay if that went well and no member was lost on the way. Else a log
 * was, or will be, replayed without what only that member had.
 */
static void be_shown(Trial *t)
{
    uint64_t trusted = t->trusted;
    Oracle *unread = oracle_copy(t->oracle);
    bool well;

    check_recovered(t);
    if (bus_is_cut()) {
        oracle_free(unread);
        return;
    }
    acts_make_writable(t);
    if (t->stuck) {
        bus_cut();
        t->stuck = false;
    }
    look_at_members(t);
    well = !bus_is_cut() && !(trusted & ~t->trusted);
    if (!t->was_crashed || !subject_may_mix(&t->subject) || well) {
        oracle_free(unread);
        return;
    }
    oracle_free(t->oracle);
    t->oracle = unread;
    if (bus_is_cut()) {
        oracle_cut(t->oracle);
    } else {
        check_recovered(t);
    }
}

/* One life. Returns with the power off. */
static void one_life(Trial *t)
{
    bool ends_well = choice_once_in(3);
    bool read_only = t->spec->acts && choice_once_in(4);

    if (choice_once_in(4)) {
        cut_recovery(t);
    }
    t->planned_faults = false;
    power_on(t, ends_well ? 0 : 1 + choice(choice(2) ? 60 : 1500));
    if (!open_array(t, read_only ? SUBJECT_READ_ONLY : SUBJECT_WRITABLE)) {
        bus_cut();
        return;
    }
    look_at_members(t);
    if (!bus_is_cut()) {
        t->shaky = 0;
    }
    t->was_crashed = t->crashed;
    t->was_pending = trial_is_pending(t);
    if (subject_is_read_only()) {
        be_shown(t);
    } else {
        check_recovered(t);
    }
    if (!bus_is_cut() && t->was_pending && choice_once_in(4)) {
        trial_wait_for_jobs();
        bus_cut();              /* just when it is resynced */
    }
    if (!bus_is_cut()) {
        live(t);
    }
    end_life(t);
}

void trial_run(const TrialSpec *spec, TrialCounts *counts)
{
    Trial t = { .spec = spec, .subject = spec->subject, .counts = counts,
                .other_policy = spec->subject.policy };
    Error *err = NULL;

    bus_open(&spec->bus);
    bus_power_on(0, NULL, NULL);
    if (!subject_create(&spec->subject, &err)) {
        report_broken("no array is made: %s", error_get_pretty(err));
    }
    bus_cut();
    t.offered = (1ull << spec->subject.nr_slots) - 1;
    t.trusted = t.offered;
    bus_power_on(0, NULL, NULL);
    if (!subject_open(t.offered, SUBJECT_READ_ONLY, NULL)) {
        report_broken("the new array can't be opened");
    }
    t.oracle = oracle_new(subject_bytes());
    subject_close();
    bus_cut();
    bus_let_lie(spec->lie);
    for (unsigned i = 0; i < spec->lives && !t.over; i++) {
        one_life(&t);
    }
    oracle_free(t.oracle);
    bus_close();
}
