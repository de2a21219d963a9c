/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sets of superblocks to test with: see super-set.h.
 */
#include <glib.h>
#include <stdio.h>
#include <string.h>

#include "assemble-rules.h"
#include "super-set.h"

#define DATA_OFFSET     2048
#define DATA_SECTORS    20480

static void parse_line(Golden *golden, const char *line)
{
    g_auto(GStrv) words = g_strsplit(g_strstrip((char *)line), " ", -1);

    memset(golden, 0, sizeof(*golden));
    golden->nr = g_strv_length(words) - 2;
    g_assert_cmpuint(golden->nr, <=, SUPER_SET_MAX);
    g_strlcpy(golden->name, words[0], sizeof(golden->name));
    golden->minor = g_ascii_strtoull(words[1], NULL, 10);
    for (unsigned i = 0; i < golden->nr; i++) {
        golden->device_bytes[i] = g_ascii_strtoull(words[i + 2], NULL, 10);
    }
}

static void load_images(Golden *golden)
{
    g_autofree char *file = g_strconcat(golden->name, ".sb", NULL);
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", file,
                                                  NULL);
    g_autofree char *bytes = NULL;
    g_autoptr(GError) err = NULL;
    gsize length;

    g_file_get_contents(path, &bytes, &length, &err);
    g_assert_no_error(err);
    g_assert_cmpuint(length, ==, golden->nr * GOLDEN_BYTES);
    memcpy(golden->image, bytes, length);
}

static char **golden_lines(void)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data",
                                                  "superblocks.list", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) err = NULL;

    g_file_get_contents(path, &text, NULL, &err);
    g_assert_no_error(err);
    return g_strsplit(g_strstrip(text), "\n", -1);
}

void golden_load(Golden *golden, const char *name)
{
    g_auto(GStrv) lines = golden_lines();

    for (char **line = lines; *line; line++) {
        parse_line(golden, *line);
        if (!strcmp(golden->name, name)) {
            load_images(golden);
            return;
        }
    }
    g_error("no golden superblocks named %s", name);
}

unsigned golden_foreach(void (*fn)(const Golden *golden))
{
    g_auto(GStrv) lines = golden_lines();
    g_autofree Golden *golden = g_new(Golden, 1);
    unsigned n = 0;

    for (char **line = lines; *line; line++, n++) {
        parse_line(golden, *line);
        load_images(golden);
        fn(golden);
    }
    return n;
}

static void link_candidate(SuperSet *set, unsigned i)
{
    set->candidates[i].super = &set->supers[i];
}

void super_set_make(SuperSet *set, int32_t md_level, unsigned nr_slots)
{
    memset(set, 0, sizeof(*set));
    set->nr = nr_slots;
    for (unsigned i = 0; i < nr_slots; i++) {
        MdSuper *sb = &set->supers[i];

        sb->minor_version = 2;
        memset(sb->set_uuid, 0x42, sizeof(sb->set_uuid));
        g_strlcpy(sb->set_name, "host:array", sizeof(sb->set_name));
        sb->level = md_level;
        sb->layout = md_level == 10 ? 0x102 : md_level >= 5 ? 2 : 0;
        sb->chunk_sectors = md_level == 1 ? 0 : 128;
        sb->raid_disks = nr_slots;
        sb->size_sectors = md_level == 0 ? 0 : DATA_SECTORS;
        sb->data_offset_sectors = DATA_OFFSET;
        sb->data_size_sectors = DATA_SECTORS;
        sb->super_offset_sectors = 8;
        sb->dev_number = i;
        memset(sb->device_uuid, i + 1, sizeof(sb->device_uuid));
        sb->events = 10;
        sb->resync_offset = MD_RESYNC_DONE;
        sb->max_dev = 16;
        for (unsigned dev = 0; dev < sb->max_dev; dev++) {
            sb->roles[dev] = dev < nr_slots ? dev : MD_ROLE_SPARE;
        }
        set->candidates[i].device_bytes =
            (DATA_OFFSET + DATA_SECTORS) * RAID_SECTOR_BYTES;
        link_candidate(set, i);
    }
}

void super_set_load(SuperSet *set, const Golden *golden, const char *which)
{
    memset(set, 0, sizeof(*set));
    for (; *which; which++) {
        unsigned i = *which - '0';
        RaidCandidate *c = &set->candidates[set->nr];

        g_assert_cmpuint(i, <, golden->nr);
        c->device_bytes = golden->device_bytes[i];
        c->super_error = md_super_decode(golden->image[i], GOLDEN_BYTES,
                                         golden->minor, c->device_bytes,
                                         &set->supers[set->nr]);
        g_assert_cmpint(c->super_error, ==, MD_SUPER_OK);
        link_candidate(set, set->nr++);
    }
}

unsigned super_set_add(SuperSet *set, uint16_t role)
{
    unsigned i = set->nr++;
    MdSuper *sb = &set->supers[i];

    g_assert_cmpuint(i, <, SUPER_SET_MAX);
    *sb = set->supers[0];
    sb->dev_number = i;
    memset(sb->device_uuid, i + 1, sizeof(sb->device_uuid));
    set->candidates[i] = set->candidates[0];
    link_candidate(set, i);
    super_set_say(set, ~0u, i, role);
    return i;
}

void super_set_say(SuperSet *set, unsigned who_mask, unsigned dev,
                   uint16_t role)
{
    for (unsigned i = 0; i < set->nr; i++) {
        if (who_mask & (1u << i)) {
            set->supers[i].roles[dev] = role;
        }
    }
}

void super_set_drop(SuperSet *set, unsigned i)
{
    set->nr--;
    for (; i < set->nr; i++) {
        set->supers[i] = set->supers[i + 1];
        set->candidates[i] = set->candidates[i + 1];
        link_candidate(set, i);
    }
}

void super_set_copy(SuperSet *to, const SuperSet *from)
{
    *to = *from;
    for (unsigned i = 0; i < to->nr; i++) {
        link_candidate(to, i);
    }
}

bool super_set_assemble(const SuperSet *set, RaidPolicy policy,
                        RaidAssembly *out)
{
    RaidAssembleOptions options = { .policy = policy };

    return rules_assemble_orders(set->candidates, set->nr, &options, 120,
                                 g_test_rand_int(), out);
}
