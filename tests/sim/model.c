/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model: everything that can happen to a very small array
 *
 * Owns: the scenarios, and which states were seen.
 * Must not know: how the driver works.
 * Threads: main loop.
 *
 * The driver can't be copied in the middle of a run, so a run is repeated up
 * to where it is to go another way. A state that was seen before, of disks,
 * caches, requests in flight and what the guest was told, ends it: what could
 * follow has been looked at. Jobs do not run: they take their time, and no two
 * states would be equal. Random trials have them.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/units.h"
#include "choice.h"
#include "guest.h"
#include "judge.h"
#include "model.h"
#include "report.h"
#include "snapshot.h"

#define CHUNK       (4 * KiB)
#define STRIPES     2
#define STATE(name) (1u << OPUS_RAID_MEMBER_STATE_##name)

/* What the two writes are. */
typedef enum ModelLoad {
    LOAD_ONE_STRIPE,            /* two chunks of it */
    LOAD_TWO_STRIPES,
    LOAD_OVERLAP,               /* a whole stripe, and a chunk of it */
    LOAD_IN_TURN,               /* one chunk twice, with a flush between */
    LOAD__MAX,
    LOAD_RANDOM = LOAD__MAX,    /* not one of two writes */
} ModelLoad;

typedef struct Scenario {
    SubjectSpec subject;
    uint64_t offered;           /* disks */
    ModelLoad load;
    uint64_t seed;              /* of a random load */
    uint64_t fault_at;          /* event after which disk 0 is gone; 0: none */
} Scenario;

static struct {
    const ModelBounds *bounds;
    ModelCounts *counts;
    Scenario scenario;
    SnapshotBase base;
    GHashTable *states;
    GHashTable *cuts;
    GQueue todo;                /* of Snapshot */
    Oracle *oracle;
    const Snapshot *recovers;   /* what is being recovered, or NULL */
    uint64_t opened;            /* events by then */
    unsigned busy;
    bool written;
} model;

static bool is_new(GHashTable *seen, uint64_t hash)
{
    return g_hash_table_add(seen, g_memdup2(&hash, sizeof(hash)));
}

/* --- all cuts of a state -------------------------------------------------- */

typedef struct Cuts {
    uint64_t oracle_hash;
    unsigned nr[BUS_MAX_DISKS];         /* volatile writes */
    uint64_t *hashes[BUS_MAX_DISKS];    /* for each subset of these */
} Cuts;

static void push_cut(const uint64_t *keep)
{
    const Snapshot *parent = model.recovers;
    Snapshot *s = snapshot_take(&model.base, parent, keep);

    s->oracle = oracle_copy(parent ? parent->oracle : model.oracle);
    oracle_cut(s->oracle);
    s->depth = parent ? parent->depth + 1 : 0;
    s->failed_disks = parent ? parent->failed_disks : bus_failed_disks();
    s->written = parent ? parent->written : model.written;
    g_queue_push_tail(&model.todo, s);
    model.counts->cuts++;
    model.counts->again += s->depth > 0;
}

static void take_cut(const Cuts *cuts, uint64_t keep_all)
{
    uint64_t keep[BUS_MAX_DISKS] = { 0 };
    uint64_t hash = cuts->oracle_hash;

    for (unsigned disk = 0; disk < model.base.nr_disks; disk++) {
        keep[disk] = keep_all & ((1ull << cuts->nr[disk]) - 1);
        keep_all >>= cuts->nr[disk];
        hash += cuts->hashes[disk][keep[disk]];
    }
    if (is_new(model.cuts, hash)) {
        push_cut(keep);
    }
}

/* What is known beside the content of the disks. */
static uint64_t hash_knowledge(void)
{
    const Snapshot *parent = model.recovers;
    Oracle *oracle = oracle_copy(parent ? parent->oracle : model.oracle);
    uint64_t h;

    oracle_cut(oracle);
    h = oracle_hash(oracle) * 3;
    oracle_free(oracle);
    return h + (parent ? parent->failed_disks * 5 + parent->written
                       : bus_failed_disks() * 5 + model.written);
}

static void take_cuts(void)
{
    Cuts cuts = { .oracle_hash = hash_knowledge() };
    unsigned nr = 0;

    for (unsigned disk = 0; disk < model.base.nr_disks; disk++) {
        cuts.nr[disk] = bus_volatile(disk);
        cuts.hashes[disk] = g_new(uint64_t, 1ull << cuts.nr[disk]);
        for (uint64_t keep = 0; keep < 1ull << cuts.nr[disk]; keep++) {
            cuts.hashes[disk][keep] = snapshot_hash_disk(&model.base,
                                                         model.recovers, disk,
                                                         keep);
        }
        nr += cuts.nr[disk];
    }
    if (nr > model.bounds->volatile_writes) {
        nr = model.bounds->volatile_writes;
        model.counts->bounded++;
    }
    for (uint64_t keep = 0; keep < 1ull << nr; keep++) {
        take_cut(&cuts, keep);
    }
    for (unsigned disk = 0; disk < model.base.nr_disks; disk++) {
        g_free(cuts.hashes[disk]);
    }
}

/* At each event of a run. */
static void watch_run(void *opaque)
{
    uint64_t events = bus_events() - model.opened;
    uint64_t pending = events < model.scenario.fault_at ? events : 0;

    if (!choice_explores_new()) {
        return;
    }
    if (!is_new(model.states, bus_hash() + oracle_hash(model.oracle) * 3 +
                              model.busy * 5 + pending * 7 + model.written)) {
        /* All that follows is known: let the run end any way. */
        choice_set_mode(CHOICE_FIRST);
        return;
    }
    model.counts->states++;
    take_cuts();
}

static void watch_recovery(void *opaque)
{
    take_cuts();
}

/* The same for a random load, where only some of the cuts are looked at. */
static void watch_load(void *opaque)
{
    for (unsigned i = 0; i < model.bounds->cuts_each; i++) {
        Cuts cuts = { .oracle_hash = hash_knowledge() };
        uint64_t keep[BUS_MAX_DISKS] = { 0 };
        uint64_t hash = cuts.oracle_hash;

        for (unsigned disk = 0; disk < model.base.nr_disks; disk++) {
            for (unsigned bit = 0; bit < bus_volatile(disk); bit++) {
                keep[disk] |= (uint64_t)choice(2) << bit % 64;
            }
            hash += snapshot_hash_disk(&model.base, NULL, disk, keep[disk]);
        }
        if (is_new(model.cuts, hash)) {
            push_cut(keep);
        }
    }
    model.counts->states++;
}

/* --- the two writes ------------------------------------------------------- */

typedef struct Write {
    uint64_t off;
    uint64_t bytes;
    bool flush_first;
} Write;

static uint64_t stripe_bytes(void)
{
    return subject_bytes() / STRIPES;
}

static void coroutine_fn do_write(const Write *w, Oracle *oracle)
{
    g_autofree uint8_t *buf = g_malloc(w->bytes);
    OracleWrite write;
    int ret;

    if (w->flush_first) {
        uint64_t begun = oracle_flush_begin(oracle);

        if (blk_co_flush(subject_blk()) == 0) {
            oracle_flush_end(oracle, begun);
        }
    }
    write = oracle_write_begin(oracle, w->off, w->bytes, 1, false);
    oracle_fill(write.number, w->off, w->bytes, buf);
    model.written = true;
    ret = blk_co_pwrite(subject_blk(), w->off, w->bytes, buf, 0);
    oracle_write_end(oracle, w->off, w->bytes, write, ret >= 0, false);
}

static void coroutine_fn first_co(void *opaque)
{
    Write w = { .bytes = CHUNK };

    if (model.scenario.load == LOAD_OVERLAP) {
        w.bytes = stripe_bytes();
    }
    do_write(&w, model.oracle);
    if (model.scenario.load == LOAD_IN_TURN) {
        w.flush_first = true;
        do_write(&w, model.oracle);
    }
    model.busy--;
}

static void coroutine_fn second_co(void *opaque)
{
    Write w = { .bytes = CHUNK };

    switch (model.scenario.load) {
    case LOAD_ONE_STRIPE:
    case LOAD_OVERLAP:
        w.off = stripe_bytes() - CHUNK;
        break;
    case LOAD_TWO_STRIPES:
        w.off = stripe_bytes();
        break;
    default:
        model.busy--;
        return;
    }
    do_write(&w, model.oracle);
    model.busy--;
}

static bool never(void *opaque)
{
    return false;
}

/* A random load, on an array that is otherwise like the small ones. */
static void run_load(void)
{
    GuestSpec guest = {
        .workers = 3, .requests = 12, .writes = true, .align = 512,
        .may_fail = never,
    };

    bus_watch(watch_load, NULL);
    model.written = true;
    guest_start(&guest, model.oracle);
    while (guest_is_busy()) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

static void run_two_writes(void)
{
    model.busy = 2;
    bus_watch(watch_run, NULL);
    choice_set_mode(CHOICE_EXPLORE);
    qemu_coroutine_enter(qemu_coroutine_create(first_co, NULL));
    qemu_coroutine_enter(qemu_coroutine_create(second_co, NULL));
    while (model.busy) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

static void run_writes(void)
{
    Error *err = NULL;
    uint64_t begun;

    snapshot_base_restore(&model.base);
    bus_power_on(0, NULL, NULL);
    choice_set_mode(CHOICE_FIRST);
    if (!subject_open(model.scenario.offered, SUBJECT_WRITABLE, &err)) {
        report_broken("refused: %s", error_get_pretty(err));
    }
    model.opened = bus_events();
    if (model.scenario.fault_at) {
        bus_plan_fault(model.opened + model.scenario.fault_at, 0,
                       BUS_FAULT_GONE);
    }
    model.oracle = oracle_new(subject_bytes());
    model.written = false;
    if (model.scenario.load == LOAD_RANDOM) {
        choice_set_mode(CHOICE_RANDOM);
        run_load();
    } else {
        run_two_writes();
    }
    begun = oracle_flush_begin(model.oracle);
    if (blk_flush(subject_blk()) == 0) {
        oracle_flush_end(model.oracle, begun);
    }
    subject_close();
    bus_watch(NULL, NULL);
    choice_set_mode(CHOICE_FIRST);
    bus_cut();
    oracle_free(model.oracle);
    model.counts->runs++;
}

/* --- recovery ------------------------------------------------------------- */

static bool is_degraded(void)
{
    return ctpop64(model.scenario.offered) < model.scenario.subject.nr_slots;
}

static bool refusal_is_right(const Snapshot *s, const char *text)
{
    const SubjectSpec *spec = &model.scenario.subject;

    return strstr(text, "DIRTY_DEGRADED") && s->written &&
           !subject_heals_degraded(spec) &&
           (s->failed_disks || is_degraded());
}

static bool has_parity(void)
{
    return model.scenario.subject.level == OPUS_RAID_LEVEL_RAID5 ||
           model.scenario.subject.level == OPUS_RAID_LEVEL_RAID6;
}

typedef struct WriteAgain {
    Oracle *oracle;
    bool done;
} WriteAgain;

static void coroutine_fn write_again_co(void *opaque)
{
    WriteAgain *again = opaque;
    Write w = { .bytes = CHUNK };

    do_write(&w, again->oracle);
    again->done = true;
}

/* Life goes on, so that what recovery left behind has to bear another cut. */
static void write_again(Snapshot *s)
{
    WriteAgain again = { .oracle = s->oracle };

    s->written = true;
    qemu_coroutine_enter(qemu_coroutine_create(write_again_co, &again));
    while (!again.done) {
        aio_poll(qemu_get_aio_context(), true);
    }
}

/* The array is open again. */
static void check_recovered(Snapshot *s)
{
    uint64_t in_sync = subject_disks(STATE(IN_SYNC));
    OpusRaidArrayState state;

    if (!s->failed_disks && model.scenario.offered & ~in_sync) {
        report_broken("disks 0x%" PRIx64 " are lost, though nothing happened "
                      "to them", model.scenario.offered & ~in_sync);
    }
    if (subject_may_mix(&model.scenario.subject) &&
        (s->failed_disks || is_degraded())) {
        oracle_let_mix(s->oracle, subject_block_bytes());
    }
    if (!judge_content(s->oracle, has_parity())) {
        report_broken("the array can't be read");
    }
    oracle_let_mix(s->oracle, 0);
    if (s->depth < model.bounds->recovery_cuts) {
        write_again(s);
    }
    while (subject_is_busy()) {
        aio_poll(qemu_get_aio_context(), true);
    }
    state = subject_state();
    subject_close();
    bus_watch(NULL, NULL);
    bus_cut();
    if (state == OPUS_RAID_ARRAY_STATE_OPTIMAL) {
        judge_redundancy(&model.scenario.subject, s->oracle, in_sync);
    }
}

static void recover(Snapshot *s)
{
    Error *err = NULL;

    snapshot_restore(&model.base, s);
    bus_power_on(0, NULL, NULL);
    model.recovers = s;
    if (s->depth < model.bounds->recovery_cuts) {
        bus_watch(watch_recovery, NULL);
    }
    if (subject_open(model.scenario.offered, SUBJECT_WRITABLE, &err)) {
        check_recovered(s);
    } else if (refusal_is_right(s, error_get_pretty(err))) {
        model.counts->refusals++;
        error_free(err);
    } else {
        report_broken("refused: %s", error_get_pretty(err));
    }
    bus_watch(NULL, NULL);
    bus_cut();
    model.recovers = NULL;
}

static void recover_all(void)
{
    Snapshot *s;

    while ((s = g_queue_pop_head(&model.todo))) {
        recover(s);
        snapshot_free(s);
    }
}

/* --- scenarios ------------------------------------------------------------ */

static const char *load_name(ModelLoad load)
{
    static const char *const names[] = {
        [LOAD_ONE_STRIPE] = "one stripe", [LOAD_TWO_STRIPES] = "two stripes",
        [LOAD_OVERLAP] = "overlap", [LOAD_IN_TURN] = "in turn",
        [LOAD_RANDOM] = "random",
    };

    return names[load];
}

/* Returns the events of a run. */
static uint64_t run_scenario(const Scenario *scenario)
{
    BusSpec bus = {
        .nr_disks = scenario->subject.nr_slots, .atom = 4096, .fua = true,
        .disk_bytes = subject_disk_bytes(&scenario->subject), .exact = true,
    };
    uint64_t events;

    report_context("--model, %s, %u members, policy %s, load %s, disks 0x%"
                   PRIx64 ", disk 0 gone at event %" PRIu64 ", seed %" PRIu64,
                   OpusRaidLevel_str(scenario->subject.level),
                   scenario->subject.nr_slots,
                   OpusRaidConsistencyPolicy_str(scenario->subject.policy),
                   load_name(scenario->load), scenario->offered,
                   scenario->fault_at, scenario->seed);
    model.scenario = *scenario;
    model.states = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                         NULL);
    model.cuts = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free,
                                       NULL);
    choice_set_mode(CHOICE_FIRST);
    bus_open(&bus);
    bus_power_on(0, NULL, NULL);
    subject_create(&scenario->subject, &error_abort);
    bus_cut();
    snapshot_base_take(&model.base, &bus);

    choice_explore_start();
    do {
        run_writes();
        events = bus_events() - model.opened;
        recover_all();
    } while (choice_explore_next());

    snapshot_base_free(&model.base);
    bus_close();
    g_hash_table_destroy(model.states);
    g_hash_table_destroy(model.cuts);
    model.counts->scenarios++;
    return events;
}

void model_replay(OpusRaidLevel level, unsigned nr_slots,
                  OpusRaidConsistencyPolicy policy, uint64_t seed,
                  const ModelBounds *bounds, ModelCounts *counts)
{
    Scenario sc = {
        .subject = {
            .level = level, .nr_slots = nr_slots, .policy = policy,
            .chunk_bytes = CHUNK, .member_bytes = 4 * CHUNK,
            .bitmap_chunk_bytes = CHUNK,
        },
        .load = LOAD_RANDOM, .seed = seed,
    };

    model.bounds = bounds;
    model.counts = counts;
    subject_let_jobs_start(false);
    sc.offered = (1ull << nr_slots) - 1;
    choice_seed(seed);
    if (choice(2)) {
        sc.offered &= ~2ull;
    }
    run_scenario(&sc);
}

void model_run(OpusRaidLevel level, unsigned nr_slots,
               OpusRaidConsistencyPolicy policy, const ModelBounds *bounds,
               ModelCounts *counts)
{
    Scenario sc = {
        .subject = {
            .level = level, .nr_slots = nr_slots, .policy = policy,
            .chunk_bytes = CHUNK, .member_bytes = CHUNK * STRIPES,
            .bitmap_chunk_bytes = CHUNK,
        },
    };
    uint64_t all = (1ull << nr_slots) - 1;
    unsigned tolerates = subject_tolerates(&sc.subject);

    model.bounds = bounds;
    model.counts = counts;
    subject_let_jobs_start(false);
    for (sc.load = 0; sc.load < LOAD__MAX; sc.load++) {
        uint64_t events;

        /* Healthy; degraded from the start, once or twice. */
        sc.fault_at = 0;
        sc.offered = all;
        events = run_scenario(&sc);
        sc.offered = all & ~2ull;
        run_scenario(&sc);
        if (tolerates > 1) {
            sc.offered = all & ~6ull;
            run_scenario(&sc);
        }
        /* A member fails meanwhile, maybe as the second one. */
        for (sc.fault_at = 1; sc.fault_at < events;
             sc.fault_at += bounds->fault_every) {
            sc.offered = all;
            run_scenario(&sc);
            if (tolerates > 1) {
                sc.offered = all & ~2ull;
                run_scenario(&sc);
            }
        }
    }
}
