/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of in-flight tracking, split and packed: the device is killed before
 * each single store of a random workload, and another takes over from what is
 * in the shared memory. Then every chain that the driver waits for is taken,
 * once, in the order in which they were queued; none that it has seen again.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring-driver.h"
#include "store-trap.h"

#define MAX_OUT 16
#define MAX_SHOTS 4096
/* So many crashes are followed by a crash in each store of the recovery. */
#define NEST_EVERY 97

typedef struct Kind {
    unsigned num;
    bool packed;
    bool event_idx;
} Kind;

/* All that outlives the device. */
typedef struct Shot {
    uint8_t *ram;
    uint8_t *region;
} Shot;

typedef struct Rig {
    RingDriver drv;
    VubInflight *inflight;
    int fd;
    uint8_t *region;            /* of @fd, mapped once more */
    size_t region_bytes;
    VubRing ring;
    DriverChain *scratch;
    VubChain taken[MAX_OUT];
    unsigned nr_taken;
    GRand *rand;
    Shot shots[MAX_SHOTS];
    unsigned nr_shots;
    unsigned nr_crashes;
    unsigned nr_resubmitted;
    unsigned nr_nested;
} Rig;

static Rig *shooting;           /* whose memory is photographed */

static Shot shot_new(const Rig *rig)
{
    return (Shot) {
        .ram = g_malloc(rig->drv.ram_bytes),
        .region = g_malloc(rig->region_bytes),
    };
}

static void shot_free(Shot *shot)
{
    g_free(shot->ram);
    g_free(shot->region);
}

static void shot_take(const Rig *rig, Shot *shot)
{
    memcpy(shot->ram, rig->drv.ram, rig->drv.ram_bytes);
    memcpy(shot->region, rig->region, rig->region_bytes);
}

static void shot_restore(const Rig *rig, const Shot *shot)
{
    memcpy(rig->drv.ram, shot->ram, rig->drv.ram_bytes);
    memcpy(rig->region, shot->region, rig->region_bytes);
}

/* In a signal handler. */
static void before_store(void)
{
    g_assert_cmpuint(shooting->nr_shots, <, MAX_SHOTS);
    shot_take(shooting, &shooting->shots[shooting->nr_shots++]);
}

static VubRingSetup setup_of(const Rig *rig)
{
    VubRingSetup setup = driver_setup(&rig->drv);

    /* What a front-end makes of a ring whose device can't be asked. */
    if (!rig->drv.packed) {
        setup.config.base = GUINT16_FROM_LE(driver_used(&rig->drv)->idx);
    }
    setup.config.inflight = rig->inflight;
    return setup;
}

static Rig *rig_new(const Kind *kind)
{
    Rig *rig = g_new0(Rig, 1);

    driver_init(&rig->drv, kind->num, kind->packed, kind->event_idx);
    rig->inflight = vub_inflight_create(1, kind->num, kind->packed, &rig->fd,
                                        NULL);
    g_assert_nonnull(rig->inflight);
    rig->region_bytes = vub_inflight_bytes(1, kind->num, kind->packed);
    rig->region = mmap(NULL, rig->region_bytes, PROT_READ | PROT_WRITE,
                       MAP_SHARED, rig->fd, 0);
    rig->rand = g_rand_new_with_seed(kind->num);
    rig->scratch = driver_chain_new();
    for (unsigned i = 0; i < MAX_SHOTS; i++) {
        rig->shots[i] = shot_new(rig);
    }
    shooting = rig;
    store_trap_init(before_store);
    store_trap_watch(rig->drv.mem->regions[0].host, rig->drv.ram_bytes);
    store_trap_watch(vub_inflight_queue(rig->inflight, 0), rig->region_bytes);
    return rig;
}

static void rig_free(Rig *rig)
{
    store_trap_forget();
    vub_ring_destroy(&rig->ring);
    vub_inflight_unref(rig->inflight);
    munmap(rig->region, rig->region_bytes);
    close(rig->fd);
    driver_destroy(&rig->drv);
    for (unsigned i = 0; i < MAX_SHOTS; i++) {
        shot_free(&rig->shots[i]);
    }
    g_rand_free(rig->rand);
    g_free(rig->scratch);
    g_free(rig);
}

static unsigned roll(Rig *rig, unsigned below)
{
    return g_rand_int_range(rig->rand, 0, below);
}

static void queue_some(Rig *rig, RingDriver *drv)
{
    for (unsigned i = roll(rig, 4); i > 0; i--) {
        unsigned nr = 1 + roll(rig, 3);
        bool indirect = roll(rig, 3) == 0;

        if (driver_has_room(drv, nr, indirect)) {
            driver_queue_plain(drv, nr / 2, nr - nr / 2, indirect);
        }
    }
}

/* --- the device that takes over --- */

typedef struct Successor {
    RingDriver *drv;            /* a copy, in the same memory */
    VubRing ring;
    VubChain taken[MAX_OUT];
    unsigned nr_taken;
    uint64_t after_serial;      /* the next one's is larger */
} Successor;

static void start_again(Rig *rig, Successor *next)
{
    VubRingSetup setup = setup_of(rig);
    g_autoptr(GError) err = NULL;

    next->nr_taken = 0;
    next->after_serial = 0;
    vub_ring_init(&next->ring, &setup, &err);
    g_assert_no_error(err);
    rig->nr_resubmitted += next->ring.nr_resubmit;
}

static void take(Rig *rig, Successor *next)
{
    VubChain *chain = &rig->scratch->chain;
    const DriverSlot *slot;

    g_assert_false(vub_ring_empty(&next->ring));
    g_assert_true(vub_ring_pop(&next->ring, chain));
    slot = &next->drv->slots[chain->id];
    g_assert_true(slot->busy);
    g_assert_cmpuint(slot->serial, >=, next->after_serial);
    next->after_serial = slot->serial + 1;
    g_assert_cmpuint(chain->nr_out + chain->nr_in, ==, slot->nr_bufs);
    for (unsigned i = 0; i < slot->nr_bufs; i++) {
        uint64_t off = driver_buf_addr(next->drv, chain->id, i) -
                       DRIVER_GUEST_ADDR;

        g_assert_true(chain->iov[i].iov_base ==
                      next->drv->mem->regions[0].host + off);
    }
    next->taken[next->nr_taken++] = *chain;
}

static void give_back(Rig *rig, Successor *next)
{
    unsigned which = roll(rig, next->nr_taken);

    vub_ring_push(&next->ring, &next->taken[which], roll(rig, 2));
    next->taken[which] = next->taken[--next->nr_taken];
}

/* Some is taken and given back, and then it dies too. */
static void live_a_while(Rig *rig, Successor *next)
{
    for (unsigned i = roll(rig, next->drv->nr_out + 1); i > 0; i--) {
        take(rig, next);
    }
    for (unsigned i = roll(rig, next->nr_taken + 1); i > 0; i--) {
        give_back(rig, next);
    }
    if (roll(rig, 2)) {
        vub_ring_publish(&next->ring);
        driver_collect_all(next->drv);
    }
    vub_ring_destroy(&next->ring);
}

/* Takes and gives back all there is: that is what the driver waits for. */
static void finish(Rig *rig, Successor *next)
{
    unsigned expected = next->drv->nr_out;

    while (next->nr_taken < expected) {
        take(rig, next);
    }
    g_assert_true(vub_ring_empty(&next->ring));
    g_assert_false(vub_ring_pop(&next->ring, &rig->scratch->chain));
    while (next->nr_taken) {
        give_back(rig, next);
        if (roll(rig, 2)) {
            vub_ring_publish(&next->ring);
        }
    }
    vub_ring_publish(&next->ring);
    driver_collect_all(next->drv);
    g_assert_cmpuint(next->drv->nr_out, ==, 0);
    g_assert_cmpstr(next->ring.broken, ==, NULL);
    vub_ring_destroy(&next->ring);
}

/* @busy: the driver goes on while nobody serves it. */
static void check_crash(Rig *rig, const Shot *shot, bool busy)
{
    g_autofree RingDriver *drv = g_memdup2(&rig->drv, sizeof(*drv));
    Successor next = { .drv = drv };

    shot_restore(rig, shot);
    driver_collect_all(drv);
    if (busy) {
        queue_some(rig, drv);
    }
    if (roll(rig, 3) == 0) {
        start_again(rig, &next);
        live_a_while(rig, &next);
    }
    start_again(rig, &next);
    finish(rig, &next);
    rig->nr_crashes++;
}

/* Dies in each store of taking over and of what comes then. */
static void check_nested(Rig *rig, const Shot *shot)
{
    g_autofree RingDriver *drv = g_memdup2(&rig->drv, sizeof(*drv));
    g_autofree RingDriver *live = g_memdup2(&rig->drv, sizeof(*drv));
    Successor next = { .drv = drv };
    unsigned from = rig->nr_shots;

    shot_restore(rig, shot);
    driver_collect_all(drv);
    queue_some(rig, drv);
    store_trap_begin();
    start_again(rig, &next);
    while (next.nr_taken < drv->nr_out) {
        take(rig, &next);
    }
    while (next.nr_taken) {
        give_back(rig, &next);
    }
    vub_ring_publish(&next.ring);
    store_trap_end();
    vub_ring_destroy(&next.ring);

    /* The driver has seen nothing of this. */
    memcpy(&rig->drv, drv, sizeof(*drv));
    for (unsigned i = from; i < rig->nr_shots; i++) {
        check_crash(rig, &rig->shots[i], i % 2);
        rig->nr_nested++;
    }
    memcpy(&rig->drv, live, sizeof(*live));
    rig->nr_shots = from;
}

/* Whatever state the shared memory was in since the last time. */
static void check_shots(Rig *rig)
{
    Shot now = shot_new(rig);

    shot_take(rig, &now);
    for (unsigned i = 0; i <= rig->nr_shots; i++) {
        const Shot *shot = i < rig->nr_shots ? &rig->shots[i] : &now;

        check_crash(rig, shot, false);
        check_crash(rig, shot, true);
        if (rig->nr_crashes % NEST_EVERY == 0) {
            check_nested(rig, shot);
        }
    }
    shot_restore(rig, &now);
    shot_free(&now);
    rig->nr_shots = 0;
}

/* --- the workload --- */

static void pop_one(Rig *rig)
{
    VubChain *chain = &rig->scratch->chain;

    store_trap_begin();
    if (vub_ring_pop(&rig->ring, chain)) {
        rig->taken[rig->nr_taken++] = *chain;
    }
    store_trap_end();
}

static void push_one(Rig *rig)
{
    unsigned which;

    if (rig->nr_taken == 0) {
        return;
    }
    which = roll(rig, rig->nr_taken);
    store_trap_begin();
    vub_ring_push(&rig->ring, &rig->taken[which], roll(rig, 2));
    store_trap_end();
    rig->taken[which] = rig->taken[--rig->nr_taken];
}

static void step(Rig *rig)
{
    switch (roll(rig, 5)) {
    case 0:
        queue_some(rig, &rig->drv);
        break;
    case 1:
        pop_one(rig);
        break;
    case 2:
        for (unsigned i = 1 + roll(rig, 3); i > 0; i--) {
            push_one(rig);
        }
        break;
    case 3:
        store_trap_begin();
        vub_ring_publish(&rig->ring);
        vub_ring_set_notify(&rig->ring, roll(rig, 2));
        store_trap_end();
        break;
    case 4:
        driver_collect_all(&rig->drv);
    }
    check_shots(rig);
}

static void test_crash(const void *data)
{
    Rig *rig = rig_new(data);
    VubRingSetup setup = setup_of(rig);

    queue_some(rig, &rig->drv);
    store_trap_begin();
    g_assert_true(vub_ring_init(&rig->ring, &setup, NULL));
    store_trap_end();
    check_shots(rig);
    for (unsigned i = 0; i < 3000; i++) {
        step(rig);
    }
    g_test_message("%u crashes, %u in recovery, %u chains resubmitted",
                   rig->nr_crashes, rig->nr_nested, rig->nr_resubmitted);
    g_assert_cmpuint(rig->nr_crashes, >, 2000);
    g_assert_cmpuint(rig->nr_resubmitted, >, 1000);
    if (store_trap_works()) {
        g_assert_cmpuint(rig->nr_nested, >, 100);
    }
    rig_free(rig);
}

int main(int argc, char **argv)
{
    static const Kind kinds[] = {
        { 1, false, false }, { 2, false, true }, { 4, false, false },
        { 8, false, true }, { 1, true, false }, { 2, true, true },
        { 3, true, false }, { 5, true, false }, { 8, true, true },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *path = g_strdup_printf(
            "/export/vub-inflight/crash/%s-%u",
            kinds[i].packed ? "packed" : "split", kinds[i].num);

        g_test_add_data_func(path, &kinds[i], test_crash);
    }
    return g_test_run();
}
