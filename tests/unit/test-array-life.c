/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array life: all states and events, and what a crash finds in each
 *
 * The table is compared with one written down here once more; then all ways
 * through it are gone with a model of the disks: what superblocks may say,
 * whether a write may be in flight, whether what was written is durable.
 */

#include <glib.h>
#include <stdlib.h>
#include "util/raid/array-life.h"

/* Rows: states; columns: events; '-': not legal, else where it leads. */
static const char *const table[RAID_LIFE__MAX] = {
    /*                      OPEN RPLY RPLD WRIT MARK QUIE BUSY FLSD CLND */
    [RAID_LIFE_AT_REST]   = "C    R    -    -    -    -    -    -    -    A X",
    [RAID_LIFE_REPLAYING] = "-    -    N    -    -    -    -    -    -    - X",
    [RAID_LIFE_CLEAN]     = "-    -    -    M    -    -    -    -    -    A X",
    [RAID_LIFE_MARKING]   = "-    -    -    -    D    -    -    -    -    - X",
    [RAID_LIFE_DIRTY]     = "-    -    -    -    -    F    -    -    -    - X",
    [RAID_LIFE_FLUSHING]  = "-    -    -    -    -    -    D    N    -    - X",
    [RAID_LIFE_CLEANING]  = "-    -    -    -    -    -    -    -    C    - X",
    [RAID_LIFE_FAILED]    = "-    -    -    -    -    -    -    -    -    A X",
};
static const char letters[RAID_LIFE__MAX + 1] = "ARCMDFNX";

static void test_table(void)
{
    for (unsigned from = 0; from < RAID_LIFE__MAX; from++) {
        const char *want = table[from];

        for (unsigned event = 0; event < RAID_LIFE_EVENT__MAX; event++) {
            RaidLife to = RAID_LIFE__MAX;
            bool legal = raid_life_next(from, event, &to);

            while (*want == ' ') {
                want++;
            }
            g_assert_cmpint(legal, ==, *want != '-');
            if (legal) {
                g_assert_cmpint(letters[to], ==, *want);
            }
            want++;
        }
    }
}

static void test_illegal_aborts(void)
{
    if (g_test_subprocess()) {
        RaidLife life = RAID_LIFE_CLEAN;

        raid_life_change(&life, RAID_LIFE_EVENT_MARKED);
        return;
    }
    g_test_trap_subprocess(NULL, 0, G_TEST_SUBPROCESS_DEFAULT);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*illegal event marked of an array that is "
                              "clean*");
}

/* What members may hold, and what may be under way. */
typedef struct Model {
    RaidLife life;
    bool may_say_clean;         /* some superblock, durably */
    bool may_say_dirty;
    bool in_flight;             /* writes: redundancy may be wrong now */
    bool unflushed;             /* written, and not durable */
    bool log_is_due;            /* redundancy is wrong until it is replayed */
} Model;

/* Would a crash at this moment be taken for what it is? */
static void check(const Model *m)
{
    if (m->in_flight || m->unflushed || m->log_is_due) {
        g_assert_false(m->may_say_clean);
    }
    g_assert_true(m->may_say_clean || m->may_say_dirty);
    /* What users are told is never better than what is on disk. */
    if (m->may_say_dirty && m->life != RAID_LIFE_FAILED &&
        m->life != RAID_LIFE_AT_REST) {
        g_assert_true(raid_life_may_be_dirty(m->life));
    }
}

/* Superblocks are written, which may be cut anywhere. */
static void write_supers(Model *m)
{
    if (raid_life_says_dirty(m->life)) {
        m->may_say_dirty = true;
    } else {
        m->may_say_clean = true;
    }
    check(m);
}

static void written_supers(Model *m, bool dirty)
{
    m->may_say_clean = !dirty;
    m->may_say_dirty = dirty;
}

/* What the driver has to have done before it tells of an event. */
static void before(Model *m, RaidLifeEvent event)
{
    switch (event) {
    case RAID_LIFE_EVENT_MARKED:
        write_supers(m);
        written_supers(m, true);
        break;
    case RAID_LIFE_EVENT_CLEANED:
        write_supers(m);
        written_supers(m, false);
        break;
    case RAID_LIFE_EVENT_QUIET:
        m->in_flight = false;   /* those that come wait */
        break;
    case RAID_LIFE_EVENT_FLUSHED:
        m->unflushed = false;
        break;
    case RAID_LIFE_EVENT_REPLAY:
        /* Whatever was in flight once is what the log names. */
        m->in_flight = false;
        m->log_is_due = true;
        break;
    case RAID_LIFE_EVENT_REPLAYED:
        m->log_is_due = false;
        m->unflushed = false;
        break;
    default:
        break;
    }
}

static void walk(Model m, unsigned depth, unsigned *paths)
{
    ++*paths;
    check(&m);
    if (m.life == RAID_LIFE_DIRTY) {
        /* Requests come and go at any time. */
        m.in_flight = true;
        m.unflushed = true;
        check(&m);
    }
    /* A member may fail at any time, so superblocks may be written then. */
    if (raid_life_is_writable(m.life)) {
        Model cut = m;

        write_supers(&cut);
    }
    for (unsigned event = 0; depth && event < RAID_LIFE_EVENT__MAX; event++) {
        Model then = m;
        RaidLife to;

        if (!raid_life_next(m.life, event, &to)) {
            continue;
        }
        /* A log is replayed where superblocks say dirty, and only there. */
        if ((event == RAID_LIFE_EVENT_OPEN && m.may_say_dirty) ||
            (event == RAID_LIFE_EVENT_REPLAY && !m.may_say_dirty)) {
            continue;
        }
        if (event == RAID_LIFE_EVENT_REPLAY) {
            written_supers(&then, true);
        }
        before(&then, event);
        raid_life_change(&then.life, event);
        walk(then, depth - 1, paths);
    }
}

static void test_crash_anywhere(void)
{
    unsigned paths = 0;
    Model clean = { .life = RAID_LIFE_AT_REST, .may_say_clean = true };
    Model crashed = {
        .life = RAID_LIFE_AT_REST, .may_say_dirty = true, .log_is_due = true,
    };

    walk(clean, 12, &paths);
    walk(crashed, 12, &paths);
    g_assert_cmpuint(paths, >, 1000);
}

/* What was replayed must not be replayed again: nothing leads back. */
static void test_replays_once(void)
{
    for (unsigned from = 0; from < RAID_LIFE__MAX; from++) {
        for (unsigned event = 0; event < RAID_LIFE_EVENT__MAX; event++) {
            RaidLife to;

            if (raid_life_next(from, event, &to) &&
                to == RAID_LIFE_REPLAYING) {
                g_assert_cmpint(from, ==, RAID_LIFE_AT_REST);
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/array-life/table", test_table);
    g_test_add_func("/raid/array-life/illegal", test_illegal_aborts);
    g_test_add_func("/raid/array-life/crash", test_crash_anywhere);
    g_test_add_func("/raid/array-life/replays-once", test_replays_once);
    return g_test_run();
}
