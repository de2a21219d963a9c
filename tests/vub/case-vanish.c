/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: shared memory that is taken away while it is in use.
 *
 * A file that becomes shorter stands for a page with a memory error and for
 * huge pages that are used up: the back-end gets the same signal. Whatever
 * used such memory must not be acknowledged: the client is cut, and does with
 * its next connection what was in flight.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cases.h"
#include "keep.h"

#define SPARE_GUEST     0x200000000ull
#define SPARE_USER      0x700000000000ull
#define SPARE_BYTES     (1u << 20)

typedef struct Spare {
    Keep keep;
    Rig *rig;
    const Way *way;
    int fd;
} Spare;

static void share_spare(Spare *spare)
{
    WireMemReg reg = { 0, { SPARE_GUEST, SPARE_BYTES, SPARE_USER, 0 } };

    front_ask(spare->rig->front, WIRE_ADD_MEM_REG, &reg, sizeof(reg),
              &spare->fd, 1);
}

/* A ring that runs, in-flight tracking, and memory beside that of the ring. */
static void spare_open(Spare *spare, DiskKind kind, const Way *way)
{
    *spare = (Spare) { .way = way, .fd = memory_file(SPARE_BYTES) };
    keep_open(&spare->keep, kind, way, 1);
    spare->rig = &spare->keep.rig;
    share_spare(spare);
    keep_start(&spare->keep);
    expect_write_and_read(spare->rig->ring, 64, 0x31);
}

static void spare_close(Spare *spare)
{
    close(spare->fd);
    keep_close(&spare->keep);
}

static void fill(Spare *spare, uint8_t byte)
{
    uint8_t data[8192];

    memset(data, byte, sizeof(data));
    g_assert_cmpint(pwrite(spare->fd, data, sizeof(data), 0), ==,
                    sizeof(data));
}

static void take_away(int fd)
{
    g_assert_cmpint(ftruncate(fd, 0), ==, 0);
}

static void expect_cut(Front *front)
{
    WireMsg msg;

    if (front_receive(front, &msg)) {
        g_error("a message came, and not the end of the connection");
    }
}

static void expect_not_given_back(Request *r)
{
    g_assert_cmpuint(ring_reap(r->ring), ==, 0);
    g_assert_cmphex(*r->status, ==, STATUS_NONE);
}

/* The same client once more, with what it has in flight. */
static void come_again(Spare *spare)
{
    front_return(spare->rig->front, spare->rig->daemon->socket);
    share_spare(spare);
    keep_hand_over(&spare->keep);
    keep_start(&spare->keep);
}

/* Its data, @off bytes into the spare memory, go; then they are back. */
static void write_from(Spare *spare, uint64_t off)
{
    uint8_t disk[4096];
    Request w = request_make(spare->rig->ring, VIRTIO_BLK_T_OUT, 0, 0);

    fill(spare, 0xab);
    take_away(spare->fd);
    w.bytes = 4096;
    request_send_as(&w, (RingBuf[]) {
        buf_of(spare->rig->front, w.header, sizeof(*w.header), false),
        { SPARE_GUEST + off, 4096, false },
        buf_of(spare->rig->front, w.status, 1, true),
    }, 3, spare->way->indirect);
    expect_cut(spare->rig->front);
    expect_not_given_back(&w);

    g_assert_cmpint(ftruncate(spare->fd, SPARE_BYTES), ==, 0);
    fill(spare, 0xcd);
    come_again(spare);
    g_assert_cmpuint(request_wait(&w), ==, VIRTIO_BLK_S_OK);
    daemon_peek(spare->rig->daemon, disk, sizeof(disk), 0);
    g_assert_true(filled_with(disk, sizeof(disk), 0xcd));
    expect_works(spare->rig->ring);
}

static void data_of_write(const void *way)
{
    Spare spare;

    spare_open(&spare, DISK_FILE, way);
    write_from(&spare, 0);
    spare_close(&spare);
}

/* Data that the drive can't take as they lie are copied by a worker. */
static void data_of_write_in_worker(const void *way)
{
    g_autofree char *path = g_build_filename(case_dir(), "direct", NULL);
    int fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
    Spare spare;

    if (fd < 0) {
        g_assert_cmpint(errno, ==, EINVAL);
        return;                 /* a file system that has no O_DIRECT */
    }
    close(fd);
    spare_open(&spare, DISK_DIRECT, way);
    write_from(&spare, 1);
    spare_close(&spare);
}

/* There it's the kernel that finds no memory, and says so by an error. */
static void data_of_read(const void *way)
{
    const uint8_t disk[4096] = { [0 ... 4095] = 0x5a };
    uint8_t data[4096];
    Request r;
    Spare spare;

    spare_open(&spare, DISK_FILE, way);
    daemon_poke(spare.rig->daemon, disk, sizeof(disk), 0);
    take_away(spare.fd);
    r = request_make(spare.rig->ring, VIRTIO_BLK_T_IN, 0, 0);
    r.bytes = 4096;
    request_send_as(&r, (RingBuf[]) {
        buf_of(spare.rig->front, r.header, sizeof(*r.header), false),
        { SPARE_GUEST, 4096, true },
        buf_of(spare.rig->front, r.status, 1, true),
    }, 3, spare.way->indirect);
    expect_cut(spare.rig->front);
    expect_not_given_back(&r);

    g_assert_cmpint(ftruncate(spare.fd, SPARE_BYTES), ==, 0);
    come_again(&spare);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpint(pread(spare.fd, data, sizeof(data), 0), ==, sizeof(data));
    g_assert_true(filled_with(data, sizeof(data), 0x5a));
    spare_close(&spare);
}

/* A header of zeroes would be a read of sector 0. */
static void header(const void *way)
{
    Request r;
    Spare spare;

    spare_open(&spare, DISK_FILE, way);
    take_away(spare.fd);
    r = request_make(spare.rig->ring, VIRTIO_BLK_T_IN, 0, 512);
    request_send_as(&r, (RingBuf[]) {
        { SPARE_GUEST, sizeof(*r.header), false },
        buf_of(spare.rig->front, r.data, r.bytes, true),
        buf_of(spare.rig->front, r.status, 1, true),
    }, 3, spare.way->indirect);
    expect_cut(spare.rig->front);
    expect_not_given_back(&r);
    spare_close(&spare);
}

/* What follows from half a header is not done. */
static void half_a_header(const void *way)
{
    struct virtio_blk_outhdr half = { .type = VIRTIO_BLK_T_OUT };
    uint8_t disk[512];
    Request w;
    Spare spare;

    spare_open(&spare, DISK_FILE, way);
    take_away(spare.fd);
    w = request_make(spare.rig->ring, VIRTIO_BLK_T_OUT, 0, 512);
    *w.header = half;
    memset(w.data, 0xee, 512);
    /* The sector is in what was taken away. */
    request_send_as(&w, (RingBuf[]) {
        buf_of(spare.rig->front, w.header, 8, false),
        { SPARE_GUEST, 8, false },
        buf_of(spare.rig->front, w.data, 512, false),
        buf_of(spare.rig->front, w.status, 1, true),
    }, 4, spare.way->indirect);
    expect_cut(spare.rig->front);
    expect_not_given_back(&w);
    daemon_peek(spare.rig->daemon, disk, sizeof(disk), 0);
    g_assert_true(filled_with(disk, sizeof(disk), 0));
    spare_close(&spare);
}

static void status(const void *way)
{
    Request w;
    Spare spare;

    spare_open(&spare, DISK_FILE, way);
    take_away(spare.fd);
    w = request_make(spare.rig->ring, VIRTIO_BLK_T_OUT, 0, 512);
    request_send_as(&w, (RingBuf[]) {
        buf_of(spare.rig->front, w.header, sizeof(*w.header), false),
        buf_of(spare.rig->front, w.data, w.bytes, false),
        { SPARE_GUEST, 1, true },
    }, 3, spare.way->indirect);
    expect_cut(spare.rig->front);
    expect_not_given_back(&w);
    spare_close(&spare);
}

/* All there is, with the ring in it: nobody finds anything queued any more. */
static void all_memory(const void *way)
{
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", ((const Way *)way)->without);
    expect_works(rig.ring);
    take_away(rig.front->mem_fd);
    ring_kick(rig.ring);
    expect_cut(rig.front);
    g_assert_cmpint(ftruncate(rig.front->mem_fd, FRONT_MEM_BYTES), ==, 0);
    rig_reconnect(&rig, ((const Way *)way)->without);
    expect_works(rig.ring);
    rig_close(&rig);
}

/* What was written, and where nobody says so, is not given back either. */
static void dirty_log(const void *way)
{
    WireLog log = { .bytes = SPARE_BYTES };
    int fd = memory_file(SPARE_BYTES);
    WireMsg reply;
    Request r;
    Spare spare;

    spare_open(&spare, DISK_FILE, way);
    front_send(spare.rig->front, WIRE_SET_LOG_BASE, 0, &log, sizeof(log),
               &fd, 1);
    g_assert_true(front_receive(spare.rig->front, &reply));
    front_ask_u64(spare.rig->front, WIRE_SET_FEATURES,
                  spare.rig->front->features | FRONT_BIT(VHOST_F_LOG_ALL));
    take_away(fd);
    r = request_make(spare.rig->ring, VIRTIO_BLK_T_IN, 0, 512);
    request_send(&r, spare.way->indirect);
    expect_cut(spare.rig->front);
    g_assert_cmpuint(ring_reap(r.ring), ==, 0);
    close(fd);
    spare_close(&spare);
}

static void in_flight_region(const void *way)
{
    int fd = memory_file(SPARE_BYTES);
    WireInflight info = {
        .mmap_bytes = SPARE_BYTES, .num_queues = 1,
        .queue_size = RING_DEFAULT,
    };
    Request r;
    Rig rig;

    rig.daemon = daemon_start(DISK_FILE, "writable=on");
    rig.front = front_open(rig.daemon->socket, ((const Way *)way)->without);
    front_ask(rig.front, WIRE_SET_INFLIGHT_FD, &info, sizeof(info), &fd, 1);
    rig.ring = ring_open(rig.front, 0);
    expect_works(rig.ring);
    take_away(fd);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 0, 512);
    request_send(&r, ((const Way *)way)->indirect);
    expect_cut(rig.front);
    g_assert_cmpuint(ring_reap(r.ring), ==, 0);
    rig_reconnect(&rig, ((const Way *)way)->without);
    expect_works(rig.ring);
    close(fd);
    rig_close(&rig);
}

void add_vanish_cases(void)
{
    case_add_in_each_way(data_of_write,
                         "vanish: a write whose data go is done again");
    case_add_in_each_way(data_of_read,
                         "vanish: a read whose place goes is done again");
    case_add_in_each_way(half_a_header,
                         "vanish: half a header leads to nothing");
    for (unsigned i = 0; i < NR_WAYS; i += 2) {
        const Way *way = &ways[i];

        case_add(data_of_write_in_worker, way,
                 "vanish: a worker may find it out (%s)", way->name);
        case_add(header, way, "vanish: a header that goes (%s)", way->name);
        case_add(status, way, "vanish: a status that goes (%s)", way->name);
        case_add(all_memory, way, "vanish: all memory (%s)", way->name);
        case_add(dirty_log, way, "vanish: the log (%s)", way->name);
        case_add(in_flight_region, way, "vanish: the in-flight buffer (%s)",
                 way->name);
    }
}
