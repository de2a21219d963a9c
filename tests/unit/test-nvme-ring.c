/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/nvme/ring: with a drive that does as it should, in any order, each
 * command is read and answered once; with one that does not, nothing comes
 * back that it does not have, and nothing twice
 */

#include <glib.h>
#include <string.h>

#include "util/nvme/ring.h"
#include "util/raid/le-bytes.h"

#define MAX_ENTRIES     64u

/* A drive, and what it should know. */
typedef struct Rig {
    NvRing ring;
    unsigned entries;
    uint8_t *sq;
    uint8_t *cq;
    uint32_t doorbells[2];
    unsigned sq_head, cq_tail;  /* the drive's */
    unsigned phase;
    uint16_t has[MAX_ENTRIES];  /* cids that it was told, not answered */
    unsigned nr_has;

    /* Of each tracker: who waits for it, by what was submitted when */
    uintptr_t waits[MAX_ENTRIES];
    uintptr_t last_opaque;
    unsigned nr_waiting;
} Rig;

static void rig_init(Rig *rig, unsigned entries)
{
    memset(rig, 0, sizeof(*rig));
    rig->entries = entries;
    /* Exactly as large as it says, for sanitizers; not cleared. */
    rig->sq = g_malloc(entries * NV_COMMAND_BYTES);
    rig->cq = g_malloc(entries * NV_COMPLETION_BYTES);
    memset(rig->cq, 0xff, entries * NV_COMPLETION_BYTES);
    nv_ring_init(&rig->ring, &(NvRingSetup) {
        .sq = rig->sq,
        .cq = rig->cq,
        .sq_doorbell = &rig->doorbells[0],
        .cq_doorbell = &rig->doorbells[1],
        .entries = entries,
    });
    rig->phase = 1;
}

static void rig_destroy(Rig *rig)
{
    nv_ring_destroy(&rig->ring);
    g_free(rig->sq);
    g_free(rig->cq);
}

/* False if it is full, which is so when all trackers are taken. */
static bool submit(Rig *rig)
{
    int index = nv_ring_take(&rig->ring);
    NvCommand command;

    g_assert_cmpint(index < 0, ==, rig->nr_waiting == rig->entries - 1);
    if (index < 0) {
        return false;
    }
    g_assert_cmpuint(rig->waits[index], ==, 0);
    rig->waits[index] = ++rig->last_opaque;
    rig->nr_waiting++;
    command = nv_read(1, rig->last_opaque, 1);
    nv_ring_submit(&rig->ring, index, &command, index, 0,
                   (void *)rig->last_opaque, rig->last_opaque * 10);
    return true;
}

static void check(Rig *rig, const NvCompletion *done, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        g_assert_cmpuint(done[i].index, <, rig->entries - 1);
        g_assert_cmpuint((uintptr_t)done[i].opaque, ==,
                         rig->waits[done[i].index]);
        g_assert_cmpuint((uintptr_t)done[i].opaque, !=, 0);
        rig->waits[done[i].index] = 0;
        rig->nr_waiting--;
    }
    g_assert_cmpuint(rig->ring.nr_busy, ==, rig->nr_waiting);
}

static void check_oldest(const Rig *rig)
{
    const NvTracker *oldest = nv_ring_oldest(&rig->ring);
    uintptr_t want = UINTPTR_MAX;

    for (unsigned i = 0; i < rig->entries - 1; i++) {
        if (rig->waits[i]) {
            want = MIN(want, rig->waits[i]);
        }
    }
    g_assert_cmpint(oldest == NULL, ==, want == UINTPTR_MAX);
    if (oldest) {
        g_assert_cmpuint((uintptr_t)oldest->opaque, ==, want);
        g_assert_cmpint(oldest->since_ns, ==, want * 10);
    }
}

/* The drive reads what is new. */
static void drive_fetch(Rig *rig)
{
    unsigned tail = GUINT32_FROM_LE(rig->doorbells[0]);

    g_assert_cmpuint(tail, <, rig->entries);
    while (rig->sq_head != tail) {
        const uint8_t *sqe = rig->sq + rig->sq_head * NV_COMMAND_BYTES;
        uint16_t cid = le_get_u16(sqe, 2);
        uint64_t index = le_get_u64(sqe, 24);

        g_assert_cmpuint(le_get_u64(sqe, 40), ==, rig->waits[index]);
        g_assert_cmphex(cid, !=, 0xffff);
        for (unsigned i = 0; i < rig->nr_has; i++) {
            g_assert_cmphex(rig->has[i], !=, cid);
        }
        rig->has[rig->nr_has++] = cid;
        rig->sq_head = (rig->sq_head + 1) % rig->entries;
    }
}

static void drive_post(Rig *rig, uint16_t cid, uint16_t status, uint32_t result)
{
    uint8_t *cqe = rig->cq + rig->cq_tail * NV_COMPLETION_BYTES;

    le_put_u32(cqe, 0, result);
    le_put_u32(cqe, 4, g_test_rand_int());
    le_put_u32(cqe, 8, g_test_rand_int());
    le_put_u16(cqe, 12, cid);
    le_put_u16(cqe, 14, status << 1 | rig->phase);
    rig->cq_tail = (rig->cq_tail + 1) % rig->entries;
    rig->phase ^= rig->cq_tail == 0;
}

static bool drive_has_room(const Rig *rig)
{
    return (rig->cq_tail + 1) % rig->entries !=
           GUINT32_FROM_LE(rig->doorbells[1]);
}

static uint16_t drive_give(Rig *rig)
{
    unsigned which = g_test_rand_int_range(0, rig->nr_has);
    uint16_t cid = rig->has[which];

    rig->has[which] = rig->has[--rig->nr_has];
    return cid;
}

static void gather(Rig *rig, unsigned max)
{
    NvCompletion done[MAX_ENTRIES];
    unsigned nr = nv_ring_gather(&rig->ring, done, max);

    g_assert_cmpuint(nr, <=, max);
    for (unsigned i = 0; i < nr; i++) {
        g_assert_cmphex(done[i].result, ==, done[i].status * 3u);
    }
    check(rig, done, nr);
    g_assert_cmpuint(GUINT32_FROM_LE(rig->doorbells[1]), ==,
                     rig->ring.cq_head);
}

static void honest_life(unsigned entries)
{
    uint32_t told = 0;
    Rig rig;

    rig_init(&rig, entries);
    for (unsigned i = 0; i < 4000; i++) {
        switch (g_test_rand_int_range(0, 5)) {
        case 0:
        case 1:
            submit(&rig);
            /* Nothing is told before the kick. */
            g_assert_cmpuint(rig.doorbells[0], ==, told);
            break;
        case 2:
            nv_ring_kick(&rig.ring);
            told = rig.doorbells[0];
            drive_fetch(&rig);
            break;
        case 3:
            if (rig.nr_has && drive_has_room(&rig)) {
                uint16_t status = g_test_rand_int_range(0, 0x8000);

                drive_post(&rig, drive_give(&rig), status, status * 3u);
            }
            break;
        case 4:
            g_assert_cmpint(nv_ring_ready(&rig.ring), ==,
                            rig.cq_tail != rig.ring.cq_head);
            gather(&rig, g_test_rand_int_range(1, 5));
            break;
        }
        check_oldest(&rig);
    }
    g_assert_cmpuint(rig.ring.nr_strange, ==, 0);
    nv_ring_kick(&rig.ring);
    drive_fetch(&rig);
    gather(&rig, entries);
    while (rig.nr_has) {
        drive_post(&rig, drive_give(&rig), 7, 21);
        gather(&rig, 1);
    }
    g_assert_cmpuint(rig.nr_waiting, ==, 0);
    g_assert_false(nv_ring_ready(&rig.ring));
    rig_destroy(&rig);
}

static void test_honest(void)
{
    static const unsigned entries[] = { 2, 3, 4, 5, 8, 33, MAX_ENTRIES };

    for (unsigned i = 0; i < G_N_ELEMENTS(entries); i++) {
        honest_life(entries[i]);
    }
}

/* An entry of the queue is not written over before the drive has read it. */
static void test_full(void)
{
    Rig rig;

    rig_init(&rig, 8);
    for (unsigned i = 0; i < 100; i++) {
        while (submit(&rig)) {
            ;
        }
        nv_ring_kick(&rig.ring);
        drive_fetch(&rig);
        g_assert_cmpuint(rig.nr_has, ==, 7);
        for (unsigned j = 0; j <= i % 7; j++) {
            drive_post(&rig, drive_give(&rig), 0, 0);
        }
        gather(&rig, 8);
    }
    while (rig.nr_has) {
        drive_post(&rig, drive_give(&rig), 0, 0);
    }
    gather(&rig, 8);
    rig_destroy(&rig);
}

/* A tracker that was taken for nothing goes back. */
static void test_put(void)
{
    NvCompletion done[3];
    Rig rig;
    int taken[3];

    rig_init(&rig, 4);
    for (unsigned i = 0; i < 3; i++) {
        taken[i] = nv_ring_take(&rig.ring);
        g_assert_cmpint(taken[i], >=, 0);
    }
    g_assert_cmpint(nv_ring_take(&rig.ring), ==, -1);
    nv_ring_put(&rig.ring, taken[1]);
    g_assert_cmpint(nv_ring_take(&rig.ring), ==, taken[1]);
    for (unsigned i = 0; i < 3; i++) {
        nv_ring_put(&rig.ring, taken[i]);
    }
    g_assert_true(submit(&rig) && submit(&rig) && submit(&rig));
    g_assert_false(submit(&rig));
    g_assert_cmpuint(nv_ring_abandon(&rig.ring, done, 0), ==, 0);
    check(&rig, done, nv_ring_abandon(&rig.ring, done, 3));
    g_assert_cmpuint(rig.nr_waiting, ==, 0);
    rig_destroy(&rig);
}

/* Of all identifiers, only those that the drive has get an answer, once. */
static void test_any_cid(void)
{
    static const unsigned entries[] = { 2, 6, 64 };
    uint64_t strange = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(entries); i++) {
        Rig rig;

        rig_init(&rig, entries[i]);
        for (unsigned j = 0; j < entries[i] / 2; j++) {
            submit(&rig);
        }
        nv_ring_kick(&rig.ring);
        drive_fetch(&rig);
        for (unsigned cid = 0; cid <= UINT16_MAX; cid++) {
            for (unsigned twice = 0; twice < 2; twice++) {
                NvCompletion done;
                bool has = false;

                for (unsigned j = 0; j < rig.nr_has; j++) {
                    has |= rig.has[j] == cid && !twice;
                }
                drive_post(&rig, cid, 0, 0);
                g_assert_cmpuint(nv_ring_gather(&rig.ring, &done, 1), ==, has);
                check(&rig, &done, has);
                strange += !has;
            }
        }
        g_assert_cmpuint(rig.nr_waiting, ==, 0);
        g_assert_cmpuint(rig.ring.nr_strange, ==, strange);
        strange = 0;
        rig_destroy(&rig);
    }
}

/* An answer to what had this tracker before is not one to what has it now. */
static void test_late(void)
{
    uint16_t old[16];
    Rig rig;

    rig_init(&rig, 2);
    for (unsigned i = 0; i < 1000; i++) {
        submit(&rig);
        nv_ring_kick(&rig.ring);
        drive_fetch(&rig);
        for (unsigned j = 0; j < MIN(i, G_N_ELEMENTS(old)); j++) {
            drive_post(&rig, old[j], 0, 0);
            gather(&rig, 1);
            g_assert_cmpuint(rig.nr_waiting, ==, 1);
        }
        old[i % G_N_ELEMENTS(old)] = rig.has[0];
        drive_post(&rig, drive_give(&rig), 0, 0);
        gather(&rig, 1);
        g_assert_cmpuint(rig.nr_waiting, ==, 0);
    }
    rig_destroy(&rig);
}

/* One that writes faster than anybody can read does not hold us for ever. */
static void test_endless(void)
{
    NvCompletion done[8];
    Rig rig;

    rig_init(&rig, 4);
    submit(&rig);
    nv_ring_kick(&rig.ring);
    for (unsigned i = 0; i < 4; i++) {
        drive_post(&rig, 1, 0, 0);
    }
    for (unsigned i = 0; i < 1000; i++) {
        unsigned at = rig.ring.cq_head;
        uint64_t strange = rig.ring.nr_strange;

        g_assert_true(nv_ring_ready(&rig.ring));
        g_assert_cmpuint(nv_ring_gather(&rig.ring, done, 2), ==, 0);
        g_assert_cmpuint(rig.ring.nr_strange, ==, strange + 2);
        g_assert_cmpuint(GUINT32_FROM_LE(rig.doorbells[1]), ==, (at + 2) % 4);
        drive_post(&rig, 1, 0, 0);
        drive_post(&rig, 1, 0, 0);
    }
    g_assert_cmpuint(nv_ring_abandon(&rig.ring, done, 8), ==, 1);
    rig_destroy(&rig);
}

/* After a reset both begin at 0, and what came before is late. */
static void test_reset(void)
{
    uint16_t before[5];
    NvCompletion done[8];
    Rig rig;

    rig_init(&rig, 6);
    for (unsigned round = 0; round < 50; round++) {
        uintptr_t first = rig.last_opaque + 1;
        unsigned nr = round % 5 + 1;

        for (unsigned i = 0; i < nr; i++) {
            submit(&rig);
        }
        nv_ring_kick(&rig.ring);
        drive_fetch(&rig);
        memcpy(before, rig.has, sizeof(before));
        g_assert_cmpuint(nv_ring_abandon(&rig.ring, done, 2), ==, MIN(nr, 2));
        for (unsigned i = 0; i < MIN(nr, 2); i++) {
            g_assert_cmpuint((uintptr_t)done[i].opaque, ==, first + i);
            g_assert_cmpuint(done[i].status, ==, 0);
        }
        check(&rig, done, MIN(nr, 2));
        check(&rig, done, nv_ring_abandon(&rig.ring, done, 8));
        g_assert_cmpuint(rig.nr_waiting, ==, 0);
        nv_ring_reset(&rig.ring);
        rig.nr_has = rig.sq_head = rig.cq_tail = 0;
        rig.doorbells[0] = rig.doorbells[1] = 0;
        rig.phase = 1;
        g_assert_false(nv_ring_ready(&rig.ring));
        g_assert_null(nv_ring_oldest(&rig.ring));

        submit(&rig);
        for (unsigned i = 0; i < nr; i++) {
            drive_post(&rig, before[i], 0, 0);
        }
        g_assert_cmpuint(nv_ring_gather(&rig.ring, done, 5), ==, 0);
        nv_ring_kick(&rig.ring);
        drive_fetch(&rig);
        drive_post(&rig, drive_give(&rig), 0, 0);
        gather(&rig, 1);
        g_assert_cmpuint(rig.nr_waiting, ==, 0);
        nv_ring_reset(&rig.ring);
        rig.sq_head = rig.cq_tail = 0;
        rig.doorbells[0] = rig.doorbells[1] = 0;
        rig.phase = 1;
    }
    rig_destroy(&rig);
}

/* Identifiers have generations left, and none is that which means "none". */
static void cids_of(unsigned entries)
{
    NvRing ring;
    NvRingSetup setup = {
        .sq = g_malloc(entries * NV_COMMAND_BYTES),
        .cq = g_malloc(entries * NV_COMPLETION_BYTES),
        .sq_doorbell = &(uint32_t) { 0 },
        .cq_doorbell = &(uint32_t) { 0 },
        .entries = entries,
    };
    NvCompletion done[NV_RING_BATCH];
    NvCommand command = nv_flush(1);

    nv_ring_init(&ring, &setup);
    for (unsigned round = 0; round < 40; round++) {
        bool seen[UINT16_MAX + 1] = { false };
        uint16_t first = ring.trackers[0].cid;

        for (unsigned i = 0; i < entries - 1; i++) {
            int index = nv_ring_take(&ring);

            nv_ring_submit(&ring, index, &command, 0, 0, &ring, 0);
            g_assert_false(seen[ring.trackers[index].cid]);
            seen[ring.trackers[index].cid] = true;
        }
        g_assert_false(seen[UINT16_MAX]);
        while (nv_ring_abandon(&ring, done, NV_RING_BATCH)) {
            ;
        }
        g_assert_cmphex(ring.trackers[0].cid, !=, first);
    }
    nv_ring_destroy(&ring);
    g_free(setup.sq);
    g_free(setup.cq);
}

static void test_cids(void)
{
    cids_of(NV_RING_MAX_ENTRIES);
    cids_of(NV_RING_MAX_ENTRIES / 2 + 1);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme/ring/honest", test_honest);
    g_test_add_func("/nvme/ring/full", test_full);
    g_test_add_func("/nvme/ring/put", test_put);
    g_test_add_func("/nvme/ring/any-cid", test_any_cid);
    g_test_add_func("/nvme/ring/late", test_late);
    g_test_add_func("/nvme/ring/endless", test_endless);
    g_test_add_func("/nvme/ring/reset", test_reset);
    g_test_add_func("/nvme/ring/cids", test_cids);
    return g_test_run();
}
