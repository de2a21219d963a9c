/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: the configuration space, and the write cache it speaks of.
 */
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "rig.h"

#define WCE     offsetof(struct virtio_blk_config, wce)

static void fields(const void *arg)
{
    struct virtio_blk_config config;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on,num-queues=3,"
             "logical-block-size=4096", SPLIT);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.capacity, ==, DISK_SECTORS);
    g_assert_cmpuint(config.blk_size, ==, 4096);
    g_assert_cmpuint(config.num_queues, ==, 3);
    g_assert_cmpuint(config.seg_max, >, 0);
    /* Header and status take two descriptors of a chain. */
    g_assert_cmpuint(config.seg_max, <=, RING_MOST - 2);
    g_assert_cmpuint(config.max_discard_seg, >=, 1);
    g_assert_cmpuint(config.max_discard_sectors, >, 0);
    g_assert_cmpuint(config.discard_sector_alignment, >=, 8);
    g_assert_cmpuint(config.max_write_zeroes_seg, >=, 1);
    g_assert_cmpuint(config.max_write_zeroes_sectors, >, 0);
    rig_close(&rig);
}

static void any_part(const void *arg)
{
    struct virtio_blk_config config;
    const uint8_t *bytes = (const uint8_t *)&config;
    uint8_t part[8];
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_get_blk_config(rig.front, &config);
    for (unsigned offset = 0; offset + sizeof(part) <= 56; offset++) {
        g_assert_cmpuint(front_get_config(rig.front, offset, sizeof(part),
                                          part), ==, sizeof(part));
        g_assert_cmpmem(part, sizeof(part), bytes + offset, sizeof(part));
    }
    rig_close(&rig);
}

static void bad_range(const void *arg)
{
    uint8_t bytes[WIRE_MAX_CONFIG];
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    g_assert_cmpuint(front_get_config(rig.front, 200, 200, bytes), ==, 0);
    g_assert_cmpuint(front_get_config(rig.front, 0xffffffff, 8, bytes), ==, 0);
    g_assert_cmpuint(front_get_config(rig.front, 0xfffffffc, 8, bytes), ==, 0);
    expect_works(rig.ring);
    rig_close(&rig);
}

static void wce_is_true(const void *arg)
{
    struct virtio_blk_config config;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.wce, ==, 1);
    rig_close(&rig);
}

static uint8_t try_write(Rig *rig)
{
    Request w = request_make(rig->ring, VIRTIO_BLK_T_OUT, 0, 512);

    return request_run(&w, false);
}

static uint8_t try_flush(Rig *rig)
{
    Request f = request_make(rig->ring, VIRTIO_BLK_T_FLUSH, 0, 0);

    return request_run(&f, false);
}

/* A flush that fails shows whether one is made. */
static void writeback_does_not_flush(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_BAD_FLUSH, "writable=on", SPLIT);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpuint(try_flush(&rig), ==, VIRTIO_BLK_S_IOERR);
    rig_close(&rig);
}

static void wce_off_writes_through(const void *arg)
{
    struct virtio_blk_config config;
    uint8_t off = 0, on = 1;
    Rig rig;

    rig_open(&rig, DISK_BAD_FLUSH, "writable=on,config-wce=on", SPLIT);
    g_assert_cmpint(front_try_config(rig.front, WCE, 1, 0, &off), ==,
                    FRONT_ACCEPTED);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.wce, ==, 0);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_IOERR);

    g_assert_cmpint(front_try_config(rig.front, WCE, 1, 0, &on), ==,
                    FRONT_ACCEPTED);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.wce, ==, 1);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

static void writethrough_writes_through(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_BAD_FLUSH, "writable=on,writethrough=on", SPLIT);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_IOERR);
    rig_close(&rig);
}

/*
 * A driver without FLUSH cannot flush, so it was promised that what is
 * written is safe (virtio 1.1, 5.2.6.2).
 */
static void driver_without_flush(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_BAD_FLUSH, "writable=on",
             SPLIT | FRONT_BIT(VIRTIO_BLK_F_FLUSH) |
             FRONT_BIT(VIRTIO_BLK_F_CONFIG_WCE));
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_IOERR);
    rig_close(&rig);
}

/*
 * The same features may be another driver's: a firmware that knows no flush,
 * after one client and after another.
 */
static void features_that_stay(const void *arg)
{
    Rig rig;

    rig_open(&rig, DISK_BAD_FLUSH, "writable=on", SPLIT);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_OK);
    for (unsigned i = 0; i < 2; i++) {
        ring_free(rig.ring);
        front_close(rig.front);
        rig.front = front_connect(rig.daemon->socket);
        /* Features 0 are what a back-end starts from. */
        front_negotiate(rig.front, 0, i ? 0 : ~0ull);
        front_share_memory(rig.front);
        rig.ring = ring_open(rig.front, 0);
        g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_IOERR);
    }
    rig_close(&rig);
}

/* The client that comes next has a guest of its own. */
static void wce_off_ends_with_connection(const void *arg)
{
    struct virtio_blk_config config;
    uint8_t off = 0;
    Rig rig;

    rig_open(&rig, DISK_BAD_FLUSH, "writable=on,config-wce=on", SPLIT);
    g_assert_cmpint(front_try_config(rig.front, WCE, 1, 0, &off), ==,
                    FRONT_ACCEPTED);
    rig_reconnect(&rig, SPLIT);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.wce, ==, 1);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

/*
 * But for a guest that goes on: a front-end that can connect again without
 * losing requests has an in-flight region, and that remembers it. A guest that
 * was told that writes are not cached will never flush.
 */
static void wce_off_outlives_connection(const void *arg)
{
    struct virtio_blk_config config;
    WireInflight info = { .num_queues = 1, .queue_size = RING_DEFAULT };
    uint8_t off = 0;
    WireMsg reply;
    Rig rig;

    rig_open(&rig, DISK_BAD_FLUSH, "writable=on,config-wce=on", SPLIT);
    front_get_base(rig.front, 0);
    g_assert_true(front_send(rig.front, WIRE_GET_INFLIGHT_FD, 0, &info,
                             sizeof(info), NULL, 0));
    g_assert_true(front_receive(rig.front, &reply));
    info.mmap_bytes = reply.inflight.mmap_bytes;
    front_ask(rig.front, WIRE_SET_INFLIGHT_FD, &info, sizeof(info), &reply.fd,
              1);
    g_assert_cmpint(front_try_config(rig.front, WCE, 1, 0, &off), ==,
                    FRONT_ACCEPTED);
    ring_free(rig.ring);
    front_close(rig.front);

    rig.front = front_open(rig.daemon->socket, SPLIT);
    front_ask(rig.front, WIRE_SET_INFLIGHT_FD, &info, sizeof(info), &reply.fd,
              1);
    close(reply.fd);
    rig.ring = ring_open(rig.front, 0);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.wce, ==, 0);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_IOERR);
    rig_close(&rig);
}

/* The feature is not offered, but the guest has it since before. */
static void wce_taken_unoffered(const void *arg)
{
    uint8_t on = 1;
    Rig rig;

    rig.daemon = daemon_start(DISK_BAD_FLUSH, "writable=on");
    rig.front = front_open(rig.daemon->socket, SPLIT);
    front_ask_u64(rig.front, WIRE_SET_FEATURES, rig.front->features |
                  FRONT_BIT(VIRTIO_BLK_F_CONFIG_WCE));
    rig.ring = ring_open(rig.front, 0);
    /* What it chose is not known. */
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(front_try_config(rig.front, WCE, 1, 0, &on), ==,
                    FRONT_ACCEPTED);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

static uint64_t transfer(Front *front, uint32_t direction, int fd)
{
    const WireTransfer what = { .direction = direction };
    WireMsg reply;

    g_assert_true(front_send(front, WIRE_SET_DEVICE_STATE_FD, 0, &what,
                             sizeof(what), &fd, 1));
    close(fd);
    g_assert_true(front_receive(front, &reply));
    g_assert_cmpint(reply.fd, ==, -1);
    return reply.u64;
}

/* As Cloud Hypervisor migrates: from one daemon's export to another's. */
static void wce_off_migrates(const void *arg)
{
    uint8_t off = 0, state[256];
    int ends[2];
    ssize_t bytes;
    Rig rig;

    rig_open(&rig, DISK_BAD_FLUSH, "writable=on,config-wce=on", SPLIT);
    g_assert_cmpint(front_try_config(rig.front, WCE, 1, 0, &off), ==,
                    FRONT_ACCEPTED);
    ring_enable(rig.ring, false);
    g_assert_cmpint(pipe(ends), ==, 0);
    /* Not while a ring is started. */
    g_assert_cmphex(transfer(rig.front, 0, dup(ends[1])) & 0xff, !=, 0);
    front_get_base(rig.front, 0);
    g_assert_cmphex(transfer(rig.front, 0, ends[1]), ==, WIRE_TRANSFER_NO_FD);
    bytes = read(ends[0], state, sizeof(state));
    g_assert_cmpint(bytes, >, 0);
    g_assert_cmpint(read(ends[0], state + bytes, 1), ==, 0);
    close(ends[0]);
    g_assert_cmpuint(front_get_u64(rig.front, WIRE_CHECK_DEVICE_STATE), ==, 0);
    ring_free(rig.ring);
    front_close(rig.front);

    rig.front = front_open(rig.daemon->socket, SPLIT);
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_cmphex(transfer(rig.front, 1, ends[0]), ==, WIRE_TRANSFER_NO_FD);
    g_assert_cmpint(write(ends[1], state, bytes), ==, bytes);
    close(ends[1]);
    g_assert_cmpuint(front_get_u64(rig.front, WIRE_CHECK_DEVICE_STATE), ==, 0);
    rig.ring = ring_open(rig.front, 0);
    g_assert_cmpuint(try_write(&rig), ==, VIRTIO_BLK_S_IOERR);
    rig_close(&rig);
}

static void read_only_fields(const void *arg)
{
    struct virtio_blk_config before, after;
    uint64_t capacity = 1;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_get_blk_config(rig.front, &before);
    g_assert_cmpint(front_try_config(rig.front, 0, 8, 0, &capacity), ==,
                    FRONT_REFUSED);
    g_assert_cmpint(front_try_config(rig.front, WCE, 2, 0, &capacity), ==,
                    FRONT_REFUSED);
    g_assert_cmpint(front_try_config(rig.front, 255, 8, 0, &capacity), ==,
                    FRONT_REFUSED);
    front_get_blk_config(rig.front, &after);
    g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
    expect_works(rig.ring);
    rig_close(&rig);
}

static void resize_is_told(const void *arg)
{
    struct virtio_blk_config config;
    Request r;
    WireMsg msg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_open_channel(rig.front);
    daemon_qmp(rig.daemon, "{\"execute\": \"block_resize\", \"arguments\": "
               "{\"node-name\": \"disk\", \"size\": 33554432}}");
    g_assert_true(front_channel_receive(rig.front, &msg, patience_ms()));
    g_assert_cmpuint(msg.header.request, ==, WIRE_BACKEND_CONFIG_CHANGE);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.capacity, ==, 2 * DISK_SECTORS);
    r = request_make(rig.ring, VIRTIO_BLK_T_IN, 2 * DISK_SECTORS - 1, 512);
    g_assert_cmpuint(request_run(&r, false), ==, VIRTIO_BLK_S_OK);
    rig_close(&rig);
}

/* Nobody listens: no channel, so nothing to send it to. */
static void resize_without_channel(const void *arg)
{
    struct virtio_blk_config config;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    daemon_qmp(rig.daemon, "{\"execute\": \"block_resize\", \"arguments\": "
               "{\"node-name\": \"disk\", \"size\": 33554432}}");
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.capacity, ==, 2 * DISK_SECTORS);
    expect_works(rig.ring);
    rig_close(&rig);
}

/* A channel that is full must not hold up the daemon. */
static void resize_with_full_channel(const void *arg)
{
    struct virtio_blk_config config;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_open_channel(rig.front);
    for (unsigned i = 0; i < 2000; i++) {
        g_autofree char *command = g_strdup_printf(
            "{\"execute\": \"block_resize\", \"arguments\": "
            "{\"node-name\": \"disk\", \"size\": %u}}",
            DISK_BYTES + 512 * (i + 1));

        daemon_qmp(rig.daemon, command);
    }
    expect_works(rig.ring);
    front_get_blk_config(rig.front, &config);
    g_assert_cmpuint(config.capacity, ==, DISK_SECTORS + 2000);
    rig_close(&rig);
}

void add_config_cases(void)
{
    case_add(fields, NULL, "config: its fields describe the disk");
    case_add(any_part, NULL, "config: any part can be read");
    case_add(bad_range, NULL, "config: a bad range is answered with size 0");
    case_add(wce_is_true, NULL,
             "config: wce says 1 while writes are cached");
    case_add(writeback_does_not_flush, NULL,
             "config: with wce 1 a write does not flush, a flush does");
    case_add(wce_off_writes_through, NULL,
             "config: with wce 0 each write is flushed before it is done");
    case_add(writethrough_writes_through, NULL,
             "config: a write-through disk flushes each write");
    case_add(driver_without_flush, NULL,
             "config: a driver without FLUSH gets each write flushed");
    case_add(features_that_stay, NULL,
             "config: a client that knows no features gets no cache");
    case_add(wce_off_ends_with_connection, NULL,
             "config: wce 0 is not the next client's");
    case_add(wce_off_outlives_connection, NULL,
             "config: wce 0 outlives the connection of a guest that goes on");
    case_add(wce_taken_unoffered, NULL,
             "config: a guest that can switch the cache since before may");
    case_add(wce_off_migrates, NULL,
             "config: wce 0 goes along with the device's state");
    case_add(read_only_fields, NULL,
             "config: writes to all but wce are refused");
    case_add(resize_is_told, NULL,
             "config: a resize is told, and the new size is there");
    case_add(resize_without_channel, NULL,
             "config: a resize needs no channel to tell it");
    case_add(resize_with_full_channel, NULL,
             "config: a channel nobody reads holds nothing up");
}
