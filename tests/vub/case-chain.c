/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: chains of descriptors that no driver makes.
 *
 * Each must break its ring and nothing else: the err file says so, the chain
 * is not given back, the other ring and the next client go on, and the same
 * ring does once it was stopped and started.
 */
#include <glib.h>
#include <string.h>

#include "cases.h"
#include "rig.h"

typedef void BreakFn(Rig *rig, Request *r);

/* What is sent to the split ring: descriptor 0 is the header's, and so on. */
static void set(Rig *rig, unsigned i, const void *ptr, uint32_t len,
                uint16_t flags, uint16_t next)
{
    rig->ring->desc[i] = (struct vring_desc) {
        .addr = front_gpa(rig->front, ptr), .len = len, .flags = flags,
        .next = next,
    };
}

static void set_read(Rig *rig, Request *r)
{
    set(rig, 0, r->header, 16, VRING_DESC_F_NEXT, 1);
    set(rig, 1, r->data, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
    set(rig, 2, r->status, 1, VRING_DESC_F_WRITE, 0);
}

static void publish(Rig *rig, uint16_t head)
{
    ring_publish(rig->ring, head);
    ring_kick(rig->ring);
}

static struct vring_desc *table_of(Rig *rig, Request *r)
{
    struct vring_desc *table = rig->ring->tables;

    set_read(rig, r);
    memcpy(table, rig->ring->desc, 3 * sizeof(*table));
    set(rig, 0, table, 3 * sizeof(*table), VRING_DESC_F_INDIRECT, 0);
    return table;
}

static void loop(Rig *rig, Request *r)
{
    set_read(rig, r);
    rig->ring->desc[2].flags |= VRING_DESC_F_NEXT;
    rig->ring->desc[2].next = 1;
    publish(rig, 0);
}

static void next_too_high(Rig *rig, Request *r)
{
    set_read(rig, r);
    rig->ring->desc[1].next = rig->ring->num;
    publish(rig, 0);
}

static void head_too_high(Rig *rig, Request *r)
{
    publish(rig, rig->ring->num);
}

static void no_status(Rig *rig, Request *r)
{
    set(rig, 0, r->header, 16, VRING_DESC_F_NEXT, 1);
    set(rig, 1, r->data, 512, 0, 0);
    publish(rig, 0);
}

static void address_outside(Rig *rig, Request *r)
{
    set_read(rig, r);
    rig->ring->desc[1].addr = FRONT_GUEST_BASE + FRONT_MEM_BYTES;
    publish(rig, 0);
}

static void address_before(Rig *rig, Request *r)
{
    set_read(rig, r);
    rig->ring->desc[1].addr = FRONT_GUEST_BASE - 256;
    publish(rig, 0);
}

static void runs_out(Rig *rig, Request *r)
{
    set_read(rig, r);
    rig->ring->desc[1].addr = FRONT_GUEST_BASE + FRONT_MEM_BYTES - 256;
    publish(rig, 0);
}

static void address_overflows(Rig *rig, Request *r)
{
    set_read(rig, r);
    rig->ring->desc[1].addr = UINT64_MAX - 255;
    publish(rig, 0);
}

static void status_outside(Rig *rig, Request *r)
{
    set_read(rig, r);
    rig->ring->desc[2].addr = 0;
    publish(rig, 0);
}

static void index_jumps(Rig *rig, Request *r)
{
    set_read(rig, r);
    rig->ring->next_avail += rig->ring->num + 1;
    rig->ring->avail->idx = rig->ring->next_avail;
    ring_kick(rig->ring);
}

static void index_goes_back(Rig *rig, Request *r)
{
    rig->ring->avail->idx = --rig->ring->next_avail;
    ring_kick(rig->ring);
}

static void table_length(Rig *rig, Request *r)
{
    table_of(rig, r);
    rig->ring->desc[0].len = 40;
    publish(rig, 0);
}

static void table_empty(Rig *rig, Request *r)
{
    table_of(rig, r);
    rig->ring->desc[0].len = 0;
    publish(rig, 0);
}

static void table_outside(Rig *rig, Request *r)
{
    table_of(rig, r);
    rig->ring->desc[0].addr = FRONT_GUEST_BASE + FRONT_MEM_BYTES - 16;
    publish(rig, 0);
}

static void table_in_table(Rig *rig, Request *r)
{
    struct vring_desc *table = table_of(rig, r);

    table[0] = rig->ring->desc[0];
    publish(rig, 0);
}

static void table_and_next(Rig *rig, Request *r)
{
    table_of(rig, r);
    rig->ring->desc[0].flags |= VRING_DESC_F_NEXT;
    rig->ring->desc[0].next = 1;
    publish(rig, 0);
}

static void table_loop(Rig *rig, Request *r)
{
    struct vring_desc *table = table_of(rig, r);

    table[2].flags |= VRING_DESC_F_NEXT;
    table[2].next = 0;
    publish(rig, 0);
}

static void table_next_too_high(Rig *rig, Request *r)
{
    struct vring_desc *table = table_of(rig, r);

    table[1].next = 3;
    publish(rig, 0);
}

static void packed_no_end(Rig *rig, Request *r)
{
    for (unsigned i = 0; i < rig->ring->num; i++) {
        ring_put_packed(rig->ring, front_gpa(rig->front, r->data), 16, 0,
                        VRING_DESC_F_NEXT);
    }
    ring_kick(rig->ring);
}

static void packed_no_status(Rig *rig, Request *r)
{
    ring_put_packed(rig->ring, front_gpa(rig->front, r->header), 16, 0, 0);
    ring_kick(rig->ring);
}

static void packed_outside(Rig *rig, Request *r)
{
    ring_put_packed(rig->ring, 4096, 16, 0, VRING_DESC_F_WRITE);
    ring_kick(rig->ring);
}

static void packed_table_length(Rig *rig, Request *r)
{
    ring_put_packed(rig->ring, front_gpa(rig->front, rig->ring->tables), 40, 0,
                    VRING_DESC_F_INDIRECT);
    ring_kick(rig->ring);
}

static void packed_table_in_table(Rig *rig, Request *r)
{
    struct vring_packed_desc *table = (void *)rig->ring->tables;
    uint64_t gpa = front_gpa(rig->front, table);

    table[0] = (struct vring_packed_desc) {
        .addr = gpa, .len = 16, .flags = VRING_DESC_F_INDIRECT,
    };
    ring_put_packed(rig->ring, gpa, 16, 0, VRING_DESC_F_INDIRECT);
    ring_kick(rig->ring);
}

static void packed_table_and_next(Rig *rig, Request *r)
{
    ring_put_packed(rig->ring, front_gpa(rig->front, rig->ring->tables), 16, 0,
                    VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT);
    ring_kick(rig->ring);
}

typedef struct Break {
    BreakFn *fn;
    const char *what;
} Break;

static const Break split_breaks[] = {
    { loop, "a chain that loops" },
    { next_too_high, "a link out of the table" },
    { head_too_high, "a head out of the table" },
    { no_status, "a chain without a status" },
    { address_outside, "a buffer outside the memory" },
    { address_before, "a buffer that begins before the memory" },
    { runs_out, "a buffer that runs out of the memory" },
    { address_overflows, "a buffer that runs past the last address" },
    { status_outside, "a status outside the memory" },
    { index_jumps, "an index that jumps ahead" },
    { index_goes_back, "an index that goes back" },
    { table_length, "an indirect table of a length that is none" },
    { table_empty, "an empty indirect table" },
    { table_outside, "an indirect table that runs out of the memory" },
    { table_in_table, "an indirect table in an indirect table" },
    { table_and_next, "an indirect table with a link behind it" },
    { table_loop, "an indirect table that loops" },
    { table_next_too_high, "a link out of the indirect table" },
};

static const Break packed_breaks[] = {
    { packed_no_end, "a chain without an end" },
    { packed_no_status, "a chain without a status" },
    { packed_outside, "a buffer outside the memory" },
    { packed_table_length, "an indirect table of a length that is none" },
    { packed_table_in_table, "an indirect table in an indirect table" },
    { packed_table_and_next, "an indirect table with a link behind it" },
};

/* Broken is broken: what is right comes too late. */
static void expect_broken(FrontRing *ring)
{
    event_wait(ring->err, "the err file of the broken ring");
    g_assert_cmpuint(ring_reap(ring), ==, 0);
    if (!ring->packed) {
        ring->desc[0].flags = 0;
        ring_publish(ring, 0);
    }
    ring_kick(ring);
    let_it_be();
    g_assert_cmpuint(ring_reap(ring), ==, 0);
}

/* Stop it, forget all that was in it, and start it. */
static FrontRing *restart(Rig *rig)
{
    FrontRing *ring;

    front_get_base(rig->front, 0);
    ring_free(rig->ring);
    ring = ring_new(rig->front, 0, RING_DEFAULT);
    ring_start(ring);
    return ring;
}

static void broken_ring(Rig *rig, BreakFn *fn, uint64_t without)
{
    FrontRing *other;
    Request r;

    rig_open(rig, DISK_FILE, "writable=on,num-queues=2", without);
    other = ring_open(rig->front, 1);
    expect_works(rig->ring);
    r = request_make(rig->ring, VIRTIO_BLK_T_IN, 0, 512);
    fn(rig, &r);
    expect_broken(rig->ring);
    g_assert_cmpuint(*r.status, ==, STATUS_NONE);

    expect_write_and_read(other, 8, 0x42);
    rig->ring = restart(rig);
    expect_write_and_read(rig->ring, 16, 0x43);

    ring_free(other);
    rig_reconnect(rig, without);
    expect_works(rig->ring);
    rig_close(rig);
}

static void broken_split(const void *arg)
{
    Rig rig;

    broken_ring(&rig, ((const Break *)arg)->fn, SPLIT);
}

static void broken_packed(const void *arg)
{
    Rig rig;

    broken_ring(&rig, ((const Break *)arg)->fn, 0);
}

/*
 * Not an order that a driver may give them. The last byte is there to say so,
 * but to break is an answer too.
 */
static void writable_first(const void *arg)
{
    const Way *way = arg;
    RingBuf buf[3];
    Request r;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", way->without);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 512);
    buf[0] = buf_of(rig.front, r.data, 512, true);
    buf[1] = buf_of(rig.front, r.header, 16, false);
    buf[2] = buf_of(rig.front, r.status, 1, true);
    request_send_as(&r, buf, 3, way->indirect);
    ring_wait_any(rig.ring);
    g_assert_cmpuint(*r.status, !=, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

/* Two regions side by side are one memory to the guest. */
static void across_regions(const void *arg)
{
    const Way *way = arg;
    WireMemTable table;
    uint8_t disk[4096];
    int fds[2];
    Request w;
    Rig rig;

    rig.daemon = daemon_start(DISK_FILE, "writable=on");
    rig.front = front_connect(rig.daemon->socket);
    front_negotiate(rig.front,
                    ~(way->without | FRONT_BIT(VHOST_F_LOG_ALL)), ~0ull);
    front_memory_table(rig.front, &table);
    table.nr = 2;
    table.region[1] = table.region[0];
    table.region[0].bytes = table.region[1].bytes = FRONT_MEM_BYTES / 2;
    table.region[1].guest_addr += FRONT_MEM_BYTES / 2;
    table.region[1].user_addr += FRONT_MEM_BYTES / 2;
    table.region[1].mmap_off = FRONT_MEM_BYTES / 2;
    fds[0] = fds[1] = rig.front->mem_fd;
    front_ask(rig.front, WIRE_SET_MEM_TABLE, &table,
              8 + 2 * sizeof(WireRegion), fds, 2);
    rig.ring = ring_open(rig.front, 0);
    rig.front->mem_used = FRONT_MEM_BYTES / 2 - 2048;
    w = request_make(rig.ring, VIRTIO_BLK_T_OUT, 0, 0);
    rig.front->mem_used = FRONT_MEM_BYTES / 2 - 1536;
    w.data = front_alloc(rig.front, 4096, 512);
    w.bytes = 4096;
    memset(w.data, 0x4d, 4096);
    g_assert_cmpuint(request_run(&w, way->indirect), ==, VIRTIO_BLK_S_OK);
    daemon_peek(rig.daemon, disk, sizeof(disk), 0);
    g_assert_true(filled_with(disk, sizeof(disk), 0x4d));
    rig_close(&rig);
}

void add_chain_cases(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(split_breaks); i++) {
        case_add(broken_split, &split_breaks[i],
                 "chains: %s breaks that ring only (split)",
                 split_breaks[i].what);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(packed_breaks); i++) {
        case_add(broken_packed, &packed_breaks[i],
                 "chains: %s breaks that ring only (packed)",
                 packed_breaks[i].what);
    }
    case_add_in_each_way(writable_first,
                         "chains: writable before readable is no request");
    case_add_in_each_way(across_regions,
                         "chains: a buffer may cross two regions");
}
