/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: memory that changes while the back-end looks at it.
 *
 * A thread turns a word over and over. Whatever the back-end sees, it must see
 * it once: what it checked is what it does. Chains come back once or the ring
 * breaks; then there is a new client.
 */
#include <glib.h>
#include <pthread.h>
#include <string.h>

#include "cases.h"
#include "rig.h"

#define ROUNDS      3000

typedef struct Turner {
    pthread_t thread;
    uint32_t *word;
    uint32_t one, other;
    bool stop;
} Turner;

static void *turn(void *opaque)
{
    Turner *turner = opaque;

    while (!__atomic_load_n(&turner->stop, __ATOMIC_RELAXED)) {
        __atomic_store_n(turner->word, turner->one, __ATOMIC_RELAXED);
        __atomic_store_n(turner->word, turner->other, __ATOMIC_RELAXED);
    }
    return NULL;
}

static void turner_start(Turner *turner, void *word, uint32_t one,
                         uint32_t other)
{
    *turner = (Turner) { .word = word, .one = one, .other = other };
    g_assert_cmpint(pthread_create(&turner->thread, NULL, turn, turner), ==,
                    0);
}

static void turner_end(Turner *turner)
{
    __atomic_store_n(&turner->stop, true, __ATOMIC_RELAXED);
    pthread_join(turner->thread, NULL);
}

/* Send it over and over; what of it turns is the caller's. */
static void repeat(Rig *rig, Request *r, const RingBuf *buf, unsigned nr,
                   bool indirect)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        *r->status = STATUS_NONE;
        request_send_as(r, buf, nr, indirect);
        if (!ring_wait_any(rig->ring)) {
            return;
        }
        g_assert_cmpuint(*r->status, !=, STATUS_NONE);
    }
}

static void plain_bufs(Rig *rig, Request *r, RingBuf *buf, bool in)
{
    buf[0] = buf_of(rig->front, r->header, 16, false);
    buf[1] = buf_of(rig->front, r->data, r->bytes, in);
    buf[2] = buf_of(rig->front, r->status, 1, true);
}

static void fill_disk(Rig *rig)
{
    uint8_t data[65536];

    memset(data, 0xab, sizeof(data));
    daemon_poke(rig->daemon, data, sizeof(data), 0);
}

static void expect_disk_is_as_it_was(Rig *rig)
{
    uint8_t data[65536];

    daemon_peek(rig->daemon, data, sizeof(data), 0);
    g_assert_true(filled_with(data, sizeof(data), 0xab));
}

/* "Read" when it is checked and "write" when it is done, or so it hopes. */
static void type_turns(const void *arg)
{
    const Way *way = arg;
    RingBuf buf[3];
    Turner turner;
    Request r;
    Rig rig;

    rig_open(&rig, DISK_FILE, "", way->without);
    fill_disk(&rig);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 512);
    plain_bufs(&rig, &r, buf, false);
    turner_start(&turner, &r.header->type, VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT);
    repeat(&rig, &r, buf, 3, way->indirect);
    turner_end(&turner);
    expect_disk_is_as_it_was(&rig);
    rig_close(&rig);
}

static void sector_turns(const void *arg)
{
    const Way *way = arg;
    RingBuf buf[3];
    Turner turner;
    Request r;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    r = request_make(rig.ring, VIRTIO_BLK_T_OUT, 0, 4096);
    plain_bufs(&rig, &r, buf, false);
    turner_start(&turner, &r.header->sector, 8, DISK_SECTORS);
    repeat(&rig, &r, buf, 3, way->indirect);
    turner_end(&turner);
    rig_reconnect(&rig, way->without);
    expect_works(rig.ring);
    rig_close(&rig);
}

/* The word is in the first descriptor of the ring, or of its table. */
static void *descriptor_word(Rig *rig, bool indirect, size_t off)
{
    uint8_t *first = indirect ? (uint8_t *)rig->ring->tables
                              : (uint8_t *)rig->ring->desc;

    return first + sizeof(struct vring_desc) + off;
}

static void descriptor_turns(const Way *way, size_t off, uint32_t one,
                             uint32_t other)
{
    RingBuf buf[3];
    Turner turner;
    Request r;
    Rig rig;

    rig_open(&rig, DISK_FILE, "", way->without);
    fill_disk(&rig);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 512);
    plain_bufs(&rig, &r, buf, true);
    turner_start(&turner, descriptor_word(&rig, way->indirect, off), one,
                 other);
    for (unsigned i = 0; i < ROUNDS; i++) {
        request_send_as(&r, buf, 3, way->indirect);
        if (!ring_wait_any(rig.ring)) {
            break;
        }
    }
    turner_end(&turner);
    expect_disk_is_as_it_was(&rig);
    rig_reconnect(&rig, way->without);
    expect_works(rig.ring);
    rig_close(&rig);
}

static void length_turns(const void *arg)
{
    descriptor_turns(arg, offsetof(struct vring_desc, len), 512, 0x7fffffff);
}

static void address_turns(const void *arg)
{
    /* The lower half of an address in the memory, and of one behind it. */
    descriptor_turns(arg, offsetof(struct vring_desc, addr),
                     (uint32_t)FRONT_GUEST_BASE + (1 << 20),
                     (uint32_t)FRONT_GUEST_BASE + FRONT_MEM_BYTES);
}

static void flags_turn(const void *arg)
{
    /* Link and flags together: on to the status, and nowhere at all. */
    descriptor_turns(arg, offsetof(struct vring_desc, flags),
                     VRING_DESC_F_NEXT | VRING_DESC_F_WRITE | 2u << 16,
                     VRING_DESC_F_NEXT | 0xffffu << 16);
}

static void range_turns(const void *arg)
{
    const Way *way = arg;
    struct virtio_blk_discard_write_zeroes *range;
    RingBuf buf[3];
    Turner turner;
    Request r;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    fill_disk(&rig);
    r = request_make(rig.ring, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(*range));
    range = (void *)r.data;
    /* Outside, or what is refused for a flag: the disk stays as it is. */
    range->sector = DISK_SECTORS;
    range->num_sectors = 8;
    range->flags = 2;
    plain_bufs(&rig, &r, buf, false);
    turner_start(&turner, &range->sector, 0, DISK_SECTORS);
    repeat(&rig, &r, buf, 3, way->indirect);
    turner_end(&turner);
    expect_disk_is_as_it_was(&rig);
    rig_close(&rig);
}

static const Way *const split_ways[] = { &ways[0], &ways[1] };

void add_unstable_cases(void)
{
    case_add_in_each_way(type_turns,
                         "unstable: a type that turns writes nothing");
    case_add_in_each_way(sector_turns,
                         "unstable: a sector that turns is checked as used");
    case_add_in_each_way(range_turns,
                         "unstable: a range that turns is checked as used");
    for (unsigned i = 0; i < G_N_ELEMENTS(split_ways); i++) {
        const Way *way = split_ways[i];

        case_add(length_turns, way,
                 "unstable: a length that turns does no harm (%s)", way->name);
        case_add(address_turns, way,
                 "unstable: an address that turns does no harm (%s)",
                 way->name);
        case_add(flags_turn, way,
                 "unstable: a link that turns does no harm (%s)", way->name);
    }
}
