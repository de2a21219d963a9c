/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The driver's side of a virtqueue: see front-ring.h.
 *
 * Owns: layout in guest memory, ids, which chains are out.
 * Must not know: what is in the buffers.
 * Invariant: an id is out from ring_add() until ring_reap() saw it once.
 */
#include "front-ring.h"

#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon.h"

/* --- events -------------------------------------------------------------- */

uint64_t event_count(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

void event_wait(int fd, const char *what)
{
    struct pollfd waiting = { .fd = fd, .events = POLLIN };

    if (poll(&waiting, 1, patience_ms()) == 0) {
        g_error("never signalled: %s", what);
    }
    event_count(fd);
}

void let_it_be(void)
{
    g_usleep(100 * 1000);
}

void ring_kick(FrontRing *ring)
{
    uint64_t one = 1;

    g_assert_cmpint(write(ring->kick, &one, sizeof(one)), ==, sizeof(one));
}

/* --- set-up -------------------------------------------------------------- */

static void lay_out(FrontRing *ring)
{
    Front *front = ring->front;
    unsigned num = ring->num;

    if (ring->packed) {
        ring->pdesc = front_alloc(front, num * sizeof(*ring->pdesc), 16);
        ring->driver = front_alloc(front, sizeof(*ring->driver), 4);
        ring->device = front_alloc(front, sizeof(*ring->device), 4);
        ring->avail_wrap = ring->used_wrap = true;
    } else {
        ring->desc = front_alloc(front, num * sizeof(*ring->desc), 16);
        ring->avail = front_alloc(front, 6 + 2 * num, 2);
        /* On pages of its own, to tell its traces in the log from others. */
        ring->used = front_alloc(front, 6 + 8 * num, WIRE_LOG_PAGE);
        front->mem_used += WIRE_LOG_PAGE;
    }
    ring->tables = front_alloc(front, num * RING_TABLE * sizeof(*ring->tables),
                               16);
    ring->nr_free = ring->nr_ids = num;
    for (unsigned i = 0; i < num; i++) {
        ring->free_ids[i] = num - 1 - i;
    }
}

void ring_address(const FrontRing *ring, struct vhost_vring_addr *address)
{
    *address = (struct vhost_vring_addr) {
        .index = ring->index,
        .desc_user_addr = (uintptr_t)(ring->packed ? (void *)ring->pdesc
                                                   : (void *)ring->desc),
        .avail_user_addr = (uintptr_t)(ring->packed ? (void *)ring->driver
                                                    : (void *)ring->avail),
        .used_user_addr = (uintptr_t)(ring->packed ? (void *)ring->device
                                                   : (void *)ring->used),
    };
}

void ring_describe(FrontRing *ring, uint32_t base)
{
    Front *front = ring->front;
    struct vhost_vring_addr address;

    ring_address(ring, &address);
    front_ask_state(front, WIRE_SET_VRING_NUM, ring->index, ring->num);
    front_ask_state(front, WIRE_SET_VRING_BASE, ring->index, base);
    front_ask(front, WIRE_SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
    front_ask_fd(front, WIRE_SET_VRING_CALL, ring->index, ring->call);
    front_ask_fd(front, WIRE_SET_VRING_ERR, ring->index, ring->err);
}

FrontRing *ring_new(Front *front, unsigned index, unsigned num)
{
    FrontRing *ring = g_new0(FrontRing, 1);

    ring->front = front;
    ring->index = index;
    ring->num = num;
    ring->packed = front->features & FRONT_BIT(VIRTIO_F_RING_PACKED);
    ring->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ring->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ring->err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    lay_out(ring);
    ring_describe(ring, ring->packed ? 0x80008000 : 0);
    return ring;
}

void ring_start(FrontRing *ring)
{
    front_ask_fd(ring->front, WIRE_SET_VRING_KICK, ring->index, ring->kick);
}

void ring_enable(FrontRing *ring, bool enable)
{
    front_ask_state(ring->front, WIRE_SET_VRING_ENABLE, ring->index, enable);
}

FrontRing *ring_open(Front *front, unsigned index)
{
    FrontRing *ring = ring_new(front, index, RING_DEFAULT);

    ring_start(ring);
    ring_enable(ring, true);
    return ring;
}

void ring_free(FrontRing *ring)
{
    close(ring->kick);
    close(ring->call);
    close(ring->err);
    g_free(ring);
}

/* --- to the device ------------------------------------------------------- */

void ring_publish(FrontRing *ring, uint16_t head)
{
    ring->avail->ring[ring->next_avail++ % ring->num] = head;
    __atomic_store_n(&ring->avail->idx, ring->next_avail, __ATOMIC_RELEASE);
    /* What the back-end says about kicks must be read after this. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint16_t packed_flags(const FrontRing *ring, uint16_t flags)
{
    return flags | (ring->avail_wrap ? 1 << VRING_PACKED_DESC_F_AVAIL
                                     : 1 << VRING_PACKED_DESC_F_USED);
}

static void advance_packed(FrontRing *ring)
{
    if (++ring->next_avail == ring->num) {
        ring->next_avail = 0;
        ring->avail_wrap = !ring->avail_wrap;
    }
}

void ring_put_packed(FrontRing *ring, uint64_t addr, uint32_t len,
                     uint16_t id, uint16_t flags)
{
    struct vring_packed_desc *d = &ring->pdesc[ring->next_avail];

    d->addr = addr;
    d->len = len;
    d->id = id;
    __atomic_store_n(&d->flags, packed_flags(ring, flags), __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    advance_packed(ring);
}

static uint16_t take_id(FrontRing *ring)
{
    g_assert_cmpuint(ring->nr_ids, >, 0);
    return ring->free_ids[--ring->nr_ids];
}

static uint16_t buf_flags(const RingBuf *buf, unsigned i, unsigned nr)
{
    return (buf[i].writable ? VRING_DESC_F_WRITE : 0) |
           (i + 1 < nr ? VRING_DESC_F_NEXT : 0);
}

/* The table's address and length as if they were a buffer. */
static RingBuf fill_table(FrontRing *ring, uint16_t id, const RingBuf *buf,
                          unsigned nr)
{
    struct vring_desc *table = ring->tables + id * RING_TABLE;
    struct vring_packed_desc *packed = (struct vring_packed_desc *)table;

    g_assert_cmpuint(nr, <=, RING_TABLE);
    for (unsigned i = 0; i < nr; i++) {
        if (ring->packed) {
            /* Packed tables have no links, and flags of the buffer only. */
            packed[i] = (struct vring_packed_desc) {
                .addr = buf[i].gpa, .len = buf[i].bytes,
                .flags = buf[i].writable ? VRING_DESC_F_WRITE : 0,
            };
        } else {
            table[i] = (struct vring_desc) {
                .addr = buf[i].gpa, .len = buf[i].bytes,
                .flags = buf_flags(buf, i, nr), .next = i + 1,
            };
        }
    }
    return (RingBuf) { front_gpa(ring->front, table), nr * sizeof(*table),
                       false };
}

static uint16_t add_split(FrontRing *ring, const RingBuf *buf, unsigned nr,
                          uint16_t extra_flags, uint16_t head)
{
    uint16_t at = head;

    for (unsigned i = 0; i < nr; i++) {
        struct vring_desc *d = &ring->desc[at];

        d->addr = buf[i].gpa;
        d->len = buf[i].bytes;
        d->flags = buf_flags(buf, i, nr) | extra_flags;
        if (i + 1 < nr) {
            ring->link[at] = take_id(ring);
            d->next = ring->link[at];
            at = ring->link[at];
        }
    }
    ring_publish(ring, head);
    return head;
}

/* The first descriptor is made available last, and all others with it. */
static uint16_t add_packed(FrontRing *ring, const RingBuf *buf, unsigned nr,
                           uint16_t extra_flags, uint16_t id)
{
    struct vring_packed_desc *first = &ring->pdesc[ring->next_avail];
    uint16_t first_flags = packed_flags(ring, buf_flags(buf, 0, nr) |
                                              extra_flags);

    for (unsigned i = 0; i < nr; i++) {
        struct vring_packed_desc *d = &ring->pdesc[ring->next_avail];

        d->addr = buf[i].gpa;
        d->len = buf[i].bytes;
        d->id = id;
        if (i) {
            d->flags = packed_flags(ring, buf_flags(buf, i, nr));
        }
        advance_packed(ring);
    }
    __atomic_store_n(&first->flags, first_flags, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return id;
}

uint16_t ring_add(FrontRing *ring, const RingBuf *buf, unsigned nr,
                  bool indirect)
{
    uint16_t id = take_id(ring);
    uint16_t extra = 0;
    RingBuf table;

    if (indirect) {
        table = fill_table(ring, id, buf, nr);
        buf = &table;
        nr = 1;
        extra = VRING_DESC_F_INDIRECT;
    }
    g_assert_cmpuint(ring->nr_free, >=, nr);
    ring->nr_free -= nr;
    ring->length[id] = nr;
    ring->done[id] = false;
    ring->nr_out++;
    return ring->packed ? add_packed(ring, buf, nr, extra, id)
                        : add_split(ring, buf, nr, extra, id);
}

/* --- from the device ----------------------------------------------------- */

static void give_back(FrontRing *ring, uint32_t id, uint32_t written)
{
    unsigned nr;

    if (id >= ring->num || ring->length[id] == 0) {
        g_error("the device gave back %u, which it does not have", id);
    }
    ring->done[id] = true;
    ring->written[id] = written;
    ring->nr_free += ring->length[id];
    ring->nr_out--;
    /* Last first: so the next chain of that length is in the same places. */
    nr = ring->packed ? 1 : ring->length[id];
    for (unsigned i = nr, at = id; i-- > 0; at = ring->link[at]) {
        ring->free_ids[ring->nr_ids + i] = at;
    }
    ring->nr_ids += nr;
    ring->length[id] = 0;
}

static bool reap_split(FrontRing *ring)
{
    uint16_t idx = __atomic_load_n(&ring->used->idx, __ATOMIC_ACQUIRE);
    struct vring_used_elem *e;

    if (idx == ring->next_used) {
        return false;
    }
    g_assert_cmpuint((uint16_t)(idx - ring->next_used), <=, ring->num);
    e = &ring->used->ring[ring->next_used++ % ring->num];
    give_back(ring, e->id, e->len);
    return true;
}

static bool reap_packed(FrontRing *ring)
{
    struct vring_packed_desc *d = &ring->pdesc[ring->next_used];
    uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);
    bool avail = flags & (1 << VRING_PACKED_DESC_F_AVAIL);
    bool used = flags & (1 << VRING_PACKED_DESC_F_USED);
    unsigned length;

    if (avail != used || used != ring->used_wrap) {
        return false;
    }
    g_assert_cmpuint(d->id, <, ring->num);
    length = ring->length[d->id];
    give_back(ring, d->id, d->len);
    ring->next_used += length;
    if (ring->next_used >= ring->num) {
        ring->next_used -= ring->num;
        ring->used_wrap = !ring->used_wrap;
    }
    return true;
}

unsigned ring_reap(FrontRing *ring)
{
    unsigned n = 0;

    while (ring->packed ? reap_packed(ring) : reap_split(ring)) {
        n++;
    }
    return n;
}

/* Calls may be suppressed or off, so look at the ring now and then too. */
static void wait_a_little(FrontRing *ring)
{
    struct pollfd waiting[2] = {
        { .fd = ring->call, .events = POLLIN },
        { .fd = ring->err, .events = POLLIN },
    };

    poll(waiting, 2, 1);
    event_count(ring->call);
    if (waiting[1].revents && !ring_reap(ring)) {
        g_error("the ring broke");
    }
}

uint32_t ring_wait(FrontRing *ring, uint16_t id)
{
    gint64 end = g_get_monotonic_time() + patience_ms() * 1000ll;

    ring_reap(ring);
    while (!ring->done[id]) {
        if (g_get_monotonic_time() > end) {
            g_error("the device never gave back %u", id);
        }
        wait_a_little(ring);
        ring_reap(ring);
    }
    return ring->written[id];
}

void ring_wait_all(FrontRing *ring)
{
    gint64 end = g_get_monotonic_time() + patience_ms() * 1000ll;

    ring_reap(ring);
    while (ring->nr_out) {
        if (g_get_monotonic_time() > end) {
            g_error("the device never gave back %u chains", ring->nr_out);
        }
        wait_a_little(ring);
        ring_reap(ring);
    }
}

bool ring_wait_any(FrontRing *ring)
{
    gint64 end = g_get_monotonic_time() + patience_ms() * 1000ll;

    for (;;) {
        if (ring_reap(ring)) {
            return true;
        }
        if (event_count(ring->err)) {
            return false;
        }
        if (g_get_monotonic_time() > end) {
            g_error("the device neither gave back a chain nor broke");
        }
        g_usleep(100);
    }
}
