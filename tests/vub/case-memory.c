/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: the memory table, whole and by regions.
 */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"
#include "rig.h"

#define SPARE_GUEST     0x200000000ull
#define SPARE_USER      0x700000000000ull
#define SPARE_BYTES     (1u << 20)

static FrontOutcome try_table(Front *front, const WireMemTable *table,
                              unsigned nr_sent, unsigned nr_fds)
{
    int fds[WIRE_MAX_FDS];

    for (unsigned i = 0; i < nr_fds; i++) {
        fds[i] = front->mem_fd;
    }
    return front_try(front, WIRE_SET_MEM_TABLE, table,
                     8 + nr_sent * sizeof(WireRegion), fds, nr_fds);
}

static void expect_refused(Rig *rig, FrontOutcome outcome)
{
    if (outcome != FRONT_REFUSED) {
        g_error("it was %s", outcome == FRONT_CLOSED ? "answered by closing"
                                                     : "accepted");
    }
    /* The table is the one that was there before. */
    expect_write_and_read(rig->ring, 0, 0x51);
}

typedef struct RegionCase {
    uint64_t guest_addr, bytes, user_addr, mmap_off;
    const char *what;
} RegionCase;

static const RegionCase region_cases[] = {
    { SPARE_GUEST, 0, SPARE_USER, 0, "a region of no bytes" },
    { SPARE_GUEST, 2ull * FRONT_MEM_BYTES, SPARE_USER, 0,
      "a region larger than its file" },
    { SPARE_GUEST, 4096, SPARE_USER, FRONT_MEM_BYTES,
      "a region behind the end of its file" },
    { SPARE_GUEST, 4096, SPARE_USER, UINT64_MAX - 4095,
      "a region with an offset that overflows" },
    { SPARE_GUEST, UINT64_MAX, SPARE_USER, 0, "a region of all there is" },
    { UINT64_MAX - 4095, 8192, SPARE_USER, 0,
      "a region past the last guest address" },
    { SPARE_GUEST, 8192, UINT64_MAX - 4095, 0,
      "a region past the last user address" },
};

static void bad_region_in_table(const void *arg)
{
    const RegionCase *c = arg;
    WireMemTable table;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_memory_table(rig.front, &table);
    table.nr = 2;
    table.region[1] = (WireRegion) { c->guest_addr, c->bytes, c->user_addr,
                                     c->mmap_off };
    expect_refused(&rig, try_table(rig.front, &table, 2, 2));
    rig_close(&rig);
}

static FrontOutcome add_region(Rig *rig, uint64_t guest_addr, uint64_t bytes,
                               uint64_t user_addr, uint64_t mmap_off)
{
    WireMemReg reg = { 0, { guest_addr, bytes, user_addr, mmap_off } };

    return front_try(rig->front, WIRE_ADD_MEM_REG, &reg, sizeof(reg),
                     &rig->front->mem_fd, 1);
}

static FrontOutcome remove_region(Rig *rig, uint64_t guest_addr,
                                  uint64_t bytes, uint64_t user_addr)
{
    WireMemReg reg = { 0, { guest_addr, bytes, user_addr, 0 } };

    return front_try(rig->front, WIRE_REM_MEM_REG, &reg, sizeof(reg), NULL, 0);
}

static void bad_region_added(const void *arg)
{
    const RegionCase *c = arg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    expect_refused(&rig, add_region(&rig, c->guest_addr, c->bytes,
                                    c->user_addr, c->mmap_off));
    rig_close(&rig);
}

static void region_count(const void *arg)
{
    static const struct { unsigned nr, sent, fds; } counts[] = {
        { 9, 8, 8 }, { 2, 1, 1 }, { 2, 2, 1 }, { 1, 1, 2 }, { 1, 1, 0 },
        { UINT32_MAX, 8, 8 },
    };
    WireMemTable table;
    Rig rig;

    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        FrontOutcome outcome;

        rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
        front_memory_table(rig.front, &table);
        for (unsigned n = 1; n < WIRE_MAX_REGIONS; n++) {
            table.region[n] = (WireRegion) {
                SPARE_GUEST + n * SPARE_BYTES, SPARE_BYTES,
                SPARE_USER + n * SPARE_BYTES, 0,
            };
        }
        table.nr = counts[i].nr;
        /* Number, size and files contradict each other: a frame, or not. */
        outcome = try_table(rig.front, &table, counts[i].sent, counts[i].fds);
        g_assert_cmpint(outcome, !=, FRONT_ACCEPTED);
        if (outcome == FRONT_CLOSED) {
            rig_reconnect(&rig, SPLIT);
        }
        expect_works(rig.ring);
        rig_close(&rig);
    }
}

static void overlap(const void *arg)
{
    WireMemTable table;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_memory_table(rig.front, &table);
    table.nr = 2;
    table.region[1] = table.region[0];
    table.region[1].guest_addr += FRONT_MEM_BYTES - 4096;
    table.region[1].user_addr = SPARE_USER;
    expect_refused(&rig, try_table(rig.front, &table, 2, 2));
    expect_refused(&rig, add_region(&rig, FRONT_GUEST_BASE + 4096, 4096,
                                    SPARE_USER, 0));
    rig_close(&rig);
}

/* A region with a place in its file that is no multiple of the page. */
static void offset_in_file(const void *arg)
{
    uint8_t *data;
    Request w;
    uint8_t disk[512];
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    data = front_alloc(rig.front, SPARE_BYTES, 4096);
    memset(data, 0x68, SPARE_BYTES);
    g_assert_cmpint(add_region(&rig, SPARE_GUEST, SPARE_BYTES - 4096,
                               SPARE_USER, data - rig.front->mem + 512), ==,
                    FRONT_ACCEPTED);
    data[512] = 0x69;
    w = request_make(rig.ring, VIRTIO_BLK_T_OUT, 5, 0);
    RingBuf buf[] = {
        buf_of(rig.front, w.header, 16, false),
        { SPARE_GUEST, 512, false },
        buf_of(rig.front, w.status, 1, true),
    };
    request_send_as(&w, buf, 3, false);
    g_assert_cmpuint(request_wait(&w), ==, VIRTIO_BLK_S_OK);
    daemon_peek(rig.daemon, disk, 512, 5 * 512);
    g_assert_cmphex(disk[0], ==, 0x69);
    g_assert_true(filled_with(disk + 1, 511, 0x68));
    rig_close(&rig);
}

static void slots(const void *arg)
{
    unsigned files;
    uint64_t nr;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    files = daemon_open_files(rig.daemon);
    nr = front_get_u64(rig.front, WIRE_GET_MAX_MEM_SLOTS);
    for (unsigned i = 1; i < nr; i++) {
        g_assert_cmpint(add_region(&rig, SPARE_GUEST + i * SPARE_BYTES,
                                   SPARE_BYTES, SPARE_USER + i * SPARE_BYTES,
                                   0), ==, FRONT_ACCEPTED);
    }
    expect_refused(&rig, add_region(&rig, SPARE_GUEST + nr * SPARE_BYTES,
                                    SPARE_BYTES, SPARE_USER + nr * SPARE_BYTES,
                                    0));
    for (unsigned i = 1; i < nr; i++) {
        g_assert_cmpint(remove_region(&rig, SPARE_GUEST + i * SPARE_BYTES,
                                      SPARE_BYTES,
                                      SPARE_USER + i * SPARE_BYTES), ==,
                        FRONT_ACCEPTED);
        expect_works(rig.ring);
    }
    g_assert_cmpuint(daemon_open_files(rig.daemon), <=, files + 2);
    rig_close(&rig);
}

static void remove_unknown(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    expect_refused(&rig, remove_region(&rig, SPARE_GUEST, SPARE_BYTES,
                                       SPARE_USER));
    expect_refused(&rig, remove_region(&rig, FRONT_GUEST_BASE, 4096,
                                       (uintptr_t)rig.front->mem));
    rig_close(&rig);
}

/* Requests under way in a region, and it goes: they end, then it goes. */
static void remove_under_load(const void *arg)
{
    uint8_t *spare;
    Request r;
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", SPLIT);
    spare = front_alloc(rig.front, SPARE_BYTES, 4096);
    g_assert_cmpint(add_region(&rig, SPARE_GUEST, SPARE_BYTES, SPARE_USER,
                               spare - rig.front->mem), ==, FRONT_ACCEPTED);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 0);
    memset(spare, 0xee, 4096);
    RingBuf buf[] = {
        buf_of(rig.front, r.header, 16, false),
        { SPARE_GUEST, 4096, true },
        buf_of(rig.front, r.status, 1, true),
    };
    r.bytes = 4096;
    request_send_as(&r, buf, 3, false);
    let_it_be();
    g_assert_cmpint(remove_region(&rig, SPARE_GUEST, SPARE_BYTES, SPARE_USER),
                    ==, FRONT_ACCEPTED);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    g_assert_true(filled_with(spare, 4096, 0));

    /* Gone is gone. */
    ring_add(rig.ring, buf, 3, false);
    ring_kick(rig.ring);
    event_wait(rig.ring->err, "the ring that used memory that is gone");
    rig_close(&rig);
}

/* The ring's own memory goes, or not: it may stop, all else goes on. */
static void remove_the_rings_own(const void *arg)
{
    FrontOutcome outcome;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    outcome = remove_region(&rig, FRONT_GUEST_BASE, FRONT_MEM_BYTES,
                            (uintptr_t)rig.front->mem);
    g_assert_cmpint(outcome, !=, FRONT_CLOSED);
    ring_kick(rig.ring);
    let_it_be();
    front_sync(rig.front);
    rig_reconnect(&rig, SPLIT);
    expect_works(rig.ring);
    rig_close(&rig);
}

static void plug_under_load(const void *way)
{
    const Way *w = way;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", w->without);
    for (unsigned i = 0; i < 100; i++) {
        size_t mem = rig.front->mem_used;

        for (unsigned n = 0; n < 16; n++) {
            Request r = request_make(rig.ring, VIRTIO_BLK_T_OUT, n * 8, 4096);

            request_send(&r, w->indirect);
        }
        g_assert_cmpint(add_region(&rig, SPARE_GUEST, SPARE_BYTES, SPARE_USER,
                                   0), ==, FRONT_ACCEPTED);
        g_assert_cmpint(remove_region(&rig, SPARE_GUEST, SPARE_BYTES,
                                      SPARE_USER), ==, FRONT_ACCEPTED);
        front_share_memory(rig.front);
        ring_wait_all(rig.ring);
        rig.front->mem_used = mem;
    }
    expect_works(rig.ring);
    rig_close(&rig);
}

void add_memory_cases(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(region_cases); i++) {
        case_add(bad_region_in_table, &region_cases[i],
                 "memory: refused is a table with %s", region_cases[i].what);
        case_add(bad_region_added, &region_cases[i],
                 "memory: refused is to add %s", region_cases[i].what);
    }
    case_add(region_count, NULL,
             "memory: number, size and files of a table must agree");
    case_add(overlap, NULL, "memory: refused are regions that overlap");
    case_add(offset_in_file, NULL,
             "memory: a region may begin anywhere in its file");
    case_add(slots, NULL,
             "memory: as many regions as slots, and they can be taken away");
    case_add(remove_unknown, NULL,
             "memory: refused is to remove what is no region");
    case_add(remove_under_load, NULL,
             "memory: a region goes when its requests are done");
    case_add(remove_the_rings_own, NULL,
             "memory: taken from under a ring it does no harm");
    case_add_in_each_way(plug_under_load,
                         "memory: regions come and go under load");
}
