/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-ring* against guests that mean harm: each reason to stop
 * a ring is reached, a stopped ring stays so, and random rings are taken from
 * without a byte written outside of the guest's memory (the driver looks).
 */
#include <string.h>
#include <unistd.h>

#include "ring-driver.h"

#define NUM 8
#define BOTH 2      /* kinds of rings */

typedef struct BadCase {
    const char *name;
    unsigned kind;              /* 0: split, 1: packed, or BOTH */
    void (*spoil)(RingDriver *drv);
    const char *why;
} BadCase;

static DriverBuf good_buf(const RingDriver *drv, bool in)
{
    return (DriverBuf) { driver_buf_addr(drv, 0, 0), 16, in };
}

/* A chain of one good buffer and then of @buf. */
static void queue_after_good(RingDriver *drv, DriverBuf buf, bool first_in,
                             bool indirect)
{
    const DriverBuf bufs[] = { good_buf(drv, first_in), buf };

    driver_queue(drv, bufs, 2, indirect);
}

static void empty_buf(RingDriver *drv)
{
    queue_after_good(drv, (DriverBuf) { DRIVER_GUEST_ADDR, 0, true }, false,
                     false);
}

static void empty_buf_indirect(RingDriver *drv)
{
    queue_after_good(drv, (DriverBuf) { DRIVER_GUEST_ADDR, 0, true }, false,
                     true);
}

static void out_after_in(RingDriver *drv)
{
    queue_after_good(drv, good_buf(drv, false), true, false);
}

static void out_after_in_indirect(RingDriver *drv)
{
    queue_after_good(drv, good_buf(drv, false), true, true);
}

static void buf_below(RingDriver *drv)
{
    queue_after_good(drv, (DriverBuf) { DRIVER_GUEST_ADDR - 1, 2, false },
                     false, false);
}

static void buf_beyond(RingDriver *drv)
{
    uint64_t end = DRIVER_GUEST_ADDR + drv->ram_bytes;

    queue_after_good(drv, (DriverBuf) { end - 1, 2, true }, false, false);
}

static void buf_wraps(RingDriver *drv)
{
    queue_after_good(drv, (DriverBuf) { UINT64_MAX, 16, true }, false, true);
}

static void buf_huge(RingDriver *drv)
{
    queue_after_good(drv, (DriverBuf) { DRIVER_GUEST_ADDR, UINT32_MAX, true },
                     false, false);
}

/* The head's table is somewhere else, or has another size. */
static void bad_table(RingDriver *drv, uint64_t guest_addr, uint32_t bytes)
{
    driver_queue_plain(drv, 1, 1, true);
    driver_desc(drv, 0)->addr = GUINT64_TO_LE(guest_addr);
    driver_desc(drv, 0)->len = GUINT32_TO_LE(bytes);
}

static void table_of_nothing(RingDriver *drv)
{
    bad_table(drv, driver_guest_addr(drv, driver_table(drv, 0)), 0);
}

static void table_odd(RingDriver *drv)
{
    bad_table(drv, driver_guest_addr(drv, driver_table(drv, 0)), 33);
}

static void table_beyond(RingDriver *drv)
{
    bad_table(drv, DRIVER_GUEST_ADDR + drv->ram_bytes - 8, 16);
}

static void table_nowhere(RingDriver *drv)
{
    bad_table(drv, UINT64_MAX - 15, 32);
}

static void table_unaligned(RingDriver *drv)
{
    bad_table(drv, driver_guest_addr(drv, driver_table(drv, 0)) + 4, 16);
}

static void table_in_table(RingDriver *drv)
{
    struct vring_desc *desc = driver_table(drv, 0) + 1;

    driver_queue_plain(drv, 1, 1, true);
    *(drv->packed ? &desc->next : &desc->flags) |=
        GUINT16_TO_LE(VRING_DESC_F_INDIRECT);
}

static void table_link_out(RingDriver *drv)
{
    driver_queue_plain(drv, 1, 2, true);
    driver_table(drv, 0)[1].next = GUINT16_TO_LE(3);
}

static void table_loop(RingDriver *drv)
{
    driver_queue_plain(drv, 0, 3, true);
    driver_table(drv, 0)[1].next = GUINT16_TO_LE(1);
}

/* As long as it may be, and one more: the memory is one large table. */
static void table_too_long(RingDriver *drv)
{
    struct vring_desc *table = driver_table(drv, 0);
    unsigned nr = VUB_CHAIN_MAX_IOV + 1;

    g_assert_cmpuint(drv->table_off + nr * sizeof(*table), <, drv->ram_bytes);
    for (unsigned i = 0; i < nr; i++) {
        table[i].addr = GUINT64_TO_LE(DRIVER_GUEST_ADDR);
        table[i].len = GUINT32_TO_LE(1);
        table[i].flags = GUINT16_TO_LE(drv->packed ? 0 : VRING_DESC_F_NEXT);
        table[i].next = GUINT16_TO_LE(drv->packed ? 0 : i + 1);
    }
    driver_desc(drv, 0)->addr = GUINT64_TO_LE(driver_guest_addr(drv, table));
    driver_desc(drv, 0)->len = GUINT32_TO_LE(nr * sizeof(*table));
    if (drv->packed) {
        driver_packed(drv, 0)->flags = GUINT16_TO_LE(
            VRING_DESC_F_INDIRECT | 1 << VRING_PACKED_DESC_F_AVAIL);
    } else {
        driver_desc(drv, 0)->flags = GUINT16_TO_LE(VRING_DESC_F_INDIRECT);
        driver_avail(drv)->idx = GUINT16_TO_LE(1);
    }
}

static void avail_jump(RingDriver *drv)
{
    driver_avail(drv)->idx = GUINT16_TO_LE(NUM + 1);
}

static void avail_backwards(RingDriver *drv)
{
    driver_avail(drv)->idx = GUINT16_TO_LE(UINT16_MAX);
}

static void head_out(RingDriver *drv)
{
    driver_queue_plain(drv, 1, 1, false);
    driver_avail(drv)->ring[0] = GUINT16_TO_LE(NUM);
}

static void indirect_with_next(RingDriver *drv)
{
    driver_queue_plain(drv, 1, 1, true);
    driver_desc(drv, 0)->flags |= GUINT16_TO_LE(VRING_DESC_F_NEXT);
}

static void link_out(RingDriver *drv)
{
    driver_queue_plain(drv, 1, 1, false);
    driver_desc(drv, 0)->next = GUINT16_TO_LE(NUM);
}

static void loop(RingDriver *drv)
{
    driver_queue_plain(drv, 0, 2, false);
    driver_desc(drv, 1)->flags |= GUINT16_TO_LE(VRING_DESC_F_NEXT);
    driver_desc(drv, 1)->next = 0;
}

static void indirect_first(RingDriver *drv)
{
    driver_queue_plain(drv, 1, 1, false);
    driver_packed(drv, 0)->flags |= GUINT16_TO_LE(VRING_DESC_F_INDIRECT);
}

static void indirect_last(RingDriver *drv)
{
    driver_queue_plain(drv, 1, 1, false);
    driver_packed(drv, 1)->flags |= GUINT16_TO_LE(VRING_DESC_F_INDIRECT);
}

/* All places have a successor: round and round. */
static void packed_endless(RingDriver *drv)
{
    driver_queue_plain(drv, 0, NUM, false);
    driver_packed(drv, NUM - 1)->flags |= GUINT16_TO_LE(VRING_DESC_F_NEXT);
}

/* The first is still out, and the second reaches into it. */
static void packed_too_long(RingDriver *drv)
{
    driver_queue_plain(drv, 0, 1, false);
    driver_queue_plain(drv, 0, NUM - 1, false);
    driver_packed(drv, NUM - 1)->flags |= GUINT16_TO_LE(VRING_DESC_F_NEXT);
}

static const BadCase cases[] = {
    { "empty-buf", BOTH, empty_buf, "a descriptor of zero bytes" },
    { "empty-buf-indirect", BOTH, empty_buf_indirect,
      "a descriptor of zero bytes" },
    { "out-after-in", BOTH, out_after_in,
      "a readable descriptor behind a writable one" },
    { "out-after-in-indirect", BOTH, out_after_in_indirect,
      "a readable descriptor behind a writable one" },
    { "buf-below", BOTH, buf_below,
      "a descriptor outside of the guest's memory" },
    { "buf-beyond", BOTH, buf_beyond,
      "a descriptor outside of the guest's memory" },
    { "buf-wraps", BOTH, buf_wraps,
      "a descriptor outside of the guest's memory" },
    { "buf-huge", BOTH, buf_huge,
      "a descriptor outside of the guest's memory" },
    { "table-of-nothing", BOTH, table_of_nothing,
      "an indirect table of odd size" },
    { "table-odd", BOTH, table_odd, "an indirect table of odd size" },
    { "table-beyond", BOTH, table_beyond,
      "an indirect table outside of memory" },
    { "table-nowhere", BOTH, table_nowhere,
      "an indirect table outside of memory" },
    { "table-unaligned", BOTH, table_unaligned,
      "an indirect table outside of memory" },
    { "table-in-table", BOTH, table_in_table,
      "an indirect table inside of another" },
    { "table-link-out", 0, table_link_out,
      "a link out of an indirect table" },
    { "table-loop", 0, table_loop, "a chain that has no end" },
    { "table-too-long", BOTH, table_too_long, "a chain that is too long" },
    { "avail-jump", 0, avail_jump, "an avail index that jumped" },
    { "avail-backwards", 0, avail_backwards, "an avail index that jumped" },
    { "head-out", 0, head_out, "a head out of the descriptor table" },
    { "indirect-with-next", 0, indirect_with_next,
      "an indirect descriptor with a successor" },
    { "link-out", 0, link_out, "a link out of the descriptor table" },
    { "loop", 0, loop, "a chain that has no end" },
    { "indirect-first", 1, indirect_first,
      "an indirect descriptor inside of a chain" },
    { "indirect-last", 1, indirect_last,
      "an indirect descriptor inside of a chain" },
    { "endless", 1, packed_endless, "a chain longer than what is free" },
    { "too-long", 1, packed_too_long, "a chain longer than what is free" },
};

typedef struct BadArgs {
    const BadCase *bad;
    bool packed;
} BadArgs;

static void test_bad(const void *data)
{
    const BadArgs *args = data;
    g_autofree RingDriver *drv = g_new(RingDriver, 1);
    DriverChain *dc = driver_chain_new();
    VubRing ring;

    /* More memory than the ring needs, for the long table. */
    driver_init(drv, args->bad->spoil == table_too_long ? 64 : NUM,
                args->packed, false);
    driver_start(drv, &ring);
    args->bad->spoil(drv);
    for (unsigned i = 0; i < NUM && vub_ring_pop(&ring, &dc->chain); i++) {
        g_assert_cmpstr(ring.broken, ==, NULL);
    }
    g_assert_cmpstr(ring.broken, ==, args->bad->why);

    /* It stays so, even if all is well again, and the reason too. */
    if (driver_has_room(drv, 1, true)) {
        driver_queue_plain(drv, 0, 1, true);
    }
    g_assert_true(vub_ring_empty(&ring));
    g_assert_false(vub_ring_pop(&ring, &dc->chain));
    vub_ring_break(&ring, "another reason");
    g_assert_cmpstr(ring.broken, ==, args->bad->why);
    vub_ring_destroy(&ring);
    driver_destroy(drv);
    g_free(dc);
}

/* One more than can be out. */
static void test_twice(void)
{
    g_autofree RingDriver *drv = g_new(RingDriver, 1);
    DriverChain *dc = driver_chain_new();
    VubRing ring;

    driver_init(drv, NUM, false, false);
    driver_start(drv, &ring);
    for (unsigned i = 0; i < NUM; i++) {
        driver_queue_plain(drv, 1, 0, false);
        g_assert_true(vub_ring_pop(&ring, &dc->chain));
    }
    driver_avail(drv)->idx = GUINT16_TO_LE(NUM + 1);
    g_assert_false(vub_ring_pop(&ring, &dc->chain));
    g_assert_cmpstr(ring.broken, ==, "a chain that is queued twice");
    vub_ring_destroy(&ring);
    driver_destroy(drv);
    g_free(dc);
}

/* A head that is tracked as in flight, while there is room for more. */
static void test_twice_tracked(void)
{
    g_autofree RingDriver *drv = g_new(RingDriver, 1);
    DriverChain *dc = driver_chain_new();
    VubRingSetup setup;
    VubRing ring;
    int fd;

    driver_init(drv, NUM, false, false);
    setup = driver_setup(drv);
    setup.config.inflight = vub_inflight_create(1, NUM, false, &fd, NULL);
    g_assert_true(vub_ring_init(&ring, &setup, NULL));
    driver_queue_plain(drv, 1, 1, false);
    driver_queue_plain(drv, 1, 1, false);
    driver_avail(drv)->ring[1] = driver_avail(drv)->ring[0];
    g_assert_true(vub_ring_pop(&ring, &dc->chain));
    g_assert_false(vub_ring_pop(&ring, &dc->chain));
    g_assert_cmpstr(ring.broken, ==, "a chain that is queued twice");
    vub_ring_destroy(&ring);
    vub_inflight_unref(setup.config.inflight);
    close(fd);
    driver_destroy(drv);
    g_free(dc);
}

/* What was taken before the ring broke can still be given back. */
static void test_give_back_broken(const void *data)
{
    bool packed = !!data;
    g_autofree RingDriver *drv = g_new(RingDriver, 1);
    DriverChain *dc = driver_chain_new();
    VubRing ring;

    driver_init(drv, NUM, packed, false);
    driver_start(drv, &ring);
    driver_queue_plain(drv, 1, 1, false);
    g_assert_true(vub_ring_pop(&ring, &dc->chain));
    vub_ring_break(&ring, "a test");
    vub_ring_push(&ring, &dc->chain, 32);
    g_assert_true(vub_ring_publish(&ring));
    g_assert_cmpuint(driver_collect_all(drv), ==, 1);
    vub_ring_destroy(&ring);
    driver_destroy(drv);
    g_free(dc);
}

static void check_inside(const RingDriver *drv, const VubChain *chain)
{
    const VubRegion *region = &drv->mem->regions[0];
    uint64_t bytes[2] = { 0, 0 };

    g_assert_cmpuint(chain->nr_out + chain->nr_in, <=, VUB_CHAIN_MAX_IOV);
    for (unsigned i = 0; i < chain->nr_out + chain->nr_in; i++) {
        size_t off = (uint8_t *)chain->iov[i].iov_base - region->host;

        g_assert_cmpuint(off, <, region->size_bytes);
        g_assert_cmpuint(chain->iov[i].iov_len, <=, region->size_bytes - off);
        g_assert_cmpuint(chain->iov[i].iov_len, >, 0);
        bytes[i >= chain->nr_out] += chain->iov[i].iov_len;
    }
    g_assert_cmpuint(bytes[0], ==, chain->out_bytes);
    g_assert_cmpuint(bytes[1], ==, chain->in_bytes);
}

static void scribble(RingDriver *drv, GRand *rand)
{
    size_t ring_bytes = drv->data_off;

    for (unsigned i = g_rand_int_range(rand, 1, 6); i > 0; i--) {
        size_t off = g_rand_int_range(rand, 0, ring_bytes / 2) * 2;
        uint16_t value = g_rand_int_range(rand, 0,
                                          g_rand_boolean(rand) ? 65536 : 9);

        memcpy(drv->ram + off, &value, sizeof(value));
    }
}

/* Good chains, some words of the ring overwritten; whatever is taken is good */
static void test_random(const void *data)
{
    bool packed = !!data;
    GRand *rand = g_rand_new_with_seed(packed);
    DriverChain *dc = driver_chain_new();
    unsigned nr_broken = 0, nr_popped = 0;

    for (unsigned round = 0; round < 20000; round++) {
        g_autofree RingDriver *drv = g_new(RingDriver, 1);
        VubRing ring;

        driver_init(drv, NUM, packed, round & 1);
        driver_start(drv, &ring);
        while (driver_has_room(drv, 2, false)) {
            driver_queue_plain(drv, 1, 1, g_rand_boolean(rand));
        }
        scribble(drv, rand);
        for (unsigned i = 0; i < 2 * NUM; i++) {
            if (!vub_ring_pop(&ring, &dc->chain)) {
                break;
            }
            nr_popped++;
            check_inside(drv, &dc->chain);
            vub_ring_push(&ring, &dc->chain, 1);
            vub_ring_publish(&ring);
        }
        nr_broken += !!ring.broken;
        vub_ring_destroy(&ring);
        driver_destroy(drv);
    }
    g_assert_cmpuint(nr_broken, >, 1000);
    g_assert_cmpuint(nr_popped, >, 1000);
    g_free(dc);
    g_rand_free(rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        for (unsigned packed = 0; packed < 2; packed++) {
            const char *kind = packed ? "packed" : "split";
            BadArgs *args = g_new(BadArgs, 1);
            g_autofree char *path = g_strdup_printf(
                "/export/vub-ring-bad/%s/%s", cases[i].name, kind);

            *args = (BadArgs) { &cases[i], packed };
            if (cases[i].kind == BOTH || cases[i].kind == packed) {
                g_test_add_data_func_full(path, args, test_bad, g_free);
            } else {
                g_free(args);
            }
        }
    }
    g_test_add_func("/export/vub-ring-bad/twice", test_twice);
    g_test_add_func("/export/vub-ring-bad/twice-tracked", test_twice_tracked);
    g_test_add_data_func("/export/vub-ring-bad/give-back/split", NULL,
                         test_give_back_broken);
    g_test_add_data_func("/export/vub-ring-bad/give-back/packed", "packed",
                         test_give_back_broken);
    g_test_add_data_func("/export/vub-ring-bad/random/split", NULL,
                         test_random);
    g_test_add_data_func("/export/vub-ring-bad/random/packed", "packed",
                         test_random);
    return g_test_run();
}
