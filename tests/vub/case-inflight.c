/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: the buffer that tells the next daemon what the last one had under
 * way, for split rings.
 *
 * The daemon is killed, or the buffer is made up as a killed one would have
 * left it.
 */
#include <glib.h>
#include <string.h>

#include "cases.h"
#include "keep.h"

#define STUCK   4

static void given_out(const void *arg)
{
    Keep keep;

    keep_open(&keep, DISK_FILE, WAY_SPLIT, 1);
    g_assert_cmpuint(keep.info.mmap_bytes, >=,
                     sizeof(WireSplitRegion) +
                     RING_DEFAULT * sizeof(WireSplitState));
    keep_start(&keep);
    expect_works(keep.rig.ring);
    g_assert_cmpuint(keep.split->version, ==, 1);
    g_assert_cmpuint(keep.split->desc_num, ==, RING_DEFAULT);
    g_assert_cmpuint(keep.split->features, ==, 0);
    g_assert_cmpuint(keep.split->used_idx, ==, 1);
    keep_close(&keep);
}

static void two_rings(const void *arg)
{
    Keep keep;

    keep_open(&keep, DISK_FILE, WAY_SPLIT, 2);
    g_assert_cmpuint(keep.info.mmap_bytes, >=,
                     2 * (sizeof(WireSplitRegion) +
                          RING_DEFAULT * sizeof(WireSplitState)));
    keep_close(&keep);
}

static unsigned nr_marked(const Keep *keep)
{
    unsigned n = 0;

    for (unsigned i = 0; i < RING_DEFAULT; i++) {
        n += __atomic_load_n(&keep->split->desc[i].inflight,
                             __ATOMIC_ACQUIRE);
    }
    return n;
}

static void wait_until_marked(const Keep *keep, unsigned nr)
{
    for (unsigned ms = 0; nr_marked(keep) != nr; ms++) {
        if (ms > patience_ms()) {
            g_error("%u are marked as in flight, not %u", nr_marked(keep), nr);
        }
        g_usleep(1000);
    }
}

static void marks(const void *arg)
{
    Request r[STUCK], id;
    Keep keep;

    keep_open(&keep, DISK_STUCK, WAY_SPLIT, 1);
    keep_start(&keep);
    for (unsigned i = 0; i < STUCK; i++) {
        r[i] = request_make(keep.rig.ring, VIRTIO_BLK_T_OUT, i, 512);
        request_send(&r[i], false);
    }
    id = request_make(keep.rig.ring, VIRTIO_BLK_T_GET_ID, 0, 20);
    g_assert_cmpuint(request_run(&id, false), ==, VIRTIO_BLK_S_OK);
    wait_until_marked(&keep, STUCK);
    g_assert_cmpuint(keep.split->used_idx, ==, 1);
    for (unsigned i = 0; i < STUCK; i++) {
        g_assert_cmpuint(keep.split->desc[r[i].id].inflight, ==, 1);
        if (i) {
            g_assert_cmpuint(keep.split->desc[r[i].id].counter, >,
                             keep.split->desc[r[i - 1].id].counter);
        }
    }
    keep_crash(&keep);
    keep_free(&keep);
}

static void nothing_is_lost(const void *arg)
{
    const Way *way = arg;
    uint8_t sector[512];
    Request w[STUCK], id;
    Keep keep;

    keep_open(&keep, DISK_STUCK, way, 1);
    keep_start(&keep);
    for (unsigned i = 0; i < STUCK; i++) {
        w[i] = request_make(keep.rig.ring, VIRTIO_BLK_T_OUT, i, 512);
        memset(w[i].data, 0x70 + i, 512);
        request_send(&w[i], way->indirect);
        /* Between those that stick some are done, out of their order. */
        id = request_make(keep.rig.ring, VIRTIO_BLK_T_GET_ID, 0, 20);
        g_assert_cmpuint(request_run(&id, way->indirect), ==,
                         VIRTIO_BLK_S_OK);
    }
    keep_crash(&keep);
    keep_resume(&keep, DISK_FILE);
    for (unsigned i = 0; i < STUCK; i++) {
        g_assert_cmpuint(request_wait(&w[i]), ==, VIRTIO_BLK_S_OK);
        daemon_peek(keep.rig.daemon, sector, 512, i * 512);
        g_assert_true(filled_with(sector, 512, 0x70 + i));
    }
    g_assert_cmpuint(keep.rig.ring->nr_out, ==, 0);
    expect_write_and_read(keep.rig.ring, 100, 0x61);
    /* 4 + 4 before, 2 behind: nothing was taken twice. */
    if (!keep.rig.ring->packed) {
        g_assert_cmphex(front_get_base(keep.rig.front, 0), ==,
                        2 * STUCK + 2);
    }
    let_it_be();
    g_assert_cmpuint(ring_reap(keep.rig.ring), ==, 0);
    keep_close(&keep);
}

/* It may die again while it does what the first left over. */
static void twice(const void *arg)
{
    const Way *way = arg;
    Request w[STUCK];
    Keep keep;

    keep_open(&keep, DISK_STUCK, way, 1);
    keep_start(&keep);
    for (unsigned i = 0; i < STUCK; i++) {
        w[i] = request_make(keep.rig.ring, VIRTIO_BLK_T_OUT, i, 512);
        request_send(&w[i], way->indirect);
    }
    let_it_be();
    for (unsigned i = 0; i < 3; i++) {
        keep_crash(&keep);
        keep_resume(&keep, DISK_STUCK);
        let_it_be();
    }
    keep_crash(&keep);
    keep_resume(&keep, DISK_FILE);
    for (unsigned i = 0; i < STUCK; i++) {
        g_assert_cmpuint(request_wait(&w[i]), ==, VIRTIO_BLK_S_OK);
    }
    expect_works(keep.rig.ring);
    keep_close(&keep);
}

/* Requests that the last one did not see yet come behind those it did. */
static void in_order_of_counter(const void *arg)
{
    static const uint64_t counters[] = { 30, 10, 40, 20 };
    static const unsigned order[] = { 1, 3, 0, 2, 4 };
    Request r[5];
    Keep keep;

    keep_open(&keep, DISK_NULL, WAY_SPLIT, 1);
    for (unsigned i = 0; i < 5; i++) {
        r[i] = request_make(keep.rig.ring, VIRTIO_BLK_T_IN, i, 512);
        request_send(&r[i], false);
    }
    keep.split->version = 1;
    keep.split->desc_num = RING_DEFAULT;
    for (unsigned i = 0; i < 4; i++) {
        keep.split->desc[r[i].id].inflight = 1;
        keep.split->desc[r[i].id].counter = counters[i];
    }
    keep_hand_over(&keep);
    keep_start(&keep);
    ring_wait_all(keep.rig.ring);
    for (unsigned i = 0; i < 5; i++) {
        g_assert_cmpuint(keep.rig.ring->used->ring[i].id, ==, r[order[i]].id);
    }
    keep_close(&keep);
}

/*
 * Killed between the used index and its own notes: two are marked that the
 * guest has back already.
 */
static void last_batch_is_done(const void *arg)
{
    Request r[3];
    FrontRing *ring;
    Keep keep;

    keep_open(&keep, DISK_NULL, WAY_SPLIT, 1);
    ring = keep.rig.ring;
    ring->next_avail = ring->next_used = 3;
    ring->avail->idx = ring->used->idx = 3;
    for (unsigned i = 0; i < 3; i++) {
        r[i] = request_make(ring, VIRTIO_BLK_T_IN, i, 512);
        request_send(&r[i], false);
        keep.split->desc[r[i].id].inflight = 1;
        keep.split->desc[r[i].id].counter = i;
    }
    for (unsigned i = 0; i < 2; i++) {
        ring->used->ring[3 + i].id = r[i].id;
        ring->used->ring[3 + i].len = 513;
    }
    ring->used->idx = 5;
    g_assert_cmpuint(ring_reap(ring), ==, 2);

    keep.split->version = 1;
    keep.split->desc_num = RING_DEFAULT;
    keep.split->used_idx = 3;
    keep.split->last_batch_head = r[1].id;
    keep.split->desc[r[1].id].next = r[0].id;
    keep_hand_over(&keep);
    keep_start(&keep);
    g_assert_cmpuint(request_wait(&r[2]), ==, VIRTIO_BLK_S_OK);
    let_it_be();
    g_assert_cmpuint(ring_reap(ring), ==, 0);
    g_assert_cmpuint(ring->used->idx, ==, 6);
    g_assert_cmpuint(nr_marked(&keep), ==, 0);
    g_assert_cmpuint(keep.split->used_idx, ==, 6);
    expect_works(ring);
    keep_close(&keep);
}

static FrontOutcome try_info(Keep *keep, WireInflight info, unsigned nr_fds)
{
    return front_try(keep->rig.front, WIRE_SET_INFLIGHT_FD, &info,
                     sizeof(info), &keep->fd, nr_fds);
}

static void bad_info(const void *arg)
{
    WireInflight bad;
    Keep keep;

    keep_open(&keep, DISK_FILE, WAY_SPLIT, 1);
    bad = keep.info;
    bad.mmap_bytes = 16;
    g_assert_cmpint(try_info(&keep, bad, 1), ==, FRONT_REFUSED);
    bad.mmap_bytes = UINT64_MAX;
    g_assert_cmpint(try_info(&keep, bad, 1), ==, FRONT_REFUSED);
    bad = keep.info;
    bad.mmap_off = 1ull << 40;
    g_assert_cmpint(try_info(&keep, bad, 1), ==, FRONT_REFUSED);
    bad = keep.info;
    bad.num_queues = 0;
    g_assert_cmpint(try_info(&keep, bad, 1), ==, FRONT_REFUSED);
    bad.num_queues = 60000;
    g_assert_cmpint(try_info(&keep, bad, 1), ==, FRONT_REFUSED);
    bad = keep.info;
    bad.queue_size = 0;
    g_assert_cmpint(try_info(&keep, bad, 1), ==, FRONT_REFUSED);
    bad.queue_size = 65535;
    g_assert_cmpint(try_info(&keep, bad, 1), ==, FRONT_REFUSED);
    keep_start(&keep);
    expect_works(keep.rig.ring);
    keep_close(&keep);
}

static void too_many_queues(const void *arg)
{
    WireInflight info = { .num_queues = 300, .queue_size = RING_DEFAULT };
    WireMsg reply;
    Keep keep;

    keep_open(&keep, DISK_FILE, WAY_SPLIT, 1);
    front_send(keep.rig.front, WIRE_GET_INFLIGHT_FD, WIRE_NEED_REPLY, &info,
               sizeof(info), NULL, 0);
    if (front_receive(keep.rig.front, &reply)) {
        g_assert_cmpint(reply.fd, ==, -1);
        front_sync(keep.rig.front);
    }
    keep_close(&keep);
}

/*
 * A front-end asks for a buffer before it knows the driver's mind, and the
 * driver may choose larger rings. It gets its disk, if need be without what
 * the buffer is for.
 */
static void ring_outgrows_buffer(const void *way)
{
    Keep keep;

    keep_open(&keep, DISK_FILE, way, 1);
    ring_free(keep.rig.ring);
    keep.rig.ring = ring_new(keep.rig.front, 0, 2 * RING_DEFAULT);
    keep_start(&keep);
    for (unsigned i = 0; i < 3 * RING_DEFAULT; i++) {
        size_t mem = keep.rig.front->mem_used;

        expect_works(keep.rig.ring);
        keep.rig.front->mem_used = mem;
    }
    keep_close(&keep);
}

typedef void SpoilFn(WireSplitRegion *region);

typedef struct Spoil {
    SpoilFn *fn;
    const char *what;
} Spoil;

static void other_version(WireSplitRegion *region)
{
    region->version = 2;
}

static void other_size(WireSplitRegion *region)
{
    region->desc_num = 2 * RING_DEFAULT;
}

static void batch_loops(WireSplitRegion *region)
{
    region->used_idx = 60000;
    region->last_batch_head = 3;
    region->desc[3].next = 3;
}

static void batch_outside(WireSplitRegion *region)
{
    region->used_idx = 65535;
    region->last_batch_head = 65535;
}

static void all_marked(WireSplitRegion *region)
{
    for (unsigned i = 0; i < RING_DEFAULT; i++) {
        region->desc[i].inflight = 1;
        region->desc[i].counter = UINT64_MAX;
    }
}

static const Spoil spoils[] = {
    { other_version, "of another version" },
    { other_size, "for rings of another size" },
    { batch_loops, "with a last batch that loops" },
    { batch_outside, "with a last batch out of the table" },
    { all_marked, "with all marked, and none in the ring" },
};

/*
 * Refused when it is set, when the ring starts, or taken for what it is: the
 * client gets what it deserves, and the next one is served.
 */
static void spoiled(const void *arg)
{
    const Spoil *spoil = arg;
    uint64_t index = 0;
    Keep keep;

    keep_open(&keep, DISK_FILE, WAY_SPLIT, 1);
    keep.split->version = 1;
    keep.split->desc_num = RING_DEFAULT;
    spoil->fn(keep.split);
    if (try_info(&keep, keep.info, 1) == FRONT_ACCEPTED) {
        front_try(keep.rig.front, WIRE_SET_VRING_KICK, &index, 8,
                  &keep.rig.ring->kick, 1);
    }
    let_it_be();
    rig_reconnect(&keep.rig, SPLIT);
    expect_works(keep.rig.ring);
    keep_close(&keep);
}

void add_inflight_cases(void)
{
    case_add(given_out, NULL, "in-flight: a buffer is given out and kept");
    case_add(two_rings, NULL, "in-flight: a buffer for two rings");
    case_add(marks, NULL, "in-flight: requests are marked in their order");
    case_add_in_each_way(nothing_is_lost,
                         "in-flight: a killed daemon's requests are done once");
    case_add_in_each_way(twice,
                         "in-flight: the daemon is killed again and again");
    case_add(in_order_of_counter, NULL,
             "in-flight: requests are done in the order of their counters");
    case_add(last_batch_is_done, NULL,
             "in-flight: what the guest has back is not done again");
    case_add(bad_info, NULL,
             "in-flight: refused are buffers that cannot be");
    case_add(too_many_queues, NULL,
             "in-flight: none is given out for more rings than there are");
    case_add(ring_outgrows_buffer, WAY_SPLIT,
             "in-flight: a ring larger than the buffer is served (split)");
    case_add(ring_outgrows_buffer, WAY_PACKED,
             "in-flight: a ring larger than the buffer is served (packed)");
    for (unsigned i = 0; i < G_N_ELEMENTS(spoils); i++) {
        case_add(spoiled, &spoils[i], "in-flight: a buffer %s does no harm",
                 spoils[i].what);
    }
}
