/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: the log of what the back-end writes, for migration.
 */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"
#include "rig.h"

/* A bit for each page from address 0 to the end of the memory. */
#define LOG_BYTES \
    ((FRONT_GUEST_BASE + FRONT_MEM_BYTES) / WIRE_LOG_PAGE / 8)
#define LOG_OFF     8192        /* where in its file the log begins */

typedef struct LogRig {
    Rig rig;
    uint8_t *log;
    uint8_t *wanted;            /* what must be in it */
} LogRig;

static FrontOutcome try_log(Front *front, uint64_t bytes, uint64_t off, int fd)
{
    WireLog log = { bytes, off };
    WireMsg reply;

    /* It has a reply of its own, whether one is asked for or not. */
    if (!front_send(front, WIRE_SET_LOG_BASE, WIRE_NEED_REPLY, &log,
                    sizeof(log), &fd, 1) ||
        !front_receive(front, &reply)) {
        return FRONT_CLOSED;
    }
    g_assert_cmpuint(reply.header.request, ==, WIRE_SET_LOG_BASE);
    return reply.header.size == 8 && reply.u64 ? FRONT_REFUSED
                                               : FRONT_ACCEPTED;
}

static void want(LogRig *lr, const void *ptr, size_t bytes)
{
    uint64_t first = front_gpa(lr->rig.front, ptr) / WIRE_LOG_PAGE;
    uint64_t last = (front_gpa(lr->rig.front, ptr) + bytes - 1) /
                    WIRE_LOG_PAGE;

    for (uint64_t page = first; page <= last; page++) {
        lr->wanted[page / 8] |= 1 << page % 8;
    }
}

static void start_logging(LogRig *lr)
{
    Front *front = lr->rig.front;
    struct vhost_vring_addr address;

    front_ask_u64(front, WIRE_SET_FEATURES,
                  front->features | FRONT_BIT(VHOST_F_LOG_ALL));
    ring_address(lr->rig.ring, &address);
    address.flags = 1 << VHOST_VRING_F_LOG;
    address.log_guest_addr = front_gpa(front, lr->rig.ring->packed
                                              ? (void *)lr->rig.ring->device
                                              : (void *)lr->rig.ring->used);
    front_ask(front, WIRE_SET_VRING_ADDR, &address, sizeof(address), NULL, 0);
}

static void open_log(LogRig *lr, const Way *way)
{
    int fd = memory_file(LOG_OFF + LOG_BYTES);
    FrontOutcome outcome;

    rig_open(&lr->rig, DISK_FILE, "writable=on", way->without);
    expect_write_and_read(lr->rig.ring, 0, 0x7d);
    lr->log = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                   LOG_OFF);
    g_assert_true(lr->log != MAP_FAILED);
    lr->wanted = g_malloc0(LOG_BYTES);
    outcome = try_log(lr->rig.front, LOG_BYTES, LOG_OFF, fd);
    g_assert_cmpint(outcome, !=, FRONT_CLOSED);
    g_assert_cmpint(outcome, ==, FRONT_ACCEPTED);
    start_logging(lr);
    close(fd);
}

static void expect_log(LogRig *lr)
{
    front_get_base(lr->rig.front, 0);
    for (size_t i = 0; i < LOG_BYTES; i++) {
        if (lr->log[i] != lr->wanted[i]) {
            unsigned page = i * 8 - FRONT_GUEST_BASE / WIRE_LOG_PAGE;

            g_error("the log for page %u of the memory on is %02x, not %02x",
                    page, lr->log[i], lr->wanted[i]);
        }
    }
}

static void close_log(LogRig *lr)
{
    munmap(lr->log, LOG_BYTES);
    g_free(lr->wanted);
    rig_close(&lr->rig);
}

/* Where the ring is written to; it has its pages to itself. */
static void want_ring(LogRig *lr)
{
    FrontRing *ring = lr->rig.ring;

    if (ring->packed) {
        want(lr, ring->pdesc, 16);
    } else {
        want(lr, ring->used, 4);
    }
}

/* Header, data and status on pages of their own. */
static Request spread_request(FrontRing *ring, uint32_t type, uint32_t bytes)
{
    Request r;

    ring->front->mem_used += 4 * WIRE_LOG_PAGE;
    r = request_make(ring, type, 0, 0);
    r.bytes = bytes;
    r.data = front_alloc(ring->front, bytes, WIRE_LOG_PAGE);
    r.status = front_alloc(ring->front, 1, WIRE_LOG_PAGE);
    *r.status = STATUS_NONE;
    ring->front->mem_used += 4 * WIRE_LOG_PAGE;
    return r;
}

static void read_is_logged(const void *arg)
{
    const Way *way = arg;
    Request r;
    LogRig lr;

    open_log(&lr, way);
    r = spread_request(lr.rig.ring, VIRTIO_BLK_T_IN, 5 * 4096);
    g_assert_cmpuint(request_run(&r, way->indirect), ==, VIRTIO_BLK_S_OK);
    want(&lr, r.data, r.bytes);
    want(&lr, r.status, 1);
    want_ring(&lr);
    expect_log(&lr);
    close_log(&lr);
}

static void write_is_not(const void *arg)
{
    const Way *way = arg;
    Request w;
    LogRig lr;

    open_log(&lr, way);
    w = spread_request(lr.rig.ring, VIRTIO_BLK_T_OUT, 5 * 4096);
    g_assert_cmpuint(request_run(&w, way->indirect), ==, VIRTIO_BLK_S_OK);
    want(&lr, w.status, 1);
    want_ring(&lr);
    expect_log(&lr);
    close_log(&lr);
}

/* What was refused has written nothing, however much there was room for. */
static void refused_is_not(const void *arg)
{
    const Way *way = arg;
    Request r, id;
    LogRig lr;

    open_log(&lr, way);
    r = spread_request(lr.rig.ring, VIRTIO_BLK_T_IN, 5 * 4096);
    r.header->sector = DISK_SECTORS;
    g_assert_cmpuint(request_run(&r, way->indirect), ==, VIRTIO_BLK_S_IOERR);
    want(&lr, r.status, 1);
    id = spread_request(lr.rig.ring, VIRTIO_BLK_T_GET_ID, 5 * 4096);
    g_assert_cmpuint(request_run(&id, way->indirect), ==, VIRTIO_BLK_S_OK);
    want(&lr, id.data, 20);
    want(&lr, id.status, 1);
    want_ring(&lr);
    expect_log(&lr);
    close_log(&lr);
}

static void off_is_off(const void *arg)
{
    const Way *way = arg;
    struct vhost_vring_addr address;
    LogRig lr;

    open_log(&lr, way);
    front_ask_u64(lr.rig.front, WIRE_SET_FEATURES, lr.rig.front->features);
    ring_address(lr.rig.ring, &address);
    front_ask(lr.rig.front, WIRE_SET_VRING_ADDR, &address, sizeof(address),
              NULL, 0);
    memset(lr.log, 0, LOG_BYTES);
    expect_works(lr.rig.ring);
    expect_log(&lr);
    close_log(&lr);
}

static void switched_under_load(const void *arg)
{
    const Way *way = arg;
    Request r[16];
    LogRig lr;

    open_log(&lr, way);
    for (unsigned round = 0; round < 20; round++) {
        size_t mem = lr.rig.front->mem_used;

        for (unsigned i = 0; i < G_N_ELEMENTS(r); i++) {
            r[i] = request_make(lr.rig.ring, VIRTIO_BLK_T_IN, i, 4096);
            request_send(&r[i], way->indirect);
        }
        front_ask_u64(lr.rig.front, WIRE_SET_FEATURES, lr.rig.front->features);
        start_logging(&lr);
        ring_wait_all(lr.rig.ring);
        lr.rig.front->mem_used = mem;
    }
    memset(lr.log, 0, LOG_BYTES);
    r[0] = spread_request(lr.rig.ring, VIRTIO_BLK_T_IN, 512);
    g_assert_cmpuint(request_run(&r[0], way->indirect), ==, VIRTIO_BLK_S_OK);
    want(&lr, r[0].data, 512);
    want(&lr, r[0].status, 1);
    want_ring(&lr);
    expect_log(&lr);
    close_log(&lr);
}

static void bad_log(const void *arg)
{
    int fd = memory_file(LOG_BYTES);
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    g_assert_cmpint(try_log(rig.front, LOG_BYTES, 4096, fd), ==,
                    FRONT_REFUSED);
    g_assert_cmpint(try_log(rig.front, UINT64_MAX, 0, fd), ==, FRONT_REFUSED);
    g_assert_cmpint(try_log(rig.front, 4096, UINT64_MAX - 4095, fd), ==,
                    FRONT_REFUSED);
    g_assert_cmpint(try_log(rig.front, 0, 0, fd), ==, FRONT_REFUSED);
    expect_works(rig.ring);
    close(fd);
    rig_close(&rig);
}

/* A log for less than the memory: no page may be marked outside of it. */
static void small_log(const void *arg)
{
    int fd = memory_file(4096);
    FrontOutcome outcome;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    outcome = try_log(rig.front, 4096, 0, fd);
    g_assert_cmpint(outcome, !=, FRONT_CLOSED);
    if (outcome == FRONT_ACCEPTED) {
        uint64_t features = rig.front->features |
                            FRONT_BIT(VHOST_F_LOG_ALL);

        front_try(rig.front, WIRE_SET_FEATURES, &features, 8, NULL, 0);
        ring_kick(rig.ring);
    }
    expect_works(rig.ring);
    close(fd);
    rig_close(&rig);
}

void add_log_cases(void)
{
    case_add_in_each_way(read_is_logged,
                         "log: what a read wrote, exactly");
    case_add_in_each_way(write_is_not, "log: a write marks no data");
    case_add_in_each_way(refused_is_not,
                         "log: what was refused marks no data");
    case_add_in_each_way(off_is_off, "log: nothing, when it is off");
    case_add_in_each_way(switched_under_load,
                         "log: on and off while requests are under way");
    case_add(bad_log, NULL, "log: refused is one that is not in its file");
    case_add(small_log, NULL,
             "log: one too small for the memory does no harm");
}
