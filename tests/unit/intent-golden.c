/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bitmaps and logs that md wrote: see intent-golden.h.
 */
#include <glib.h>
#include <string.h>

#include "intent-golden.h"

#define SECTOR  RAID_SECTOR_BYTES

static char *read_data(const char *file, gsize *length)
{
    g_autofree char *path = g_test_build_filename(G_TEST_DIST, "data", file,
                                                  NULL);
    g_autoptr(GError) err = NULL;
    char *bytes = NULL;

    g_file_get_contents(path, &bytes, length, &err);
    g_assert_no_error(err);
    return bytes;
}

/* The words of the line "NAME minor intent data device-bytes...". */
static char **find_line(const char *name)
{
    g_autofree char *text = read_data("intents.list", NULL);
    g_auto(GStrv) lines = g_strsplit(g_strstrip(text), "\n", -1);

    for (char **line = lines; *line; line++) {
        char **words = g_strsplit(*line, " ", -1);

        if (!strcmp(words[0], name)) {
            return words;
        }
        g_strfreev(words);
    }
    g_error("no golden bitmap or log named %s", name);
}

static uint64_t number(const char *word)
{
    return g_ascii_strtoull(word, NULL, 10);
}

static void make_geometry(IntentGolden *golden)
{
    const MdSuper *sb = &golden->members[0].super;
    RaidGeometryParams params = {
        .nr_slots = sb->raid_disks,
        .chunk_bytes = sb->chunk_sectors * SECTOR,
    };

    g_assert_true(raid_from_md(sb->level, sb->layout, &params));
    for (unsigned slot = 0; slot < params.nr_slots; slot++) {
        params.member_bytes[slot] = sb->size_sectors * SECTOR;
    }
    g_assert_cmpint(raid_geometry_init(&golden->geom, &params), ==,
                    RAID_GEOMETRY_OK);
}

IntentGolden *intent_golden_load(const char *name)
{
    IntentGolden *golden = g_new0(IntentGolden, 1);
    g_auto(GStrv) words = find_line(name);
    g_autofree char *file = g_strconcat(name, ".intent", NULL);
    unsigned minor = number(words[1]);
    size_t member_bytes;
    gsize length;

    g_strlcpy(golden->name, name, sizeof(golden->name));
    golden->nr = g_strv_length(words) - 4;
    golden->intent_bytes = number(words[2]) * SECTOR;
    golden->data_bytes = number(words[3]) * SECTOR;
    golden->bytes = (uint8_t *)read_data(file, &length);
    g_assert_cmpuint(golden->nr, <=, INTENT_MAX_MEMBERS);
    member_bytes = SECTOR + golden->intent_bytes + golden->data_bytes;
    g_assert_cmpuint(length, ==, golden->nr * member_bytes);
    for (unsigned i = 0; i < golden->nr; i++) {
        IntentMember *member = &golden->members[i];
        const uint8_t *at = golden->bytes + i * member_bytes;

        member->device_bytes = number(words[4 + i]);
        g_assert_cmpint(md_super_decode(at, SECTOR, minor,
                                        member->device_bytes, &member->super),
                        ==, MD_SUPER_OK);
        member->intent = at + SECTOR;
        member->data = member->intent + golden->intent_bytes;
    }
    make_geometry(golden);
    return golden;
}

void intent_golden_free(IntentGolden *golden)
{
    g_free(golden->bytes);
    g_free(golden);
}
