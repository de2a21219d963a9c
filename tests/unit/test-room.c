/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of util/raid/room: rooms by name, and any members' rooms held against
 * a map of which sectors are free.
 */
#include <glib.h>
#include <string.h>

#include "util/raid/room.h"

#define MEMBERS     5
#define SECTORS     4096

static MdSuper supers[MEMBERS];
static const MdSuper *list[MEMBERS];

static void set_up(unsigned minor, uint64_t data_sector, int32_t log_offset)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        memset(&supers[i], 0, sizeof(supers[i]));
        supers[i].minor_version = minor;
        supers[i].super_offset_sectors = minor == 2 ? 8 : 0;
        supers[i].data_offset_sectors = data_sector;
        supers[i].bblog_offset_sectors = log_offset;
        supers[i].bblog_size_sectors = log_offset ? 8 : 0;
        list[i] = &supers[i];
    }
}

static void expect(uint64_t tail, uint64_t want, uint64_t start, uint64_t end)
{
    RaidRoom room = raid_room_find(list, MEMBERS, tail, want);

    g_assert_cmpuint(room.start, ==, start);
    g_assert_cmpuint(room.end, ==, end);
}

static void test_by_name(void)
{
    /* As mdadm and we lay a member out. */
    set_up(2, 2048, 16);
    expect(0, 8, 16, 24);
    expect(0, 9, 32, 2048);
    expect(0, UINT64_MAX, 32, 2048);
    expect(8, UINT64_MAX, 32, 2040);
    /* The same with 1.1, and without a log. */
    set_up(1, 2048, 0);
    expect(0, 1, 8, 2048);
    /* One member's log is elsewhere. */
    set_up(2, 2048, 16);
    supers[3].bblog_offset_sectors = 1000;
    expect(0, 900, 32, 1008);
    expect(0, 1000, 1016, 2048);
    expect(0, 1100, 1016, 2048);
    /* It is right in front of the data, where a tail should be. */
    supers[3].bblog_offset_sectors = 2032;
    expect(0, 900, 32, 2040);
    expect(8, 900, 0, 0);
    /* One has less room, or its superblock elsewhere. */
    supers[3].bblog_offset_sectors = 16;
    supers[4].data_offset_sectors = 1025;
    expect(0, 900, 32, 1024);
    supers[4].super_offset_sectors = 0;
    expect(0, 900, 0, 0);
}

static void test_none(void)
{
    set_up(0, 0, 0);
    for (unsigned i = 0; i < MEMBERS; i++) {
        supers[i].super_offset_sectors = 100000;
    }
    expect(0, 1, 0, 0);
    set_up(2, 16, 0);
    expect(0, 1, 0, 0);
    expect(8, 1, 0, 0);
    set_up(2, 24, 8);
    expect(0, 1, 0, 0);
    set_up(2, 32, 8);
    expect(0, 1, 24, 32);
    expect(8, 1, 0, 0);
}

/* false: in use on some member, or none of ours */
static void fill_map(uint64_t tail, bool *is_free)
{
    memset(is_free, 0, SECTORS * sizeof(*is_free));
    for (uint64_t at = supers[0].super_offset_sectors + 8; at < SECTORS;
         at++) {
        is_free[at] = true;
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        uint64_t log = supers[i].super_offset_sectors +
                       supers[i].bblog_offset_sectors;

        for (uint64_t at = supers[i].data_offset_sectors - tail;
             at < SECTORS; at++) {
            is_free[at] = false;
        }
        for (uint64_t at = log; at < log + 8; at++) {
            is_free[at] = false;
        }
    }
}

static void test_random(void)
{
    g_autofree bool *is_free = g_new(bool, SECTORS);

    for (unsigned n = 0; n < 20000; n++) {
        uint64_t tail = g_test_rand_int_range(0, 2) * 8;
        uint64_t want = g_test_rand_int_range(1, 512);
        uint64_t longest = 0, first = 0, run = 0;
        RaidRoom room;

        set_up(2, 1024, 8);
        for (unsigned i = 0; i < MEMBERS; i++) {
            uint64_t data = 64 + 8 * g_test_rand_int_range(0, 64);

            supers[i].data_offset_sectors = data;
            supers[i].bblog_offset_sectors =
                8 * g_test_rand_int_range(1, (data - tail) / 8 - 1);
        }
        fill_map(tail, is_free);
        for (uint64_t at = 0; at < SECTORS; at++) {
            run = is_free[at] ? run + 1 : 0;
            longest = MAX(longest, run);
            if (run == want && !first) {
                first = at + 1 - want;
            }
        }
        room = raid_room_find(list, MEMBERS, tail, want);
        for (uint64_t at = room.start; at < room.end; at++) {
            g_assert_true(is_free[at]);
        }
        if (first) {
            g_assert_cmpuint(room.start, ==, first);
            g_assert_cmpuint(raid_room_sectors(room), >=, want);
        } else {
            g_assert_cmpuint(raid_room_sectors(room), ==, longest);
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/room/by-name", test_by_name);
    g_test_add_func("/room/none", test_none);
    g_test_add_func("/room/random", test_random);
    return g_test_run();
}
