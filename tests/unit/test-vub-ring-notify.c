/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-ring*: who tells whom, and when. Each decision is
 * compared with a walk over the places, one by one.
 */
#include <string.h>

#include "ring-driver.h"

typedef struct Kind {
    unsigned num;
    bool packed;
    bool event_idx;
} Kind;

/* A place of the ring and its lap, or an index that never ends. */
typedef struct Place {
    unsigned idx;
    bool wrap;
} Place;

static void advance(const RingDriver *drv, Place *place)
{
    place->idx++;
    if (!drv->packed) {
        place->idx &= UINT16_MAX;
    } else if (place->idx == drv->num) {
        place->idx = 0;
        place->wrap = !place->wrap;
    }
}

static bool same(Place a, Place b)
{
    return a.idx == b.idx && a.wrap == b.wrap;
}

/* Moves @at as far as the driver has collected; was @event on the way? */
static bool walk(const RingDriver *drv, Place *at, Place event)
{
    const Place end = { drv->used_idx, drv->packed && drv->used_wrap };
    bool met = false;

    while (!same(*at, end)) {
        met |= same(*at, event);
        advance(drv, at);
    }
    return met;
}

static Place random_event(const RingDriver *drv, Place at, GRand *rand)
{
    for (int i = g_rand_int_range(rand, 0, drv->num + 2); i > 0; i--) {
        advance(drv, &at);
    }
    return at;
}

static void use_some(RingDriver *drv, VubRing *ring, DriverChain *dc,
                     GRand *rand)
{
    for (int i = g_rand_int_range(rand, 0, drv->num + 1); i > 0; i--) {
        unsigned nr = g_rand_int_range(rand, 1, 4);

        if (!driver_has_room(drv, nr, false)) {
            return;
        }
        driver_queue_plain(drv, nr, 0, false);
        g_assert_true(vub_ring_pop(ring, &dc->chain));
        vub_ring_push(ring, &dc->chain, 0);
    }
}

/* The device tells the driver as it was asked to: by a place, or always. */
static void test_interrupts(const void *data)
{
    const Kind *kind = data;
    g_autofree RingDriver *drv = g_new(RingDriver, 1);
    DriverChain *dc = driver_chain_new();
    GRand *rand = g_rand_new_with_seed(kind->num);
    Place at = { 0, kind->packed };
    bool first = true;
    unsigned nr_told = 0, nr_not = 0;
    VubRing ring;

    driver_init(drv, kind->num, kind->packed, kind->event_idx);
    driver_start(drv, &ring);
    for (unsigned i = 0; i < 100000; i++) {
        Place event = random_event(drv, at, rand);
        int mode = g_rand_int_range(rand, 0, kind->event_idx ? 4 : 2);
        bool told, expected;

        if (kind->event_idx && (mode > 1 || !kind->packed)) {
            driver_set_used_event(drv, event.idx, event.wrap);
            mode = 2;
        } else {
            driver_set_interrupts(drv, mode);
        }
        use_some(drv, &ring, dc, rand);
        told = vub_ring_publish(&ring);
        if (driver_collect_all(drv) == 0) {
            g_assert_false(told);
            continue;
        }
        expected = walk(drv, &at, event);
        if (mode != 2) {
            expected = mode;
        } else if (first) {
            expected = true;    /* what it saw last isn't known */
        }
        g_assert_cmpint(told, ==, expected);
        first = false;
        nr_told += told;
        nr_not += !told;
    }
    g_assert_cmpuint(nr_told, >, 100);
    g_assert_cmpuint(nr_not, >, 100);
    vub_ring_destroy(&ring);
    driver_destroy(drv);
    g_rand_free(rand);
    g_free(dc);
}

static bool queue_kicks(RingDriver *drv)
{
    uint16_t idx = drv->avail_idx;
    bool wrap = drv->avail_wrap;

    driver_queue_plain(drv, 1, 0, false);
    return driver_must_kick(drv, idx, wrap);
}

static void drain(RingDriver *drv, VubRing *ring, DriverChain *dc)
{
    while (vub_ring_pop(ring, &dc->chain)) {
        vub_ring_push(ring, &dc->chain, 0);
    }
    vub_ring_publish(ring);
    driver_collect_all(drv);
}

/* The driver kicks when it was asked to, for the next chain it queues. */
static void test_kicks(const void *data)
{
    const Kind *kind = data;
    g_autofree RingDriver *drv = g_new(RingDriver, 1);
    DriverChain *dc = driver_chain_new();
    GRand *rand = g_rand_new_with_seed(kind->num);
    VubRing ring;

    driver_init(drv, kind->num, kind->packed, kind->event_idx);
    driver_start(drv, &ring);
    for (unsigned i = 0; i < 70000; i++) {
        bool asked = g_rand_boolean(rand);

        vub_ring_set_notify(&ring, false);
        if (!kind->event_idx || kind->packed || i > 0) {
            g_assert_false(queue_kicks(drv));
        } else {
            driver_queue_plain(drv, 1, 0, false);
        }
        drain(drv, &ring, dc);
        if (!asked) {
            continue;
        }
        vub_ring_set_notify(&ring, true);
        g_assert_true(ring.notify);
        g_assert_true(queue_kicks(drv));
        g_assert_false(vub_ring_empty(&ring));
        drain(drv, &ring, dc);
        if (kind->event_idx) {
            /* Once: it is not asked for the one after that. */
            g_assert_false(queue_kicks(drv));
            drain(drv, &ring, dc);
        }
    }
    vub_ring_destroy(&ring);
    driver_destroy(drv);
    g_rand_free(rand);
    g_free(dc);
}

/* What comes after the last look and before the request to kick is seen. */
static void test_kick_race(const void *data)
{
    const Kind *kind = data;
    g_autofree RingDriver *drv = g_new(RingDriver, 1);
    DriverChain *dc = driver_chain_new();
    VubRing ring;

    driver_init(drv, kind->num, kind->packed, kind->event_idx);
    driver_start(drv, &ring);
    for (unsigned i = 0; i < 1000; i++) {
        vub_ring_set_notify(&ring, false);
        drain(drv, &ring, dc);
        g_assert_true(vub_ring_empty(&ring));
        driver_queue_plain(drv, 1, 0, false);
        vub_ring_set_notify(&ring, true);
        g_assert_false(vub_ring_empty(&ring));
        drain(drv, &ring, dc);
        g_assert_true(vub_ring_empty(&ring));
    }
    vub_ring_destroy(&ring);
    driver_destroy(drv);
    g_free(dc);
}

/* Many threads' worth of batches: nothing pushed, nothing told. */
static void test_nothing(const void *data)
{
    const Kind *kind = data;
    g_autofree RingDriver *drv = g_new(RingDriver, 1);
    g_autofree uint8_t *before = NULL;
    VubRing ring;

    driver_init(drv, kind->num, kind->packed, kind->event_idx);
    driver_start(drv, &ring);
    before = g_memdup2(drv->ram, drv->ram_bytes);
    for (unsigned i = 0; i < 10; i++) {
        g_assert_false(vub_ring_publish(&ring));
        g_assert_true(vub_ring_empty(&ring));
    }
    g_assert_cmpmem(drv->ram, drv->ram_bytes, before, drv->ram_bytes);
    vub_ring_destroy(&ring);
    driver_destroy(drv);
}

static void add_kinds(const char *name, void (*test)(const void *))
{
    static const unsigned nums[] = { 1, 2, 5, 8, 64 };

    for (unsigned i = 0; i < G_N_ELEMENTS(nums) * 4; i++) {
        Kind *kind = g_new(Kind, 1);
        g_autofree char *path = NULL;

        *kind = (Kind) { nums[i / 4], i & 1, i & 2 };
        if (kind->num == 5 && !kind->packed) {
            g_free(kind);
            continue;
        }
        path = g_strdup_printf("/export/vub-ring-notify/%s/%s%s-%u", name,
                               kind->packed ? "packed" : "split",
                               kind->event_idx ? "-event-idx" : "", kind->num);
        g_test_add_data_func_full(path, kind, test, g_free);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_kinds("interrupts", test_interrupts);
    add_kinds("kicks", test_kicks);
    add_kinds("kick-race", test_kick_race);
    add_kinds("nothing", test_nothing);
    return g_test_run();
}
