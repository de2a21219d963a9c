/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lives of arrays: random runs with failures, rebuilds and cuts, by the rules
 * that md keeps, in a world where it is known which acknowledged write each
 * member holds. Of util/raid/history it is then asked:
 *
 * - Members that an assembly takes all hold the same writes, and of the others
 *   present none holds a write that these lack: what is here is never lost
 *   silently, whichever members each run had (P1, P4, I7).
 * - As long as every run had all members there are, every assembly succeeds,
 *   and with all writes ever acknowledged (I6); but for one case, which is
 *   refused though it need not be.
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "assemble-rules.h"
#include "super-set.h"

#define NR_DEVICES      SUPER_SET_MAX
#define NR_WRITES       64      /* a bit each */

typedef struct Device {
    bool exists;
    MdSuper super;
    uint64_t writes;            /* acknowledged ones that it holds */
} Device;

typedef struct World {
    Device devices[NR_DEVICES];
    unsigned nr_slots;
    unsigned next_number;       /* no device number is used twice */
    unsigned next_write;
    uint64_t acknowledged;
    uint64_t now;               /* counts updates */
    uint16_t absent_word;       /* what tables say of members not there */
} World;

/* A run of the array, from assembly to stop or crash. */
typedef struct Run {
    World *world;
    RaidGeometry *geom;
    bool attached[NR_DEVICES];
    bool in_sync[NR_DEVICES];
    uint64_t held;              /* by each member in sync */
    uint64_t events;
    bool dirty;
    bool can_take_back;         /* the event that made it dirty */
    uint16_t roles[NR_DEVICES * 2];
    bool crashed;
} Run;

typedef struct Tally {
    unsigned runs, accepted, split, other, cuts, rebuilds, failures;
    unsigned pulled, lost_links, doubtful;
} Tally;

static Tally tally;

static unsigned below(unsigned n)
{
    return g_test_rand_int_range(0, n);
}

static bool one_in(unsigned n)
{
    return below(n) == 0;
}

static void world_init(World *world, int32_t level, unsigned nr_slots)
{
    SuperSet *set = g_new(SuperSet, 1);

    super_set_make(set, level, nr_slots);
    memset(world, 0, sizeof(*world));
    for (unsigned i = 0; i < nr_slots; i++) {
        world->devices[i].exists = true;
        world->devices[i].super = set->supers[i];
    }
    world->nr_slots = nr_slots;
    world->next_number = nr_slots;
    world->absent_word = one_in(2) ? MD_ROLE_SPARE : MD_ROLE_FAULTY;
    g_free(set);
}

/*
 * Updates of the superblocks
 */

static void write_super(Run *run, unsigned i)
{
    MdSuper *sb = &run->world->devices[i].super;

    sb->events = run->events;
    sb->utime = run->world->now;
    sb->resync_offset = run->dirty ? 0 : MD_RESYNC_DONE;
    sb->feature_map = 0;
    if (!run->in_sync[i] && run->roles[sb->dev_number] != MD_ROLE_SPARE) {
        sb->feature_map = MD_FEATURE_RECOVERY_OFFSET;
    }
    memcpy(sb->roles, run->roles, sizeof(run->roles));
}

/* To all that are attached, in any order; now and then it is cut. */
static void update(Run *run, bool only_dirty_or_clean)
{
    bool skip_spares = only_dirty_or_clean && one_in(2);
    unsigned start = below(NR_DEVICES);

    run->world->now++;
    if (only_dirty_or_clean && !run->dirty && run->can_take_back) {
        run->events--;
        run->can_take_back = false;
    } else {
        run->events++;
        run->can_take_back = only_dirty_or_clean;
    }
    for (unsigned n = 0; n < NR_DEVICES; n++) {
        unsigned i = (start + n * 3) % NR_DEVICES;
        const MdSuper *sb = &run->world->devices[i].super;

        if (!run->attached[i] ||
            (skip_spares && run->roles[sb->dev_number] == MD_ROLE_SPARE)) {
            continue;
        }
        if (one_in(25)) {
            run->crashed = true;
            tally.cuts++;
            return;
        }
        write_super(run, i);
    }
}

/*
 * What happens in a run
 */

static RaidMask missing_slots(const Run *run)
{
    RaidMask missing = raid_mask_first(run->world->nr_slots);

    for (unsigned i = 0; i < NR_DEVICES; i++) {
        const MdSuper *sb = &run->world->devices[i].super;

        if (run->in_sync[i]) {
            missing &= ~RAID_BIT(run->roles[sb->dev_number]);
        }
    }
    return missing;
}

static void write_data(Run *run)
{
    World *world = run->world;
    uint64_t bit;

    if (!run->dirty) {
        run->dirty = true;
        update(run, true);
    }
    if (run->crashed || world->next_write == NR_WRITES) {
        return;
    }
    bit = UINT64_C(1) << world->next_write++;
    world->acknowledged |= bit;
    run->held |= bit;
    for (unsigned i = 0; i < NR_DEVICES; i++) {
        if (run->in_sync[i]) {
            world->devices[i].writes |= bit;
        }
    }
}

static void get_clean(Run *run)
{
    if (run->dirty) {
        run->dirty = false;
        update(run, true);
    }
}

static void fail_one(Run *run)
{
    unsigned i = below(NR_DEVICES);
    unsigned number = run->world->devices[i].super.dev_number;

    if (!run->attached[i]) {
        return;
    }
    if (run->in_sync[i]) {
        RaidMask missing = missing_slots(run) | RAID_BIT(run->roles[number]);

        if (raid_array_state_of(run->geom, missing, true, false) ==
            RAID_ARRAY_FAILED) {
            return;
        }
    }
    run->attached[i] = run->in_sync[i] = false;
    run->roles[number] = MD_ROLE_FAULTY;
    tally.failures++;
    update(run, false);
}

/* Is a member being rebuilt already? One at a time. */
static int rebuilding(const Run *run)
{
    for (unsigned i = 0; i < NR_DEVICES; i++) {
        uint32_t number = run->world->devices[i].super.dev_number;

        if (run->attached[i] && !run->in_sync[i] &&
            run->roles[number] < MD_ROLE_MAX) {
            return i;
        }
    }
    return -1;
}

/* An empty device gets a new number, and the slot. */
static void add_one(Run *run)
{
    RaidMask missing = missing_slots(run);
    World *world = run->world;

    if (!missing || rebuilding(run) >= 0 ||
        world->next_number == G_N_ELEMENTS(run->roles)) {
        return;
    }
    for (unsigned i = 0; i < NR_DEVICES; i++) {
        Device *device = &world->devices[i];

        if (!device->exists) {
            *device = (Device) { .exists = true };
            for (unsigned k = 0; k < NR_DEVICES; k++) {
                if (run->in_sync[k]) {
                    device->super = world->devices[k].super;
                }
            }
            device->super.dev_number = world->next_number++;
            memset(device->super.device_uuid, 0x80 + device->super.dev_number,
                   16);
            device->super.events = 0;
            device->super.roles[device->super.dev_number] = MD_ROLE_SPARE;
            run->attached[i] = true;
            run->roles[device->super.dev_number] = raid_mask_lowest(missing);
            update(run, false);
            return;
        }
    }
}

static void finish_rebuild(Run *run)
{
    int i = rebuilding(run);

    if (i >= 0) {
        run->world->devices[i].writes = run->held;
        run->in_sync[i] = true;
        tally.rebuilds++;
        update(run, false);
    }
}

/* One that is out is taken away, and there is room for a new one. */
static void pull_one(Run *run)
{
    unsigned i = below(NR_DEVICES);

    if (run->world->devices[i].exists && !run->attached[i]) {
        run->world->devices[i].exists = false;
        tally.pulled++;
    }
}

static void live(Run *run)
{
    for (unsigned n = below(12); n > 0 && !run->crashed; n--) {
        switch (below(9)) {
        case 0:
            fail_one(run);
            break;
        case 1:
            add_one(run);
            break;
        case 2:
        case 3:
            finish_rebuild(run);
            break;
        case 4:
            get_clean(run);
            break;
        case 5:
            pull_one(run);
            break;
        default:
            write_data(run);
        }
    }
    if (!run->crashed && one_in(2)) {
        get_clean(run);             /* stopped in order */
    }
}

/*
 * Assembly
 */

/* Candidates of a random part, or all, of the devices; their indices. */
static unsigned present(World *world, bool all, RaidCandidate *candidates,
                        unsigned *indices)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < NR_DEVICES; i++) {
        if (world->devices[i].exists && (all || !one_in(3))) {
            indices[nr] = i;
            candidates[nr++] = (RaidCandidate) {
                .super = &world->devices[i].super,
                .device_bytes = UINT64_C(1) << 40,
            };
        }
    }
    return nr;
}

static bool holds_data(const MdSuper *sb)
{
    return md_super_role(sb) < MD_ROLE_MAX &&
           !(sb->feature_map & MD_FEATURE_RECOVERY_OFFSET);
}

static void check_writes(const World *world, const unsigned *indices,
                         unsigned nr, const RaidAssembly *out, uint64_t held)
{
    for (unsigned i = 0; i < nr; i++) {
        const Device *device = &world->devices[indices[i]];

        if (out->verdicts[i] == RAID_MEMBER_IN_SYNC) {
            rule(device->writes == held, "members in sync hold the same");
        } else if (holds_data(&device->super)) {
            rule(!(device->writes & ~held), "a write that is here is lost");
        }
    }
}

static void start_run(Run *run, World *world, const unsigned *indices,
                      unsigned nr, RaidAssembly *out)
{
    *run = (Run) {
        .world = world, .geom = &out->geom, .events = out->events,
        .held = world->devices[indices[out->freshest]].writes,
        .dirty = out->resync_offset != MD_RESYNC_DONE,
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(run->roles); i++) {
        run->roles[i] = i < world->next_number ? world->absent_word
                                               : MD_ROLE_SPARE;
    }
    for (unsigned i = 0; i < nr; i++) {
        const MdSuper *sb = &world->devices[indices[i]].super;
        RaidMemberState verdict = out->verdicts[i];

        run->in_sync[indices[i]] = verdict == RAID_MEMBER_IN_SYNC;
        run->attached[indices[i]] = verdict == RAID_MEMBER_IN_SYNC ||
                                    verdict == RAID_MEMBER_SPARE ||
                                    verdict == RAID_MEMBER_REBUILDING;
        if (run->attached[indices[i]]) {
            run->roles[sb->dev_number] = md_super_role(sb);
        }
    }
}

/*
 * Members that a cut update left behind get what the freshest has before
 * anything is raised above it; or the next cut leaves them two events behind.
 */
static void catch_up(Run *run, const unsigned *indices, unsigned nr,
                     const RaidAssembly *out)
{
    const MdSuper *fresh = &run->world->devices[indices[out->freshest]].super;

    for (unsigned i = 0; i < nr && !run->crashed; i++) {
        MdSuper *sb = &run->world->devices[indices[i]].super;

        if (md_super_role(sb) < MD_ROLE_MAX && run->attached[indices[i]] &&
            sb->events < fresh->events) {
            sb->events = fresh->events;
            sb->utime = fresh->utime;
            sb->resync_offset = fresh->resync_offset;
            memcpy(sb->roles, fresh->roles, sizeof(run->roles));
            run->crashed = one_in(25);
        }
    }
}

/*
 * A member that did not see all of the first ones has left, and then those that
 * link it with the ones of today were pulled: nothing tells it from one that
 * ran apart.
 */
static bool has_lost_link(const RaidCandidate *candidates,
                          const RaidAssembly *out)
{
    const MdSuper *sb = candidates[MAX(out->member, 0)].super;
    bool late = false;

    for (unsigned dev = 0; dev < sb->raid_disks; dev++) {
        late |= sb->roles[dev] != dev;
    }
    tally.lost_links += late;
    return late && out->refusal == RAID_REFUSE_SPLIT_BRAIN;
}

static void assemble_and_live(World *world, bool all, RaidAssembly *out)
{
    RaidAssembleOptions options = { .policy = RAID_POLICY_FORCE };
    RaidCandidate candidates[NR_DEVICES];
    unsigned indices[NR_DEVICES];
    unsigned nr = present(world, all, candidates, indices);
    Run *run;

    if (!nr) {
        return;
    }
    tally.runs++;
    rules_assemble(candidates, nr, &options, out);
    tally.accepted += out->refusal == RAID_REFUSE_NONE;
    tally.split += out->refusal == RAID_REFUSE_SPLIT_BRAIN;
    tally.other += out->refusal != RAID_REFUSE_NONE &&
                   out->refusal != RAID_REFUSE_SPLIT_BRAIN;
    rule(!all || out->refusal == RAID_REFUSE_NONE ||
         has_lost_link(candidates, out), "all there: it opens");
    rule(!out->times_differ, "nobody was copied: one time for one event");
    if (out->refusal != RAID_REFUSE_NONE || out->doubtful) {
        /* Not by force: then members hold what they may. */
        tally.doubtful += out->doubtful;
        return;
    }
    run = g_new(Run, 1);
    start_run(run, world, indices, nr, out);
    check_writes(world, indices, nr, out, run->held);
    rule(!all || run->held == world->acknowledged, "all there: all is there");
    if (!one_in(4)) {               /* else only read */
        catch_up(run, indices, nr, out);
        if (!run->crashed) {
            /* Members that are away are recorded before the first write. */
            update(run, false);
            live(run);
        }
    }
    g_free(run);
}

static const struct {
    int32_t level;
    unsigned nr_slots;
} arrays[] = {
    { 1, 2 }, { 1, 3 }, { 5, 3 }, { 6, 4 }, { 6, 5 }, { 10, 4 },
};

static void live_many(bool all)
{
    unsigned lives = g_test_thorough() ? 100000 : 4000;
    RaidAssembly *out = g_new(RaidAssembly, 1);
    World *world = g_new(World, 1);

    tally = (Tally) { 0 };
    for (unsigned n = 0; n < lives; n++) {
        unsigned kind = n % G_N_ELEMENTS(arrays);

        world_init(world, arrays[kind].level, arrays[kind].nr_slots);
        for (unsigned runs = 4 + below(12); runs > 0; runs--) {
            assemble_and_live(world, all, out);
        }
    }
    g_test_message("%u runs: %u accepted, %u split brain, %u refused else; "
                   "%u updates cut, %u members rebuilt, %u failed", tally.runs,
                   tally.accepted, tally.split, tally.other, tally.cuts,
                   tally.rebuilds, tally.failures);
    g_assert_cmpuint(tally.accepted, >, lives);
    g_assert_cmpuint(tally.cuts, >, lives / 2);
    g_assert_cmpuint(tally.rebuilds, >, lives / 10);
    g_assert_cmpuint(tally.failures, >, lives / 10);
    g_free(world);
    g_free(out);
}

static void test_together(void)
{
    live_many(true);
    g_assert_cmpuint(tally.pulled, >, 100);
    g_assert_cmpuint(tally.lost_links, <, tally.runs / 1000);
}

static void test_apart(void)
{
    live_many(false);
    g_assert_cmpuint(tally.split, >, 100);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/raid/life/together", test_together);
    g_test_add_func("/raid/life/apart", test_apart);
    return g_test_run();
}
