/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/assemble: every refusal with its reason, and the limits.
 * Each set is assembled in all orders (P8), and each verdict has to keep the
 * rules of assemble-rules.c. P4.
 */
#include <glib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "assemble-rules.h"
#include "super-set.h"
#include "util/raid/extension.h"

#define ALL     (~0u)
#define STRICT  RAID_POLICY_STRICT
#define DEGRADED RAID_POLICY_DEGRADED
#define FORCE   RAID_POLICY_FORCE

static SuperSet *set;
static RaidAssembly *out;

static void assert_accepted(RaidPolicy policy, RaidArrayState state,
                            RaidMask missing)
{
    super_set_assemble(set, policy, out);
    g_assert_cmpstr(raid_refusal_name(out->refusal), ==, "NONE");
    g_assert_cmpint(out->state, ==, state);
    g_assert_cmphex(out->missing_slots, ==, missing);
}

static void assert_refused(RaidPolicy policy, RaidRefusal why, int member,
                           int other)
{
    g_assert_false(super_set_assemble(set, policy, out));
    g_assert_cmpstr(raid_refusal_name(out->refusal), ==,
                    raid_refusal_name(why));
    g_assert_cmpint(out->member, ==, member);
    g_assert_cmpint(out->other, ==, other);
}

/* Under every policy. */
static void assert_always_refused(RaidRefusal why, int member, int other)
{
    assert_refused(STRICT, why, member, other);
    assert_refused(DEGRADED, why, member, other);
    assert_refused(FORCE, why, member, other);
}

static void test_no_superblock(void)
{
    static const RaidRefusal names[MD_SUPER__MAX] = {
        [MD_SUPER_NONE] = RAID_REFUSE_NO_SUPERBLOCK,
        [MD_SUPER_BAD_VERSION] = RAID_REFUSE_UNKNOWN_FEATURE,
        [MD_SUPER_BAD_CHECKSUM] = RAID_REFUSE_NO_SUPERBLOCK,
        [MD_SUPER_BAD_OFFSET] = RAID_REFUSE_BAD_SUPERBLOCK,
        [MD_SUPER_BAD_MAX_DEV] = RAID_REFUSE_BAD_SUPERBLOCK,
        [MD_SUPER_BAD_DEV_NUMBER] = RAID_REFUSE_BAD_SUPERBLOCK,
        [MD_SUPER_BAD_DATA_AREA] = RAID_REFUSE_TOO_SMALL,
        [MD_SUPER_OVERLAP] = RAID_REFUSE_BAD_SUPERBLOCK,
        [MD_SUPER_BAD_CHUNK] = RAID_REFUSE_BAD_SUPERBLOCK,
        [MD_SUPER_BAD_SLOTS] = RAID_REFUSE_BAD_SUPERBLOCK,
        [MD_SUPER_BAD_BLOCK] = RAID_REFUSE_UNKNOWN_FEATURE,
        [MD_SUPER_UNKNOWN_FIELD] = RAID_REFUSE_UNKNOWN_FEATURE,
    };

    for (MdSuperError err = MD_SUPER_NONE; err < MD_SUPER__MAX; err++) {
        RaidRefusal why = names[err];

        super_set_make(set, 5, 4);
        set->candidates[2].super_error = err;
        set->candidates[2].super_error_at = 100 + err;
        set->candidates[2].super = NULL;
        assert_refused(STRICT, why, 2, -1);
        g_assert_cmpint(out->super_error, ==, err);
        g_assert_cmpuint(out->super_error_at, ==, 100 + err);
        if (err == MD_SUPER_BAD_CHECKSUM) {
            assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, 4);
            g_assert_cmpint(out->verdicts[2], ==, RAID_MEMBER_STALE);
        } else {
            assert_refused(DEGRADED, why, 2, -1);
            assert_refused(FORCE, why, 2, -1);
        }
    }
    set->candidates[0].super_error = MD_SUPER_NONE;
    set->candidates[1].super_error = MD_SUPER_BAD_CHECKSUM;
    set->candidates[2].super_error = MD_SUPER_BAD_DEV_NUMBER;
    assert_always_refused(RAID_REFUSE_NO_SUPERBLOCK, 0, -1);
    set->nr = 1;
    set->candidates[0].super_error = MD_SUPER_BAD_CHECKSUM;
    assert_always_refused(RAID_REFUSE_NO_SUPERBLOCK, 0, -1);
}

/* Torn in the middle of an update that says "dirty". */
static void test_torn_and_dirty(void)
{
    super_set_make(set, 5, 4);
    set->candidates[0].super_error = MD_SUPER_BAD_CHECKSUM;
    for (unsigned i = 1; i < 4; i++) {
        set->supers[i].resync_offset = 0;
    }
    assert_refused(STRICT, RAID_REFUSE_NO_SUPERBLOCK, 0, -1);
    assert_refused(DEGRADED, RAID_REFUSE_DIRTY_DEGRADED, -1, -1);
    g_assert_cmpint(out->slot, ==, 0);
    assert_accepted(FORCE, RAID_ARRAY_DEGRADED, 1);
    g_assert_true(out->forced);
}

static void test_foreign(void)
{
    super_set_make(set, 5, 4);
    set->supers[1].set_uuid[0] = 0;
    assert_always_refused(RAID_REFUSE_FOREIGN, 1, 0);
    g_assert_cmpint(out->slot, ==, 1);
    /* One to one: the lower UUID counts, as good as any other rule. */
    super_set_make(set, 1, 2);
    set->supers[0].set_uuid[0] = 0xff;
    assert_always_refused(RAID_REFUSE_FOREIGN, 0, 1);
}

static void test_wrong_uuid_and_name(void)
{
    RaidAssembleOptions options = { .policy = STRICT };
    uint8_t uuid[16];

    super_set_make(set, 5, 4);
    memset(uuid, 0x42, sizeof(uuid));
    options.uuid = uuid;
    g_assert_true(rules_assemble(set->candidates, 4, &options, out));
    set->supers[3].set_uuid[15] ^= 1;
    g_assert_false(rules_assemble(set->candidates, 4, &options, out));
    g_assert_cmpint(out->refusal, ==, RAID_REFUSE_WRONG_UUID);
    g_assert_cmpint(out->member, ==, 3);
    set->supers[3].set_uuid[15] ^= 1;

    options.name = "array";
    g_assert_true(rules_assemble(set->candidates, 4, &options, out));
    options.name = "host:array";
    g_assert_true(rules_assemble(set->candidates, 4, &options, out));
    options.name = "arra";
    g_assert_false(rules_assemble(set->candidates, 4, &options, out));
    g_assert_cmpint(out->refusal, ==, RAID_REFUSE_WRONG_NAME);
    g_assert_cmpint(out->member, ==, 0);
    options.name = "host";
    g_assert_false(rules_assemble(set->candidates, 4, &options, out));
    memset(set->supers[0].set_name, 'x', 32);
    options.name = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    g_assert_true(rules_assemble(set->candidates, 4, &options, out));
}

/*
 * Where it is told which array is meant, what does not belong to it is left out
 * if the rest suffices; unless the policy is to have all that is given.
 */
static void check_left_out(unsigned which, bool extra)
{
    static const uint8_t uuid[16] = {
        0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42,
        0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42,
    };
    RaidRefusal refusal = RAID_REFUSE_NONE;

    for (unsigned n = 0; n < 9; n++) {
        RaidAssembleOptions options = {
            .policy = n / 3, .uuid = n % 3 == 1 ? uuid : NULL,
            .name = n % 3 == 2 ? "array" : NULL,
        };
        bool ok = rules_assemble_orders(set->candidates, set->nr, &options, 24,
                                        n, out);

        if (n == 0) {
            refusal = out->refusal;
        }
        if (n % 3 == 0 || options.policy == STRICT) {
            g_assert_false(ok);
            g_assert_true(n % 3 || out->refusal == refusal);
        } else {
            g_assert_true(ok);
            g_assert_cmpint(out->verdicts[which], ==, RAID_MEMBER_STALE);
            g_assert_cmphex(out->missing_slots, ==,
                            extra ? 0 : RAID_BIT(which));
        }
    }
}

static void test_left_out(void)
{
    MdSuper *foreign;

    for (unsigned extra = 0; extra <= 1; extra++) {
        for (MdSuperError err = MD_SUPER_NONE; err < MD_SUPER__MAX; err++) {
            unsigned which = 2;

            if (err == MD_SUPER_BAD_CHECKSUM) {
                continue;           /* that is torn, see test_torn() */
            }
            super_set_make(set, 5, 4);
            if (extra) {
                which = super_set_add(set, MD_ROLE_SPARE);
            }
            set->candidates[which].super_error = err;
            check_left_out(which, extra);
        }
        super_set_make(set, 5, 4);
        if (extra) {
            super_set_add(set, MD_ROLE_SPARE);
        }
        foreign = &set->supers[extra ? 4 : 2];
        foreign->set_uuid[3] = 0;
        strcpy(foreign->set_name, "other");
        foreign->events += 100;
        foreign->roles[foreign->dev_number] = 2;
        check_left_out(extra ? 4 : 2, extra);
    }
}

static void test_duplicate(void)
{
    /* The same device twice, and an old copy of one */
    super_set_make(set, 1, 2);
    set->supers[1] = set->supers[0];
    set->candidates[1].device_bytes += 512;
    assert_always_refused(RAID_REFUSE_DUPLICATE, 1, 0);
    super_set_make(set, 1, 3);
    set->supers[2] = set->supers[0];
    set->supers[2].events -= 5;
    assert_always_refused(RAID_REFUSE_DUPLICATE, 0, 2);

    /* Others that fill the same slot */
    super_set_make(set, 1, 2);
    super_set_add(set, 1);
    assert_always_refused(RAID_REFUSE_DUPLICATE, 2, 1);
    g_assert_cmpint(out->slot, ==, 1);

    /* UUIDs of zeros say nothing */
    super_set_make(set, 1, 2);
    memset(set->supers[0].device_uuid, 0, 16);
    memset(set->supers[1].device_uuid, 0, 16);
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
}

static void test_stale(void)
{
    super_set_make(set, 5, 4);
    set->supers[2].events -= 2;
    assert_refused(STRICT, RAID_REFUSE_STALE, 2, 0);
    g_assert_cmpint(out->slot, ==, 2);
    g_assert_cmpuint(out->member_events, ==, 8);
    g_assert_cmpuint(out->array_events, ==, 10);
    assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, 4);
    g_assert_cmpint(out->verdicts[2], ==, RAID_MEMBER_STALE);

    /* As new as the others, but they say that it failed */
    super_set_make(set, 5, 4);
    super_set_say(set, ALL & ~4u, 2, MD_ROLE_FAULTY);
    assert_refused(STRICT, RAID_REFUSE_STALE, 2, 0);
    assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, 4);

    /* It says so itself */
    super_set_make(set, 5, 4);
    super_set_say(set, ALL, 2, MD_ROLE_FAULTY);
    assert_refused(STRICT, RAID_REFUSE_STALE, 2, 0);
    g_assert_cmpint(out->slot, ==, -1);
    assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, 4);

    /* Event counts at the ends of their range */
    super_set_make(set, 1, 2);
    set->supers[0].events = 0;
    set->supers[1].events = UINT64_MAX;
    assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, 1);
    set->supers[0].events = UINT64_MAX - 1;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmphex(out->lagging_slots, ==, 1);
}

static void test_lagging(void)
{
    super_set_make(set, 6, 5);
    set->supers[1].events--;
    set->supers[4].events--;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmphex(out->lagging_slots, ==, 0x12);
    g_assert_cmpuint(out->events, ==, 10);
}

static void test_slot_range(void)
{
    static const uint16_t roles[] = { 4, 255, 0xfeff, MD_ROLE_MAX, 0xfffc };

    for (unsigned i = 0; i < G_N_ELEMENTS(roles); i++) {
        super_set_make(set, 5, 4);
        super_set_say(set, ALL, 3, roles[i]);
        assert_always_refused(RAID_REFUSE_SLOT_RANGE, 3, -1);
        g_assert_cmpint(out->slot, ==, roles[i]);
    }
    /* In range by its own word only; the array has become smaller since */
    super_set_make(set, 1, 3);
    set->supers[0].raid_disks = 2;
    set->supers[0].events++;
    assert_always_refused(RAID_REFUSE_SLOT_RANGE, 2, 0);
}

static void test_too_small(void)
{
    super_set_make(set, 5, 4);
    set->supers[3].data_size_sectors--;
    assert_always_refused(RAID_REFUSE_TOO_SMALL, 3, 0);
    /* Members of RAID0 have a size each; the common one is not used */
    super_set_make(set, 0, 2);
    set->supers[0].size_sectors = set->supers[1].size_sectors = 1 << 30;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    /* A stale one is left out before anyone measures it */
    super_set_make(set, 5, 4);
    set->supers[3].data_size_sectors--;
    set->supers[3].events = 1;
    assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, 8);
}

static void test_unknown_feature(void)
{
    for (unsigned bit = 0; bit < 32; bit++) {
        uint32_t feature = UINT32_C(1) << bit;

        if (feature & MD_FEATURE_ALL & ~(uint32_t)MD_FEATURE_CLUSTERED &
            ~(uint32_t)MD_FEATURE_RAID0_LAYOUT) {
            continue;
        }
        if (feature == RAID_FEATURE_EXTENSION) {
            continue;
        }
        super_set_make(set, 5, 4);
        set->supers[1].feature_map = feature | MD_FEATURE_JOURNAL;
        assert_always_refused(RAID_REFUSE_UNKNOWN_FEATURE, 1, -1);
        g_assert_cmphex(out->features, ==, feature);
    }
    super_set_make(set, 5, 4);
    set->supers[1].feature_map = MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS;
    assert_always_refused(RAID_REFUSE_UNKNOWN_FEATURE, 1, -1);
    set->supers[1].feature_map = MD_FEATURE_PPL | MD_FEATURE_BITMAP_OFFSET;
    assert_always_refused(RAID_REFUSE_UNKNOWN_FEATURE, 1, -1);
    set->supers[1].feature_map = RAID_FEATURE_EXTENSION |
                                 MD_FEATURE_BITMAP_OFFSET;
    assert_always_refused(RAID_REFUSE_UNKNOWN_FEATURE, 1, -1);
    super_set_make(set, 10, 4);
    set->supers[1].feature_map = RAID_FEATURE_EXTENSION;
    assert_always_refused(RAID_REFUSE_UNKNOWN_FEATURE, 1, -1);
}

static void test_geometry(void)
{
    static const struct {
        int32_t level;
        uint32_t layout;
        uint32_t chunk_sectors;
        uint32_t raid_disks;
        RaidGeometryError err;
    } cases[] = {
        { 7, 2, 128, 4, RAID_GEOMETRY_BAD_LEVEL },
        { -1, 2, 128, 4, RAID_GEOMETRY_BAD_LEVEL },
        { INT32_MIN, 2, 128, 4, RAID_GEOMETRY_BAD_LEVEL },
        { 5, 99, 128, 4, RAID_GEOMETRY_BAD_LAYOUT },
        { 10, 0, 128, 4, RAID_GEOMETRY_BAD_LAYOUT },
        { 5, 2, 100, 4, RAID_GEOMETRY_BAD_CHUNK },
        { 5, 2, 0, 4, RAID_GEOMETRY_BAD_CHUNK },
        { 5, 2, 32768, 4, RAID_GEOMETRY_MEMBER_TOO_SMALL },
        { 5, 2, 128, 65, RAID_GEOMETRY_TOO_MANY_SLOTS },
        { 10, 0x105, 128, 4, RAID_GEOMETRY_BAD_COPIES },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        super_set_make(set, 5, 4);
        for (unsigned k = 0; k < 4; k++) {
            set->supers[k].level = cases[i].level;
            set->supers[k].layout = cases[i].layout;
            set->supers[k].chunk_sectors = cases[i].chunk_sectors;
            set->supers[k].raid_disks = cases[i].raid_disks;
        }
        g_test_message("case %u", i);
        assert_always_refused(RAID_REFUSE_GEOMETRY, -1, -1);
        g_assert_cmpint(out->geometry_error, ==, cases[i].err);
    }
    super_set_make(set, 6, 3);
    assert_always_refused(RAID_REFUSE_GEOMETRY, -1, -1);
    g_assert_cmpint(out->geometry_error, ==, RAID_GEOMETRY_TOO_FEW_SLOTS);
    super_set_make(set, 0, 3);
    set->supers[1].data_size_sectors -= 1000;
    assert_always_refused(RAID_REFUSE_GEOMETRY, -1, -1);
    g_assert_cmpint(out->geometry_error, ==, RAID_GEOMETRY_UNSET_ZONES);
}

/* A layout of RAID0 counts with its feature bit only. */
static void test_raid0_layout(void)
{
    super_set_make(set, 0, 3);
    for (unsigned k = 0; k < 3; k++) {
        set->supers[k].data_size_sectors -= 1000 * k;
        set->supers[k].layout = 2;
    }
    assert_always_refused(RAID_REFUSE_GEOMETRY, -1, -1);
    for (unsigned k = 0; k < 3; k++) {
        set->supers[k].feature_map = MD_FEATURE_RAID0_LAYOUT;
    }
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmpint(out->geom.layout, ==, RAID_LAYOUT_ALTERNATE);
    g_assert_cmpuint(out->geom.nr_zones, ==, 3);
}

static void test_mismatch(void)
{
    for (unsigned i = 0; i < 7; i++) {
        super_set_make(set, 5, 4);
        set->supers[2].level += i == 0;
        set->supers[2].layout += i == 1;
        set->supers[2].chunk_sectors *= i == 2 ? 2 : 1;
        set->supers[2].minor_version -= i == 3;
        set->supers[2].raid_disks += i == 4;
        set->supers[2].size_sectors -= i == 5;
        set->supers[2].block_bytes = i == 6 ? 4096 : 0;
        assert_always_refused(RAID_REFUSE_MISMATCH, 2, 0);
        set->supers[2].events--;
        if (i < 4) {
            assert_always_refused(RAID_REFUSE_MISMATCH, 2, 0);
        } else {
            /* grown, or told its block size, and cut in between */
            assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
        }
        set->supers[2].events--;
        assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, 4);
    }
}

/* That of the array is what the freshest says; none said, any will do. */
static void test_block_size(void)
{
    super_set_make(set, 5, 4);
    set->candidates[1].block_bytes = 4096;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    for (uint32_t bytes = 512; bytes <= 65536; bytes *= 2) {
        for (unsigned k = 0; k < 4; k++) {
            set->supers[k].block_bytes = bytes;
        }
        if (bytes < 4096) {
            assert_always_refused(RAID_REFUSE_BLOCK_SIZE, 1, 0);
            g_assert_cmpuint(out->block_bytes, ==, bytes);
        } else {
            assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
        }
        /* Of one that missed the update nobody asks. */
        set->supers[2].block_bytes = 0;
        set->supers[2].events--;
        if (bytes < 4096) {
            assert_always_refused(RAID_REFUSE_BLOCK_SIZE, 1, 0);
        } else {
            assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
        }
        set->supers[2].events++;
    }
    /* A chunk has whole blocks; without chunks there is nothing to compare. */
    super_set_make(set, 1, 2);
    set->supers[0].block_bytes = set->supers[1].block_bytes = 65536;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    super_set_make(set, 5, 3);
    for (unsigned k = 0; k < 3; k++) {
        set->supers[k].block_bytes = 65536;
        set->supers[k].chunk_sectors = 64;
    }
    assert_always_refused(RAID_REFUSE_GEOMETRY, -1, -1);
    g_assert_cmpint(out->geometry_error, ==, RAID_GEOMETRY_BAD_CHUNK);
}

static void test_reshape_and_journal(void)
{
    static const uint32_t features[] = {
        MD_FEATURE_RESHAPE_ACTIVE, MD_FEATURE_RESHAPE_BACKWARDS,
        MD_FEATURE_NEW_OFFSET
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(features); i++) {
        super_set_make(set, 5, 4);
        set->supers[1].feature_map = features[i];
        assert_always_refused(RAID_REFUSE_RESHAPE, 1, -1);
    }
    super_set_make(set, 5, 4);
    set->supers[3].feature_map = MD_FEATURE_JOURNAL;
    assert_always_refused(RAID_REFUSE_JOURNAL, 3, -1);
    super_set_make(set, 5, 4);
    super_set_add(set, MD_ROLE_JOURNAL);
    assert_always_refused(RAID_REFUSE_JOURNAL, 4, -1);
}

static void test_bitmap_and_ppl(void)
{
    static const struct {
        uint32_t feature;
        RaidRefusal why;
    } cases[] = {
        { MD_FEATURE_BITMAP_OFFSET, RAID_REFUSE_BITMAP },
        { MD_FEATURE_PPL, RAID_REFUSE_PPL },
        { MD_FEATURE_MULTIPLE_PPLS, RAID_REFUSE_PPL },
    };
    RaidAssembleOptions options = { .policy = STRICT, .read_only = true };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        super_set_make(set, 5, 4);
        set->supers[1].feature_map = cases[i].feature;
        assert_always_refused(cases[i].why, 1, -1);
        g_assert_true(rules_assemble(set->candidates, 4, &options, out));
    }
}

static void test_bad_blocks(void)
{
    super_set_make(set, 5, 4);
    set->candidates[1].bad_log_unknown = true;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    set->supers[1].feature_map = MD_FEATURE_BAD_BLOCKS;
    assert_always_refused(RAID_REFUSE_BAD_BLOCKS, 1, -1);
    set->candidates[1].bad_log_unknown = false;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
}

static void test_replacement(void)
{
    super_set_make(set, 5, 4);
    super_set_add(set, 2);
    set->supers[4].feature_map = MD_FEATURE_REPLACEMENT;
    assert_always_refused(RAID_REFUSE_REPLACEMENT, 4, -1);
    /* While it lacks something, it is rebuilt, and the other holds the slot. */
    set->supers[4].feature_map |= MD_FEATURE_RECOVERY_OFFSET;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmpint(out->verdicts[4], ==, RAID_MEMBER_REBUILDING);
    g_assert_cmpint(out->slots[2], ==, 2);
    set->supers[4].events -= 2;     /* given up long ago */
    assert_accepted(DEGRADED, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmpint(out->verdicts[4], ==, RAID_MEMBER_STALE);
}

static void test_spares(void)
{
    super_set_make(set, 5, 3);
    super_set_add(set, MD_ROLE_SPARE);
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmpint(out->verdicts[3], ==, RAID_MEMBER_SPARE);
    set->supers[3].events = 1000;   /* counts for nothing */
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmpuint(out->events, ==, 10);
    set->supers[3].events = 0;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
    set->supers[3].dev_number = 100;    /* beyond the table: a spare too */
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);

    super_set_make(set, 5, 3);      /* a spare that failed */
    super_set_add(set, MD_ROLE_SPARE);
    super_set_say(set, 7, 3, MD_ROLE_FAULTY);
    assert_refused(STRICT, RAID_REFUSE_STALE, 3, 0);
    assert_accepted(DEGRADED, RAID_ARRAY_OPTIMAL, 0);

    super_set_make(set, 5, 3);      /* its number was given away */
    super_set_add(set, MD_ROLE_SPARE);
    super_set_add(set, MD_ROLE_SPARE);
    set->supers[4].dev_number = 3;
    set->supers[4].events--;
    assert_refused(STRICT, RAID_REFUSE_STALE, 4, 0);
    assert_accepted(DEGRADED, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmpint(out->verdicts[3], ==, RAID_MEMBER_SPARE);
    g_assert_cmpint(out->verdicts[4], ==, RAID_MEMBER_STALE);
    super_set_say(set, ALL, 2, MD_ROLE_FAULTY);     /* and was rebuilt */
    super_set_say(set, ALL, 3, 2);
    super_set_say(set, 1 << 4, 3, MD_ROLE_SPARE);
    assert_accepted(DEGRADED, RAID_ARRAY_OPTIMAL, 0);
    g_assert_cmpint(out->verdicts[3], ==, RAID_MEMBER_IN_SYNC);
    g_assert_cmpint(out->verdicts[4], ==, RAID_MEMBER_STALE);

    super_set_make(set, 5, 3);      /* nothing else */
    super_set_say(set, ALL, 0, MD_ROLE_SPARE);
    set->nr = 1;
    assert_always_refused(RAID_REFUSE_TOO_FEW, -1, -1);
}

static void test_missing_members(void)
{
    static const struct {
        int32_t level;
        unsigned nr_slots;
        unsigned bearable;
    } levels[] = {
        { 0, 4, 0 }, { 1, 4, 3 }, { 4, 4, 1 }, { 5, 4, 1 }, { 6, 5, 2 }
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        super_set_make(set, levels[i].level, levels[i].nr_slots);
        for (unsigned missing = 1; missing < levels[i].nr_slots; missing++) {
            RaidMask mask = raid_mask_first(missing);

            super_set_drop(set, 0);
            if (missing <= levels[i].bearable) {
                assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, mask);
                assert_refused(STRICT, RAID_REFUSE_INCOMPLETE, -1, -1);
            } else {
                assert_always_refused(RAID_REFUSE_TOO_FEW, -1, -1);
            }
            g_assert_cmpint(out->slot, ==, 0);
        }
    }
}

/* What dirty means to each level, whole and with one member missing. */
static void test_dirty(void)
{
    static const int32_t levels[] = { 0, 1, 4, 5, 6, 10 };

    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        bool parity = levels[i] >= 4 && levels[i] <= 6;

        super_set_make(set, levels[i], 4);
        set->supers[3].resync_offset = 4096;    /* of one is enough */
        assert_accepted(FORCE, levels[i] == 0 ? RAID_ARRAY_OPTIMAL
                                              : RAID_ARRAY_RESYNC_PENDING, 0);
        g_assert_cmpuint(out->resync_offset, ==,
                         levels[i] == 0 ? MD_RESYNC_DONE : 4096);
        g_assert_false(out->forced);
        super_set_drop(set, 1);
        if (levels[i] == 0) {
            assert_always_refused(RAID_REFUSE_TOO_FEW, -1, -1);
        } else if (parity) {
            assert_refused(DEGRADED, RAID_REFUSE_DIRTY_DEGRADED, -1, -1);
            assert_accepted(FORCE, RAID_ARRAY_DEGRADED, 2);
            g_assert_true(out->forced);
        } else {
            assert_accepted(DEGRADED, RAID_ARRAY_DEGRADED, 2);
            assert_accepted(FORCE, RAID_ARRAY_DEGRADED, 2);
            g_assert_false(out->forced);
        }
    }
    /* One update behind, its word on this no longer counts. */
    super_set_make(set, 5, 4);
    set->supers[3].resync_offset = 0;
    set->supers[3].events--;
    assert_accepted(STRICT, RAID_ARRAY_OPTIMAL, 0);
}

static void test_refusal_names(void)
{
    for (unsigned i = 0; i < RAID_REFUSE__MAX; i++) {
        for (unsigned j = 0; j < i; j++) {
            g_assert_cmpstr(raid_refusal_name(i), !=, raid_refusal_name(j));
        }
    }
    g_assert_cmpstr(raid_refusal_name(RAID_REFUSE_SPLIT_BRAIN), ==,
                    "SPLIT_BRAIN");
}

/* As many as there can be: 64 slots and as many spares. */
static void test_most_candidates(void)
{
    MdSuper *supers = g_new0(MdSuper, RAID_MAX_CANDIDATES);
    RaidCandidate candidates[RAID_MAX_CANDIDATES] = { 0 };
    RaidAssembleOptions options = { .policy = STRICT };

    super_set_make(set, 6, 4);
    for (unsigned i = 0; i < RAID_MAX_CANDIDATES; i++) {
        MdSuper *sb = &supers[i];

        *sb = set->supers[0];
        sb->dev_number = i;
        sb->raid_disks = RAID_MAX_MEMBERS;
        sb->max_dev = RAID_MAX_CANDIDATES;
        memset(sb->device_uuid, i + 1, sizeof(sb->device_uuid));
        for (unsigned dev = 0; dev < sb->max_dev; dev++) {
            sb->roles[dev] = dev < RAID_MAX_MEMBERS ? 63 - dev : MD_ROLE_SPARE;
        }
        candidates[i] = set->candidates[0];
        candidates[i].super = sb;
    }
    g_assert_true(rules_assemble_orders(candidates, RAID_MAX_CANDIDATES,
                                        &options, 50, 7, out));
    g_assert_cmpuint(out->geom.nr_data, ==, 62);
    for (int slot = 0; slot < RAID_MAX_MEMBERS; slot++) {
        g_assert_cmpint(out->slots[slot], ==, 63 - slot);
        g_assert_cmpint(out->verdicts[64 + slot], ==, RAID_MEMBER_SPARE);
    }
    g_free(supers);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } tests[] = {
        { "no-superblock", test_no_superblock },
        { "torn-and-dirty", test_torn_and_dirty },
        { "foreign", test_foreign },
        { "wrong-uuid-and-name", test_wrong_uuid_and_name },
        { "left-out", test_left_out },
        { "duplicate", test_duplicate },
        { "stale", test_stale },
        { "lagging", test_lagging },
        { "slot-range", test_slot_range },
        { "too-small", test_too_small },
        { "unknown-feature", test_unknown_feature },
        { "geometry", test_geometry },
        { "raid0-layout", test_raid0_layout },
        { "mismatch", test_mismatch },
        { "block-size", test_block_size },
        { "reshape-and-journal", test_reshape_and_journal },
        { "bitmap-and-ppl", test_bitmap_and_ppl },
        { "bad-blocks", test_bad_blocks },
        { "replacement", test_replacement },
        { "spares", test_spares },
        { "missing-members", test_missing_members },
        { "dirty", test_dirty },
        { "refusal-names", test_refusal_names },
        { "most-candidates", test_most_candidates },
    };
    int ret;

    g_test_init(&argc, &argv, NULL);
    set = g_new(SuperSet, 1);
    out = g_new(RaidAssembly, 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *path = g_strconcat("/raid/assemble/", tests[i].name,
                                            NULL);
        g_test_add_func(path, tests[i].fn);
    }
    ret = g_test_run();
    g_free(out);
    g_free(set);
    return ret;
}
