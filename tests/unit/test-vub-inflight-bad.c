/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-inflight*: regions that others made. What another
 * implementation leaves behind by vhost-user's description is understood; what
 * makes no sense is refused, and nothing that is in it leads astray.
 */
#include <string.h>
#include <unistd.h>

#include "ring-driver.h"

#define NUM 8

typedef struct Rig {
    RingDriver drv;
    VubInflight *inflight;
    VubInflightSplit *split;
    VubInflightPacked *packed;
    VubRing ring;
    DriverChain *dc;
    VubChain taken[NUM];
} Rig;

static bool start(Rig *rig, const char *why)
{
    VubRingSetup setup = driver_setup(&rig->drv);
    g_autoptr(GError) err = NULL;
    bool good;

    setup.config.inflight = rig->inflight;
    good = vub_ring_init(&rig->ring, &setup, &err);
    if (why) {
        g_assert_false(good);
        g_assert_nonnull(strstr(err->message, why));
    }
    return good;
}

static Rig *rig_new(bool packed)
{
    Rig *rig = g_new0(Rig, 1);
    int fd;

    driver_init(&rig->drv, NUM, packed, false);
    rig->inflight = vub_inflight_create(1, NUM, packed, &fd, NULL);
    g_assert_nonnull(rig->inflight);
    close(fd);
    if (packed) {
        rig->packed = vub_inflight_queue(rig->inflight, 0);
    } else {
        rig->split = vub_inflight_queue(rig->inflight, 0);
    }
    rig->dc = driver_chain_new();
    g_assert_true(start(rig, NULL));
    return rig;
}

static void rig_free(Rig *rig)
{
    vub_inflight_unref(rig->inflight);
    driver_destroy(&rig->drv);
    g_free(rig->dc);
    g_free(rig);
}

/* Queues so many chains of @nr_bufs and takes them. */
static void take(Rig *rig, unsigned nr, unsigned nr_bufs)
{
    for (unsigned i = 0; i < nr; i++) {
        driver_queue_plain(&rig->drv, nr_bufs, 0, false);
        g_assert_true(vub_ring_pop(&rig->ring, &rig->dc->chain));
        rig->taken[i] = rig->dc->chain;
    }
}

/* The ids that are resubmitted, in that order. */
static void assert_resubmits(Rig *rig, unsigned nr, const uint16_t *ids)
{
    g_assert_true(start(rig, NULL));
    for (unsigned i = 0; i < nr; i++) {
        g_assert_true(vub_ring_pop(&rig->ring, &rig->dc->chain));
        g_assert_cmpuint(rig->dc->chain.id, ==, ids[i]);
    }
    g_assert_false(vub_ring_pop(&rig->ring, &rig->dc->chain));
    g_assert_cmpstr(rig->ring.broken, ==, NULL);
    vub_ring_destroy(&rig->ring);
}

/* --- as vhost-user has it --- */

/* The order is that of the counters, whatever they are. */
static void test_counters(void)
{
    Rig *rig = rig_new(false);

    take(rig, 4, 1);
    vub_ring_destroy(&rig->ring);
    rig->split->desc[0].counter = 1ull << 40;
    rig->split->desc[1].counter = 3;
    rig->split->desc[2].counter = UINT64_MAX - 1;
    rig->split->desc[3].counter = 1ull << 32;
    assert_resubmits(rig, 4, (const uint16_t[]) { 1, 3, 0, 2 });
    rig_free(rig);

    rig = rig_new(true);
    take(rig, 4, 1);
    vub_ring_destroy(&rig->ring);
    rig->packed->desc[0].counter = 1ull << 40;
    rig->packed->desc[1].counter = 3;
    rig->packed->desc[2].counter = UINT64_MAX - 1;
    rig->packed->desc[3].counter = 1ull << 32;
    assert_resubmits(rig, 4, (const uint16_t[]) { 1, 3, 0, 2 });
    rig_free(rig);
}

/* A batch of three reached the used ring; so many were taken off since. */
static void test_split_batch(void)
{
    for (unsigned cleared = 0; cleared <= 3; cleared++) {
        Rig *rig = rig_new(false);
        VubInflightSplit *split = rig->split;

        take(rig, 5, 1);
        vub_ring_destroy(&rig->ring);
        for (unsigned i = 0; i < 3; i++) {
            driver_used(&rig->drv)->ring[i].id = GUINT32_TO_LE(i + 1);
            split->desc[i + 1].next = split->last_batch_head;
            split->last_batch_head = i + 1;
        }
        driver_used(&rig->drv)->idx = GUINT16_TO_LE(3);
        for (unsigned i = 0; i < cleared; i++) {
            split->desc[3 - i].inflight = 0;
        }
        assert_resubmits(rig, 2, (const uint16_t[]) { 0, 4 });
        g_assert_cmpuint(split->used_idx, ==, 3);
        rig_free(rig);
    }
}

/* The first two of three chains: linked into the free list, and published. */
static void give_back_by_hand(Rig *rig)
{
    VubInflightPacked *packed = rig->packed;

    for (unsigned i = 0; i < 2; i++) {
        packed->desc[packed->desc[i * 2].last].next = packed->free_head;
        packed->free_head = i * 2;
    }
    packed->used_idx = 4;
}

static void mark_used(Rig *rig, unsigned place, unsigned id)
{
    driver_packed(&rig->drv, place)->id = GUINT16_TO_LE(id);
    driver_packed(&rig->drv, place)->len = 0;
    driver_packed(&rig->drv, place)->flags = GUINT16_TO_LE(
        1 << VRING_PACKED_DESC_F_AVAIL | 1 << VRING_PACKED_DESC_F_USED);
}

/* A batch of two, each of two places: before and after it could be seen. */
static void test_packed_batch(void)
{
    for (unsigned stage = 0; stage < 6; stage++) {
        Rig *rig = rig_new(true);

        take(rig, 3, 2);
        vub_ring_destroy(&rig->ring);
        give_back_by_hand(rig);
        mark_used(rig, 2, 1);
        if (stage > 0) {
            mark_used(rig, 0, 0);
        }
        for (unsigned i = 0; stage > 1 && i < MIN(stage - 1, 2); i++) {
            rig->packed->desc[i * 2].inflight = 0;
        }
        if (stage > 3) {
            rig->packed->old_free_head = rig->packed->free_head;
        }
        if (stage > 4) {
            rig->packed->old_used_idx = rig->packed->used_idx;
        }
        if (stage == 0) {
            assert_resubmits(rig, 3, (const uint16_t[]) { 0, 1, 2 });
            g_assert_cmpuint(driver_collect_all(&rig->drv), ==, 0);
        } else {
            assert_resubmits(rig, 1, (const uint16_t[]) { 2 });
            g_assert_cmpuint(driver_collect_all(&rig->drv), ==, 2);
        }
        rig_free(rig);
    }
}

/* Killed while it took a chain of two: it is taken once more. */
static void test_packed_take(void)
{
    Rig *rig = rig_new(true);

    take(rig, 1, 2);
    driver_queue_plain(&rig->drv, 2, 0, false);
    vub_ring_destroy(&rig->ring);
    rig->packed->desc[2].num = 1;
    rig->packed->desc[2].inflight = 1;
    rig->packed->free_head = 3;
    assert_resubmits(rig, 2, (const uint16_t[]) { 0, 1 });
    rig_free(rig);
}

/* --- what makes no sense --- */

static void test_split_refused(void)
{
    Rig *rig = rig_new(false);
    VubInflightSplit good;

    take(rig, 3, 1);
    vub_ring_destroy(&rig->ring);
    good = *rig->split;
    rig->split->version = 2;
    start(rig, "version 2");
    rig->split->version = good.version;
    rig->split->desc_num = NUM / 2;
    start(rig, "for 4 descriptors");
    rig->split->desc_num = NUM;
    rig->split->used_idx = UINT16_MAX - NUM;
    start(rig, "behind");
    rig->split->used_idx = 1;
    start(rig, "behind");
    rig->split->used_idx = UINT16_MAX;
    rig->split->last_batch_head = NUM;
    start(rig, "names descriptor 8");
    rig->split->used_idx = 0;
    assert_resubmits(rig, 3, (const uint16_t[]) { 0, 1, 2 });
    rig_free(rig);
}

typedef void Spoil(VubInflightPacked *packed);

static void spoil_version(VubInflightPacked *packed)
{
    packed->version = 7;
}

static void spoil_num(VubInflightPacked *packed)
{
    packed->desc_num = NUM - 1;
}

static void spoil_used(VubInflightPacked *packed)
{
    packed->used_idx = NUM;
}

static void spoil_old_used(VubInflightPacked *packed)
{
    packed->old_used_idx = NUM;
}

static void spoil_loop(VubInflightPacked *packed)
{
    packed->desc[6].next = 6;
}

static void spoil_cut(VubInflightPacked *packed)
{
    packed->desc[6].next = NUM;
}

static void spoil_free_head(VubInflightPacked *packed)
{
    packed->old_free_head = NUM + 1;
}

static void spoil_into_chain(VubInflightPacked *packed)
{
    packed->desc[6].next = 0;
}

static void spoil_chain_long(VubInflightPacked *packed)
{
    packed->desc[0].num = 3;
}

static void spoil_chain_short(VubInflightPacked *packed)
{
    packed->desc[0].num = 1;
}

static void spoil_chain_empty(VubInflightPacked *packed)
{
    packed->desc[0].num = 0;
}

static void spoil_chain_out(VubInflightPacked *packed)
{
    packed->desc[0].next = NUM;
}

static void spoil_second_head(VubInflightPacked *packed)
{
    packed->desc[1].inflight = 1;
    packed->desc[1].num = 1;
}

static void test_packed_refused(void)
{
    static Spoil *const spoils[] = {
        spoil_version, spoil_num, spoil_used, spoil_old_used, spoil_loop,
        spoil_cut, spoil_free_head, spoil_into_chain, spoil_chain_long,
        spoil_chain_short, spoil_chain_empty, spoil_chain_out,
        spoil_second_head,
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(spoils); i++) {
        Rig *rig = rig_new(true);
        g_autofree uint8_t *good = NULL;
        size_t bytes = sizeof(*rig->packed) + NUM * sizeof(*rig->packed->desc);

        take(rig, 3, 2);
        vub_ring_destroy(&rig->ring);
        good = g_memdup2(rig->packed, bytes);
        spoils[i](rig->packed);
        start(rig, i < 4 ? "region of version" : "disorder");
        memcpy(rig->packed, good, bytes);
        assert_resubmits(rig, 3, (const uint16_t[]) { 0, 1, 2 });
        rig_free(rig);
    }
}

/* Random words in the region: refused, or all that is taken is memory's. */
static void test_random(const void *data)
{
    bool packed = !!data;
    GRand *rand = g_rand_new_with_seed(packed);
    unsigned nr_refused = 0;

    for (unsigned round = 0; round < 10000; round++) {
        Rig *rig = rig_new(packed);
        uint16_t *words = vub_inflight_queue(rig->inflight, 0);
        size_t nr_words = vub_inflight_bytes(1, NUM, packed) / 2;

        take(rig, g_rand_int_range(rand, 0, 5), packed ? 2 : 1);
        vub_ring_destroy(&rig->ring);
        for (int i = g_rand_int_range(rand, 1, 5); i > 0; i--) {
            words[g_rand_int_range(rand, 5, nr_words)] =
                g_rand_int_range(rand, 0, i % 2 ? 9 : 65536);
        }
        if (!start(rig, NULL)) {
            nr_refused++;
            rig_free(rig);
            continue;
        }
        for (unsigned i = 0; i < 2 * NUM; i++) {
            VubChain *chain = &rig->dc->chain;

            if (vub_ring_pop(&rig->ring, chain)) {
                g_assert_cmpuint(chain->nr_out + chain->nr_in, >, 0);
                vub_ring_push(&rig->ring, chain, 0);
                vub_ring_publish(&rig->ring);
            }
        }
        vub_ring_destroy(&rig->ring);
        rig_free(rig);
    }
    g_assert_cmpuint(nr_refused, >, 100);
    g_rand_free(rand);
}

/* --- the file --- */

static void assert_no_map(int fd, uint64_t bytes, uint64_t file_off)
{
    g_autoptr(GError) err = NULL;

    g_assert_null(vub_inflight_map(fd, bytes, file_off, 2, NUM, false, &err));
    g_assert_nonnull(err);
}

static void test_file(void)
{
    uint64_t bytes = vub_inflight_bytes(2, NUM, false);
    VubInflight *made, *mapped, *bare;
    uint8_t *queue;
    bool on = true;
    int fd, ends[2];

    made = vub_inflight_create(2, NUM, false, &fd, NULL);
    g_assert_cmpint(ftruncate(fd, 0), ==, -1);
    /* Off, as long as it was not set otherwise. */
    g_assert_true(vub_inflight_read_cache(made, &on) && !on);
    vub_inflight_note_cache(made, true);
    vub_inflight_note_cache(made, false);
    mapped = vub_inflight_map(fd, bytes, 0, 2, NUM, false, NULL);
    on = true;
    g_assert_true(vub_inflight_read_cache(mapped, &on) && !on);
    vub_inflight_note_cache(mapped, true);
    g_assert_true(vub_inflight_read_cache(made, &on) && on);

    queue = vub_inflight_queue(made, 1);
    g_assert_true(queue - (uint8_t *)vub_inflight_queue(made, 0) == 192);
    g_assert_null(vub_inflight_queue(made, 2));
    queue[0] = 0x77;
    g_assert_cmphex(((uint8_t *)vub_inflight_queue(mapped, 1))[0], ==, 0x77);
    g_assert_cmpuint(vub_inflight_queue_size(mapped), ==, NUM);
    g_assert_false(vub_inflight_packed(mapped));

    /* A front-end that says less of the queues than we made it for. */
    bare = vub_inflight_map(fd, bytes, 0, 2, NUM / 2, false, NULL);
    g_assert_cmpuint(vub_inflight_queue_size(bare), ==, NUM);
    g_assert_true(vub_inflight_read_cache(bare, &on));
    vub_inflight_unref(bare);
    /* Of other queues than these, so another program made it. */
    bare = vub_inflight_map(fd, bytes, 0, 1, NUM, false, NULL);
    g_assert_cmpuint(vub_inflight_queue_size(bare), ==, NUM);
    g_assert_false(vub_inflight_read_cache(bare, &on));
    vub_inflight_unref(bare);

    /* Just the regions: there is no room for the note. */
    bare = vub_inflight_map(fd, 2 * 192, 0, 2, NUM, false, NULL);
    vub_inflight_note_cache(bare, false);
    g_assert_false(vub_inflight_read_cache(bare, &on));
    g_assert_true(vub_inflight_read_cache(made, &on) && on);

    assert_no_map(fd, 2 * 192 - 1, 0);
    assert_no_map(fd, bytes + 1, 0);
    assert_no_map(fd, bytes, 4096);
    assert_no_map(fd, bytes, UINT64_MAX);
    assert_no_map(fd, UINT64_MAX, 0);
    assert_no_map(-1, bytes, 0);
    g_assert_cmpint(pipe(ends), ==, 0);
    assert_no_map(ends[0], bytes, 0);
    close(ends[0]);
    close(ends[1]);
    vub_inflight_unref(bare);
    vub_inflight_unref(mapped);
    vub_inflight_unref(made);
    vub_inflight_unref(NULL);
    close(fd);
}

/* Of another kind, too small, or without this queue. */
static void test_mismatch(void)
{
    g_autofree RingDriver *drv = g_new(RingDriver, 1);

    for (unsigned packed = 0; packed < 2; packed++) {
        const struct {
            unsigned queue_size, index;
            bool packed, good;
        } tries[] = {
            { NUM, 0, packed, true }, { NUM, 1, packed, true },
            { NUM, 0, !packed, false }, { NUM / 2, 0, packed, false },
            { NUM, 2, packed, false }, { NUM * 2, 0, packed, true },
        };

        driver_init(drv, NUM, packed, false);
        for (unsigned i = 0; i < G_N_ELEMENTS(tries); i++) {
            VubRingSetup setup = driver_setup(drv);
            VubRing ring;
            int fd;

            setup.config.index = tries[i].index;
            setup.config.inflight = vub_inflight_create(
                2, tries[i].queue_size, tries[i].packed, &fd, NULL);
            g_assert_cmpint(vub_ring_init(&ring, &setup, NULL), ==,
                            tries[i].good);
            if (tries[i].good) {
                vub_ring_destroy(&ring);
            }
            vub_inflight_unref(setup.config.inflight);
            close(fd);
        }
        driver_destroy(drv);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-inflight-bad/counters", test_counters);
    g_test_add_func("/export/vub-inflight-bad/split-batch", test_split_batch);
    g_test_add_func("/export/vub-inflight-bad/packed-batch",
                    test_packed_batch);
    g_test_add_func("/export/vub-inflight-bad/packed-take", test_packed_take);
    g_test_add_func("/export/vub-inflight-bad/split-refused",
                    test_split_refused);
    g_test_add_func("/export/vub-inflight-bad/packed-refused",
                    test_packed_refused);
    g_test_add_data_func("/export/vub-inflight-bad/random/split", NULL,
                         test_random);
    g_test_add_data_func("/export/vub-inflight-bad/random/packed", "packed",
                         test_random);
    g_test_add_func("/export/vub-inflight-bad/file", test_file);
    g_test_add_func("/export/vub-inflight-bad/mismatch", test_mismatch);
    return g_test_run();
}
