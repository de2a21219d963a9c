/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz util/nvme/ring: whatever a drive has in its completion queue, only what
 * it was told comes back, each once, and nothing but the queues is touched.
 *
 * Input: the number of entries, then steps of a byte each with what they need.
 * What isn't there is 0.
 */
#include <glib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/nvme/ring.h"
#include "util/raid/le-bytes.h"

#define MAX_ENTRIES 64

typedef struct Fuzz {
    const uint8_t *data;
    size_t bytes;
    unsigned entries;
    NvRing ring;
    uint8_t *sq;
    uint8_t *sq_copy;
    uint8_t *cq;
    uint32_t doorbells[2];

    /* What a tracker stands for: 0 nothing, 1 taken, else a command's number */
    uintptr_t holds[MAX_ENTRIES];
    uintptr_t last;
    unsigned nr_taken, nr_busy;
    unsigned tail;
} Fuzz;

static uint8_t next8(Fuzz *fuzz)
{
    if (fuzz->bytes == 0) {
        return 0;
    }
    fuzz->bytes--;
    return *fuzz->data++;
}

static int step_take(Fuzz *fuzz)
{
    int index = nv_ring_take(&fuzz->ring);

    if (index < 0) {
        g_assert_cmpuint(fuzz->nr_taken + fuzz->nr_busy, ==,
                         fuzz->entries - 1);
        return -1;
    }
    g_assert_cmpint(index, <, fuzz->entries - 1);
    g_assert_cmpuint(fuzz->holds[index], ==, 0);
    fuzz->holds[index] = 1;
    fuzz->nr_taken++;
    return index;
}

static void step_put(Fuzz *fuzz)
{
    unsigned index = next8(fuzz) % (fuzz->entries - 1);

    if (fuzz->holds[index] == 1) {
        nv_ring_put(&fuzz->ring, index);
        fuzz->holds[index] = 0;
        fuzz->nr_taken--;
    }
}

static void step_submit(Fuzz *fuzz)
{
    size_t at = (size_t)fuzz->tail * NV_COMMAND_BYTES;
    int index = step_take(fuzz);
    NvCommand command;

    if (index < 0) {
        return;
    }
    fuzz->holds[index] = ++fuzz->last;
    fuzz->nr_taken--;
    fuzz->nr_busy++;
    command = nv_read(1, fuzz->last, 1);
    nv_ring_submit(&fuzz->ring, index, &command, 1, 2, (void *)fuzz->last,
                   fuzz->last);
    /* One entry was written, and that is the next one. */
    memcpy(fuzz->sq_copy + at, fuzz->sq + at, NV_COMMAND_BYTES);
    g_assert_cmpmem(fuzz->sq, fuzz->entries * NV_COMMAND_BYTES, fuzz->sq_copy,
                    fuzz->entries * NV_COMMAND_BYTES);
    g_assert_cmpuint(le_get_u64(fuzz->sq + at, 40), ==, fuzz->last);
    fuzz->tail = (fuzz->tail + 1) % fuzz->entries;
}

/* Whatever it likes, wherever it likes; often what would be the next answer. */
static void step_scribble(Fuzz *fuzz, bool answer)
{
    unsigned at = (answer ? fuzz->ring.cq_head + next8(fuzz) % 2
                          : next8(fuzz)) % fuzz->entries;
    uint8_t *cqe = fuzz->cq + at * NV_COMPLETION_BYTES;

    if (!answer) {
        for (unsigned i = 0; i < NV_COMPLETION_BYTES; i++) {
            cqe[i] = next8(fuzz);
        }
        return;
    }
    le_put_u16(cqe, 12, fuzz->ring.trackers[next8(fuzz) %
                                            (fuzz->entries - 1)].cid);
    le_put_u16(cqe, 14, next8(fuzz) << 1 | fuzz->ring.phase);
}

static void check_done(Fuzz *fuzz, const NvCompletion *done, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        g_assert_cmpuint(done[i].index, <, fuzz->entries - 1);
        g_assert_cmpuint(fuzz->holds[done[i].index], >, 1);
        g_assert_cmpuint((uintptr_t)done[i].opaque, ==,
                         fuzz->holds[done[i].index]);
        fuzz->holds[done[i].index] = 0;
        fuzz->nr_busy--;
    }
}

static void step_gather(Fuzz *fuzz)
{
    NvCompletion done[NV_RING_BATCH];
    unsigned max = next8(fuzz) % (NV_RING_BATCH + 1);
    unsigned head = fuzz->ring.cq_head, strange = fuzz->ring.nr_strange;
    unsigned nr = nv_ring_gather(&fuzz->ring, done, max);
    unsigned seen = nr + fuzz->ring.nr_strange - strange;

    g_assert_cmpuint(seen, <=, max);
    check_done(fuzz, done, nr);
    g_assert_cmpuint(fuzz->ring.cq_head, ==, (head + seen) % fuzz->entries);
    if (seen) {
        g_assert_cmpuint(le32toh(fuzz->doorbells[1]), ==, fuzz->ring.cq_head);
    }
    g_assert_cmpint(seen < max, <=, !nv_ring_ready(&fuzz->ring));
}

static void step_abandon(Fuzz *fuzz, unsigned max)
{
    NvCompletion done[NV_RING_BATCH];
    unsigned nr = nv_ring_abandon(&fuzz->ring, done, max);

    g_assert_cmpuint(nr, <=, max);
    check_done(fuzz, done, nr);
    if (fuzz->nr_busy == 0) {
        nv_ring_reset(&fuzz->ring);
        fuzz->tail = 0;
    }
}

static void step_kick(Fuzz *fuzz)
{
    nv_ring_kick(&fuzz->ring);
    g_assert_cmpuint(fuzz->ring.sq_told, ==, fuzz->tail);
    g_assert_cmpuint(le32toh(fuzz->doorbells[0]), <, fuzz->entries);
}

static void check_oldest(const Fuzz *fuzz)
{
    const NvTracker *oldest = nv_ring_oldest(&fuzz->ring);
    uintptr_t want = UINTPTR_MAX;

    for (unsigned i = 0; i < fuzz->entries - 1; i++) {
        if (fuzz->holds[i] > 1 && fuzz->holds[i] < want) {
            want = fuzz->holds[i];
        }
    }
    g_assert_cmpuint(oldest ? (uintptr_t)oldest->opaque : UINTPTR_MAX, ==,
                     want);
    g_assert_cmpuint(fuzz->ring.nr_busy, ==, fuzz->nr_busy);
}

static void step(Fuzz *fuzz)
{
    switch (next8(fuzz) % 10) {
    case 0:
    case 1:
        step_submit(fuzz);
        break;
    case 2:
        step_take(fuzz);
        break;
    case 3:
        step_put(fuzz);
        break;
    case 4:
        step_scribble(fuzz, false);
        break;
    case 5:
    case 6:
        step_scribble(fuzz, true);
        break;
    case 7:
        step_gather(fuzz);
        break;
    case 8:
        step_kick(fuzz);
        break;
    case 9:
        step_abandon(fuzz, next8(fuzz) % 8);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    Fuzz fuzz = { .data = data, .bytes = bytes, .last = 1 };

    fuzz.entries = next8(&fuzz) % (MAX_ENTRIES - 1) + NV_RING_MIN_ENTRIES;
    fuzz.sq = g_malloc0(fuzz.entries * NV_COMMAND_BYTES);
    fuzz.sq_copy = g_malloc0(fuzz.entries * NV_COMMAND_BYTES);
    fuzz.cq = g_malloc0(fuzz.entries * NV_COMPLETION_BYTES);
    nv_ring_init(&fuzz.ring, &(NvRingSetup) {
        .sq = fuzz.sq,
        .cq = fuzz.cq,
        .sq_doorbell = &fuzz.doorbells[0],
        .cq_doorbell = &fuzz.doorbells[1],
        .entries = fuzz.entries,
    });
    while (fuzz.bytes) {
        step(&fuzz);
        check_oldest(&fuzz);
    }
    while (fuzz.nr_busy) {
        step_abandon(&fuzz, NV_RING_BATCH);
    }
    nv_ring_destroy(&fuzz.ring);
    g_free(fuzz.sq);
    g_free(fuzz.sq_copy);
    g_free(fuzz.cq);
    return 0;
}
