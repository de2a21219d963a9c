/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/nvme/ring with a drive that is another thread: what it reads of a
 * command was written before, and what we read of an answer, too. A drive that
 * scribbles meanwhile harms nobody. Made to be run by ThreadSanitizer, too.
 */

#include <glib.h>
#include <string.h>

#include "util/nvme/ring.h"
#include "util/raid/le-bytes.h"

#define ENTRIES     32u
#define COMMANDS    200000u

typedef struct Drive {
    uint8_t sq[ENTRIES * NV_COMMAND_BYTES];
    uint16_t cq[ENTRIES * NV_COMPLETION_BYTES / 2];
    uint32_t doorbells[2];
    uint64_t data[ENTRIES];     /* what reads bring, by tracker */
    bool hostile;
    bool stop;                  /* atomic */
    unsigned head, tail, phase;
} Drive;

static void put16(uint16_t *to, uint16_t value, int order)
{
    __atomic_store_n(to, GUINT16_TO_LE(value), order);
}

static void answer(Drive *drive, uint16_t cid, uint32_t result, GRand *rand)
{
    uint16_t *cqe = drive->cq + drive->tail * NV_COMPLETION_BYTES / 2;

    if (drive->hostile) {
        /* First something else, some of which is seen. */
        put16(cqe + 6, g_rand_int(rand), __ATOMIC_RELAXED);
        put16(cqe + 7, (g_rand_int(rand) & ~1u) | drive->phase,
              __ATOMIC_RELEASE);
    }
    __atomic_store_n((uint32_t *)cqe, GUINT32_TO_LE(result), __ATOMIC_RELAXED);
    put16(cqe + 6, cid, __ATOMIC_RELAXED);
    put16(cqe + 7, drive->phase, __ATOMIC_RELEASE);
    drive->tail = (drive->tail + 1) % ENTRIES;
    drive->phase ^= drive->tail == 0;
}

static bool has_room(Drive *drive)
{
    uint32_t head = __atomic_load_n(&drive->doorbells[1], __ATOMIC_ACQUIRE);

    return drive->hostile ||
           (drive->tail + 1) % ENTRIES != GUINT32_FROM_LE(head);
}

static void *run(void *opaque)
{
    Drive *drive = opaque;
    GRand *rand = g_rand_new_with_seed(1);

    while (!__atomic_load_n(&drive->stop, __ATOMIC_ACQUIRE)) {
        uint32_t tail = GUINT32_FROM_LE(
            __atomic_load_n(&drive->doorbells[0], __ATOMIC_ACQUIRE));

        while (drive->head != tail && has_room(drive)) {
            const uint8_t *sqe = drive->sq + drive->head * NV_COMMAND_BYTES;
            uint64_t lba = le_get_u64(sqe, 40);

            if (!drive->hostile) {
                drive->data[le_get_u64(sqe, 24)] = ~lba;
            }
            drive->head = (drive->head + 1) % ENTRIES;
            answer(drive, le_get_u16(sqe, 2), lba, rand);
        }
        g_thread_yield();
    }
    g_rand_free(rand);
    return NULL;
}

static unsigned gather(Drive *drive, NvRing *ring, uintptr_t waits[ENTRIES])
{
    NvCompletion done[8];
    unsigned nr = nv_ring_gather(ring, done, G_N_ELEMENTS(done));

    for (unsigned i = 0; i < nr; i++) {
        uintptr_t lba = (uintptr_t)done[i].opaque;

        g_assert_cmpuint(done[i].index, <, ENTRIES - 1);
        g_assert_cmpuint(lba, !=, 0);
        g_assert_cmpuint(waits[done[i].index], ==, lba);
        waits[done[i].index] = 0;
        if (!drive->hostile) {
            g_assert_cmpuint(done[i].status, ==, 0);
            g_assert_cmpuint(done[i].result, ==, lba);
            g_assert_cmpuint(drive->data[done[i].index], ==, ~lba);
        }
    }
    return nr;
}

static void run_with(bool hostile)
{
    Drive *drive = g_new0(Drive, 1);
    uintptr_t waits[ENTRIES] = { 0 };
    NvCompletion done[ENTRIES];
    unsigned submitted = 0, answered = 0, tries = 0;
    GThread *thread;
    NvRing ring;

    drive->hostile = hostile;
    drive->phase = 1;
    nv_ring_init(&ring, &(NvRingSetup) {
        .sq = drive->sq,
        .cq = drive->cq,
        .sq_doorbell = &drive->doorbells[0],
        .cq_doorbell = &drive->doorbells[1],
        .entries = ENTRIES,
    });
    thread = g_thread_new("drive", run, drive);
    /* A hostile one need not answer all. */
    while (answered < COMMANDS && (!hostile || tries < COMMANDS)) {
        unsigned batch = submitted % 7 + 1;
        int index;

        tries++;
        while (submitted < COMMANDS && batch-- &&
               (index = nv_ring_take(&ring)) >= 0) {
            NvCommand command = nv_read(1, ++submitted, 1);

            waits[index] = submitted;
            nv_ring_submit(&ring, index, &command, index, 0,
                           (void *)(uintptr_t)submitted, submitted);
        }
        nv_ring_kick(&ring);
        if (nv_ring_ready(&ring)) {
            answered += gather(drive, &ring, waits);
        } else {
            g_thread_yield();
        }
    }
    __atomic_store_n(&drive->stop, true, __ATOMIC_RELEASE);
    g_thread_join(thread);
    answered += nv_ring_abandon(&ring, done, ENTRIES);
    g_assert_cmpuint(answered, ==, submitted);
    if (!hostile) {
        g_assert_cmpuint(ring.nr_strange, ==, 0);
    }
    nv_ring_destroy(&ring);
    g_free(drive);
}

static void test_honest(void)
{
    run_with(false);
}

static void test_hostile(void)
{
    run_with(true);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme/ring-threads/honest", test_honest);
    g_test_add_func("/nvme/ring-threads/hostile", test_hostile);
    return g_test_run();
}
