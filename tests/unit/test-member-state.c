/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/member-state: every transition (I16), and the array's
 * state for every set of missing members of many geometries.
 */
#include <glib.h>
#include <string.h>

#include "util/raid/member-state.h"

#define CHUNK   65536u

static const char *const member_names[] = {
    "missing", "in-sync", "faulty", "stale", "rebuilding", "spare"
};
static const char *const array_names[] = {
    "optimal", "resync-pending", "degraded", "failed"
};

/* All that may happen, in words. */
static const char *const member_changes[] = {
    "missing -> in-sync",       /* assembled */
    "missing -> stale",
    "missing -> rebuilding",
    "missing -> spare",
    "in-sync -> faulty",        /* failed */
    "rebuilding -> faulty",
    "spare -> faulty",
    "faulty -> missing",        /* removed */
    "stale -> missing",
    "spare -> missing",
    "stale -> rebuilding",      /* rebuilt */
    "spare -> rebuilding",
    "rebuilding -> in-sync",
};
static const char *const array_changes[] = {
    "optimal -> resync-pending",
    "optimal -> degraded",
    "optimal -> failed",
    "resync-pending -> optimal",
    "resync-pending -> degraded",
    "resync-pending -> failed",
    "degraded -> optimal",
    "degraded -> resync-pending",
    "degraded -> failed",
};

static bool listed(const char *const *list, unsigned nr, const char *from,
                   const char *to)
{
    g_autofree char *words = g_strdup_printf("%s -> %s", from, to);

    for (unsigned i = 0; i < nr; i++) {
        if (!strcmp(list[i], words)) {
            return true;
        }
    }
    return !strcmp(from, to);
}

static void test_names(void)
{
    g_assert_cmpuint(G_N_ELEMENTS(member_names), ==, RAID_MEMBER__MAX);
    g_assert_cmpuint(G_N_ELEMENTS(array_names), ==, RAID_ARRAY__MAX);
    for (unsigned i = 0; i < RAID_MEMBER__MAX; i++) {
        g_assert_cmpstr(raid_member_state_name(i), ==, member_names[i]);
    }
    for (unsigned i = 0; i < RAID_ARRAY__MAX; i++) {
        g_assert_cmpstr(raid_array_state_name(i), ==, array_names[i]);
    }
}

/* Every pair; the changes that are found are as many as are listed. */
static void test_tables(void)
{
    unsigned changes = 0;

    for (unsigned from = 0; from < RAID_MEMBER__MAX; from++) {
        for (unsigned to = 0; to < RAID_MEMBER__MAX; to++) {
            bool legal = raid_member_state_can_change(from, to);

            g_assert_true(legal == listed(member_changes,
                                          G_N_ELEMENTS(member_changes),
                                          member_names[from],
                                          member_names[to]));
            changes += legal && from != to;
        }
    }
    g_assert_cmpuint(changes, ==, G_N_ELEMENTS(member_changes));

    changes = 0;
    for (unsigned from = 0; from < RAID_ARRAY__MAX; from++) {
        for (unsigned to = 0; to < RAID_ARRAY__MAX; to++) {
            bool legal = raid_array_state_can_change(from, to);

            g_assert_true(legal == listed(array_changes,
                                          G_N_ELEMENTS(array_changes),
                                          array_names[from], array_names[to]));
            changes += legal && from != to;
        }
    }
    g_assert_cmpuint(changes, ==, G_N_ELEMENTS(array_changes));
}

static void test_legal_set(void)
{
    for (unsigned from = 0; from < RAID_MEMBER__MAX; from++) {
        for (unsigned to = 0; to < RAID_MEMBER__MAX; to++) {
            RaidMemberState state = from;

            if (raid_member_state_can_change(from, to)) {
                raid_member_state_set(&state, to);
                g_assert_cmpint(state, ==, to);
            }
        }
    }
    for (unsigned from = 0; from < RAID_ARRAY__MAX; from++) {
        for (unsigned to = 0; to < RAID_ARRAY__MAX; to++) {
            RaidArrayState state = from;

            if (raid_array_state_can_change(from, to)) {
                raid_array_state_set(&state, to);
                g_assert_cmpint(state, ==, to);
            }
        }
    }
}

/* Each of these runs in a process of its own and has to die in it. */
typedef struct Change {
    bool member;
    unsigned from;
    unsigned to;
} Change;

static void test_illegal_set(gconstpointer data)
{
    const Change *change = data;

    if (g_test_subprocess()) {
        RaidMemberState member = change->from;
        RaidArrayState array = change->from;

        if (change->member) {
            raid_member_state_set(&member, change->to);
        } else {
            raid_array_state_set(&array, change->to);
        }
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*illegal change of*");
}

static void add_illegal(bool member, unsigned from, unsigned to,
                        const char *const *names)
{
    g_autofree char *path = g_strdup_printf(
        "/raid/member-state/illegal/%s/%s/%s", member ? "member" : "array",
        names[from], names[to]);
    Change *change = g_new(Change, 1);

    *change = (Change) { member, from, to };
    g_test_add_data_func_full(path, change, test_illegal_set, g_free);
}

static void add_all_illegal(void)
{
    for (unsigned from = 0; from < RAID_MEMBER__MAX; from++) {
        for (unsigned to = 0; to < RAID_MEMBER__MAX; to++) {
            if (!raid_member_state_can_change(from, to)) {
                add_illegal(true, from, to, member_names);
            }
        }
    }
    for (unsigned from = 0; from < RAID_ARRAY__MAX; from++) {
        for (unsigned to = 0; to < RAID_ARRAY__MAX; to++) {
            if (!raid_array_state_can_change(from, to)) {
                add_illegal(false, from, to, array_names);
            }
        }
    }
}

/*
 * The array's state
 */

static void make_geometry(RaidGeometry *geom, RaidLevel level,
                          RaidLayout layout, unsigned nr_slots, unsigned near,
                          unsigned far, unsigned chunks)
{
    RaidGeometryParams params = {
        .level = level, .layout = layout, .nr_slots = nr_slots,
        .near_copies = near, .far_copies = far, .chunk_bytes = CHUNK,
    };

    for (unsigned i = 0; i < nr_slots; i++) {
        params.member_bytes[i] = (uint64_t)chunks * CHUNK;
    }
    g_assert_cmpint(raid_geometry_init(geom, &params), ==, RAID_GEOMETRY_OK);
}

/* Is there a chunk all copies of which are missing? Ask every chunk. */
static bool some_copies_lost(const RaidGeometry *geom, RaidMask missing)
{
    for (uint64_t off = 0; off < geom->array_bytes; off += geom->chunk_bytes) {
        unsigned left = 0;

        for (unsigned copy = 0; copy < geom->copies; copy++) {
            RaidLoc loc;

            raid_map_copy(geom, off, copy, &loc);
            left += !(missing & RAID_BIT(loc.slot));
        }
        if (!left) {
            return true;
        }
    }
    return false;
}

static bool is_doubled(const RaidGeometry *geom, RaidMask missing)
{
    for (uint64_t off = 0; off < geom->array_bytes; off += geom->chunk_bytes) {
        unsigned left = 0;

        for (unsigned copy = 0; copy < geom->copies; copy++) {
            RaidLoc loc;

            raid_map_copy(geom, off, copy, &loc);
            left += !(missing & RAID_BIT(loc.slot));
        }
        if (left > 1) {
            return true;
        }
    }
    return false;
}

static bool is_lost(const RaidGeometry *geom, RaidMask missing)
{
    unsigned n = 0;

    for (unsigned slot = 0; slot < geom->nr_slots; slot++) {
        n += missing >> slot & 1;
    }
    switch (geom->level) {
    case RAID_LEVEL_0:
        return n > 0;
    case RAID_LEVEL_1:
        return n == geom->nr_slots;
    case RAID_LEVEL_4:
    case RAID_LEVEL_5:
        return n > 1;
    case RAID_LEVEL_6:
        return n > 2;
    default:
        return some_copies_lost(geom, missing);
    }
}

static void check_geometry(const RaidGeometry *geom)
{
    bool parity = geom->level == RAID_LEVEL_4 ||
                  geom->level == RAID_LEVEL_5 || geom->level == RAID_LEVEL_6;
    bool mirrors = geom->level == RAID_LEVEL_1 ||
                   geom->level == RAID_LEVEL_10;

    for (RaidMask missing = 0; missing < RAID_BIT(geom->nr_slots); missing++) {
        bool lost = is_lost(geom, missing);

        for (unsigned i = 0; i < 4; i++) {
            bool clean = i & 1, forced = i & 2;
            RaidArrayState want = RAID_ARRAY_OPTIMAL;

            if (lost || (missing && parity && !clean && !forced)) {
                want = RAID_ARRAY_FAILED;
            } else if (missing) {
                want = RAID_ARRAY_DEGRADED;
            } else if (!clean && geom->level != RAID_LEVEL_0) {
                want = RAID_ARRAY_RESYNC_PENDING;
            }
            g_assert_cmpint(raid_array_state_of(geom, missing, clean, forced),
                            ==, want);
            g_assert_cmpint(raid_can_resync(geom, want, clean), ==,
                            !lost && !clean &&
                            (mirrors || (parity && !missing)));
        }
        if (mirrors) {
            g_assert_cmpint(raid_has_two_copies(geom, missing), ==,
                            is_doubled(geom, missing));
        }
    }
}

static void test_state_of(void)
{
    RaidGeometry *geom = g_new(RaidGeometry, 1);

    for (unsigned n = 2; n <= 8; n++) {
        make_geometry(geom, RAID_LEVEL_0, RAID_LAYOUT_NONE, n, 1, 1, 9);
        check_geometry(geom);
        make_geometry(geom, RAID_LEVEL_1, RAID_LAYOUT_NONE, n, 1, 1, 9);
        check_geometry(geom);
        make_geometry(geom, RAID_LEVEL_4, RAID_LAYOUT_PARITY_LAST, n, 1, 1, 9);
        check_geometry(geom);
        make_geometry(geom, RAID_LEVEL_5, RAID_LAYOUT_LEFT_SYMMETRIC, n, 1, 1,
                      9);
        check_geometry(geom);
        if (n >= 4) {
            make_geometry(geom, RAID_LEVEL_6, RAID_LAYOUT_LEFT_SYMMETRIC, n, 1,
                          1, 9);
            check_geometry(geom);
        }
    }
    g_free(geom);
}

/* More chunks than the pattern of any layout is long, and a single one. */
static void test_state_of_raid10(void)
{
    RaidGeometry *geom = g_new(RaidGeometry, 1);

    for (unsigned n = 2; n <= 8; n++) {
        for (unsigned copies = 2; copies <= n && copies <= 4; copies++) {
            for (unsigned chunks = 12; chunks <= 36; chunks += 12) {
                make_geometry(geom, RAID_LEVEL_10, RAID_LAYOUT_NEAR, n, copies,
                              1, chunks);
                check_geometry(geom);
                make_geometry(geom, RAID_LEVEL_10, RAID_LAYOUT_FAR, n, 1,
                              copies, chunks);
                check_geometry(geom);
                make_geometry(geom, RAID_LEVEL_10, RAID_LAYOUT_OFFSET, n, 1,
                              copies, chunks);
                check_geometry(geom);
            }
            make_geometry(geom, RAID_LEVEL_10, RAID_LAYOUT_NEAR, n, copies, 1,
                          1);
            check_geometry(geom);
        }
        if (n >= 4) {
            make_geometry(geom, RAID_LEVEL_10, RAID_LAYOUT_FAR, n, 2, 2, 24);
            check_geometry(geom);
        }
        if (n >= 4 && n % 2 == 0) {
            make_geometry(geom, RAID_LEVEL_10, RAID_LAYOUT_OFFSET, n, 2, 2,
                          24);
            check_geometry(geom);
        }
    }
    g_free(geom);
}

/* Bits beyond the slots stand for no slot; 64 slots use all of them. */
static void test_state_of_many(void)
{
    RaidGeometry *geom = g_new(RaidGeometry, 1);

    make_geometry(geom, RAID_LEVEL_6, RAID_LAYOUT_LEFT_SYMMETRIC, 5, 1, 1, 4);
    g_assert_cmpint(raid_array_state_of(geom, ~UINT64_C(31), true, false), ==,
                    RAID_ARRAY_OPTIMAL);
    make_geometry(geom, RAID_LEVEL_6, RAID_LAYOUT_LEFT_SYMMETRIC, 64, 1, 1, 4);
    g_assert_cmpint(raid_array_state_of(geom, UINT64_C(3) << 62, true, false),
                    ==, RAID_ARRAY_DEGRADED);
    g_assert_cmpint(raid_array_state_of(geom, UINT64_C(7) << 61, true, false),
                    ==, RAID_ARRAY_FAILED);
    make_geometry(geom, RAID_LEVEL_1, RAID_LAYOUT_NONE, 64, 1, 1, 4);
    g_assert_cmpint(raid_array_state_of(geom, ~UINT64_C(1), false, false), ==,
                    RAID_ARRAY_DEGRADED);
    g_assert_cmpint(raid_array_state_of(geom, ~UINT64_C(0), true, true), ==,
                    RAID_ARRAY_FAILED);
    make_geometry(geom, RAID_LEVEL_10, RAID_LAYOUT_NEAR, 64, 2, 1, 4);
    g_assert_cmpint(raid_array_state_of(geom, UINT64_C(0x5555555555555555),
                                        true, false), ==, RAID_ARRAY_DEGRADED);
    g_assert_cmpint(raid_array_state_of(geom, UINT64_C(3) << 62, true, false),
                    ==, RAID_ARRAY_FAILED);
    g_free(geom);
}

/* Half of them each hour, and none after a day or two. */
static void test_errors_left(void)
{
    const int64_t hour = 3600 * 1000;

    for (uint64_t errors = 0; errors < 100; errors++) {
        uint64_t left = errors;

        g_assert_cmpuint(raid_errors_left(errors, -hour), ==, errors);
        for (int64_t n = 0; n < 200; n++, left /= 2) {
            g_assert_cmpuint(raid_errors_left(errors, n * hour), ==, left);
            g_assert_cmpuint(raid_errors_left(errors, (n + 1) * hour - 1), ==,
                             left);
        }
    }
    g_assert_cmpuint(raid_errors_left(UINT64_MAX, INT64_MAX), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/member-state/names", test_names);
    g_test_add_func("/raid/member-state/tables", test_tables);
    g_test_add_func("/raid/member-state/legal-set", test_legal_set);
    g_test_add_func("/raid/member-state/state-of", test_state_of);
    g_test_add_func("/raid/member-state/state-of-raid10",
                    test_state_of_raid10);
    g_test_add_func("/raid/member-state/state-of-many", test_state_of_many);
    g_test_add_func("/raid/member-state/errors-left", test_errors_left);
    add_all_illegal();
    return g_test_run();
}
