/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-device*: what the messages of a good front-end do to its
 * rings, from the first one to the disconnect.
 */
#include <linux/vhost.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device-rig.h"

#define PROTOCOL (1ull << VUB_F_PROTOCOL_FEATURES)
#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define PACKED (1ull << VIRTIO_F_RING_PACKED)
#define LOG_ALL (1ull << VHOST_F_LOG_ALL)

/* How many files in memory are mapped. */
static unsigned count_maps(void)
{
    g_autofree char *maps = NULL;
    unsigned nr = 0;

    g_assert_true(g_file_get_contents("/proc/self/maps", &maps, NULL, NULL));
    for (const char *at = maps; (at = strstr(at, "/memfd:")); at++) {
        nr++;
    }
    return nr;
}

static void test_gets(void)
{
    DeviceRig *rig = device_rig_new();

    g_assert_true(device_rig_send(rig, VUB_GET_FEATURES, NULL, 0, NULL, 0));
    g_assert_true(rig->has_reply);
    g_assert_cmphex(rig->reply.payload.u64, ==, VERSION_1 | PACKED |
                    1ull << VIRTIO_RING_F_EVENT_IDX | PROTOCOL | LOG_ALL);
    g_assert_cmpuint(rig->reply.header.payload_bytes, ==, 8);
    g_assert_true(device_rig_send(rig, VUB_GET_PROTOCOL_FEATURES, NULL, 0,
                                  NULL, 0));
    g_assert_cmphex(rig->reply.payload.u64, ==, 0x8922b);
    g_assert_true(device_rig_send(rig, VUB_GET_QUEUE_NUM, NULL, 0, NULL, 0));
    g_assert_cmpuint(rig->reply.payload.u64, ==, RIG_QUEUES);
    g_assert_true(device_rig_send(rig, VUB_GET_MAX_MEM_SLOTS, NULL, 0, NULL,
                                  0));
    g_assert_cmpuint(rig->reply.payload.u64, ==, 509);
    g_assert_true(device_rig_send_u64(rig, VUB_SET_PROTOCOL_FEATURES, 0x8922b));
    g_assert_false(rig->has_reply);
    g_assert_cmphex(rig->dev.protocol_features, ==, 0x8922b);
    g_assert_true(device_rig_send(rig, VUB_SET_OWNER, NULL, 0, NULL, 0));
    g_assert_true(device_rig_send(rig, VUB_RESET_OWNER, NULL, 0, NULL, 0));
    g_assert_cmpuint(rig->nr_calls, ==, 0);
    device_rig_free(rig);
}

/* Set up, kick, stop, and from the base on again; each queue for itself. */
static void test_life(void)
{
    DeviceRig *rig = device_rig_new();

    device_rig_guest(rig, VERSION_1 | PROTOCOL);
    g_assert_cmphex(rig->features, ==, VERSION_1 | PROTOCOL);
    g_assert_true(device_rig_send_state(rig, VUB_SET_VRING_BASE, 1, 77));
    g_assert_true(device_rig_start(rig, 1));
    g_assert_true(rig->started[1] && !rig->started[0] && !rig->started[2]);
    g_assert_false(rig->enabled[1]);
    g_assert_cmpuint(rig->rings[1].last_avail, ==, 77);
    g_assert_cmpuint(rig->rings[1].num, ==, 16);
    g_assert_true(device_rig_send_state(rig, VUB_SET_VRING_ENABLE, 1, 1));
    g_assert_true(rig->enabled[1] && !rig->enabled[0]);
    g_assert_true(device_rig_send_state(rig, VUB_SET_VRING_ENABLE, 1, 0));
    g_assert_false(rig->enabled[1]);

    rig->rings[1].last_avail = 80;
    g_assert_true(device_rig_send_state(rig, VUB_GET_VRING_BASE, 1, 0));
    g_assert_true(rig->has_reply);
    g_assert_cmpuint(rig->reply.payload.state.index, ==, 1);
    g_assert_cmpuint(rig->reply.payload.state.num, ==, 80);
    g_assert_false(rig->started[1]);
    g_assert_cmpint(rig->kick[1], ==, -1);
    g_assert_cmpint(rig->call[1], ==, -1);
    /* Of a ring that is stopped, too. */
    g_assert_true(device_rig_send_state(rig, VUB_GET_VRING_BASE, 1, 0));
    g_assert_cmpuint(rig->reply.payload.state.num, ==, 80);

    g_assert_true(device_rig_start(rig, 1));
    g_assert_cmpuint(rig->rings[1].last_avail, ==, 80);
    g_assert_true(device_rig_start(rig, 0));
    device_rig_free(rig);
}

/* Also those that were there: who knows which driver has taken them now. */
static void test_features_again(void)
{
    DeviceRig *rig = device_rig_new();
    unsigned nr_calls;

    device_rig_guest(rig, VERSION_1 | PROTOCOL);
    rig->features = 0;
    nr_calls = rig->nr_calls;
    g_assert_true(device_rig_send_u64(rig, VUB_SET_FEATURES,
                                      VERSION_1 | PROTOCOL));
    g_assert_cmphex(rig->features, ==, VERSION_1 | PROTOCOL);
    g_assert_cmpuint(rig->nr_calls, ==, nr_calls + 1);
    device_rig_free(rig);

    rig = device_rig_new();
    rig->features = 1;
    g_assert_true(device_rig_send_u64(rig, VUB_SET_FEATURES, 0));
    g_assert_cmphex(rig->features, ==, 0);
    device_rig_free(rig);
}

/* Not offered, but a guest may have it since before: only with a cache. */
static void test_config_wce_kept(void)
{
    const uint64_t flush = 1ull << VIRTIO_BLK_F_FLUSH;
    const uint64_t wce = 1ull << VIRTIO_BLK_F_CONFIG_WCE;
    DeviceRig *rig = device_rig_new();

    g_assert_false(device_rig_send_u64(rig, VUB_SET_FEATURES, wce));
    rig->dev.offered_features |= flush;
    g_assert_true(device_rig_send_u64(rig, VUB_SET_FEATURES, flush | wce));
    g_assert_cmphex(rig->features, ==, flush | wce);
    device_rig_free(rig);
}

/* A front-end that knows of no protocol features can't enable rings. */
static void test_enabled_at_once(void)
{
    DeviceRig *rig = device_rig_new();

    device_rig_guest(rig, VERSION_1);
    for (unsigned i = 0; i < RIG_QUEUES; i++) {
        g_assert_true(rig->enabled[i]);
    }
    g_assert_true(device_rig_start(rig, 0));
    g_assert_true(rig->enabled[0]);
    device_rig_free(rig);

    /* Nor one that sends no features at all. */
    rig = device_rig_new();
    device_rig_guest(rig, PROTOCOL);
    g_assert_false(rig->enabled[0]);
    rig->dev.features = 0;
    g_assert_true(device_rig_start(rig, 0));
    g_assert_true(rig->enabled[0]);
    device_rig_free(rig);
}

/* New descriptors under a running ring: the old ones are closed. */
static void test_fds(void)
{
    DeviceRig *rig = device_rig_new();
    int fd;

    device_rig_guest(rig, VERSION_1 | PROTOCOL);
    g_assert_true(device_rig_start(rig, 0));
    for (unsigned i = 0; i < 10; i++) {
        fd = device_rig_event();
        g_assert_true(device_rig_send_fd(rig, VUB_SET_VRING_KICK, 0, fd));
        g_assert_cmpint(rig->kick[0], ==, fd);
        fd = device_rig_event();
        g_assert_true(device_rig_send_fd(rig, VUB_SET_VRING_CALL, 0, fd));
        g_assert_cmpint(rig->call[0], ==, fd);
        fd = device_rig_event();
        g_assert_true(device_rig_send_fd(rig, VUB_SET_VRING_ERR, 2, fd));
        g_assert_cmpint(rig->err[2], ==, fd);
        fd = device_rig_event();
        g_assert_true(device_rig_send(rig, VUB_SET_BACKEND_REQ_FD, NULL, 0,
                                      &fd, 1));
        g_assert_cmpint(rig->backend_fd, ==, fd);
    }
    g_assert_true(rig->started[0]);
    g_assert_true(device_rig_send_fd(rig, VUB_SET_VRING_CALL, 0, -1));
    g_assert_cmpint(rig->call[0], ==, -1);
    g_assert_true(device_rig_send_fd(rig, VUB_SET_VRING_ERR, 2, -1));
    g_assert_cmpint(rig->err[2], ==, -1);
    fd = device_rig_event();
    g_assert_true(device_rig_send(rig, VUB_SET_LOG_FD, NULL, 0, &fd, 1));
    device_rig_free(rig);
}

/* --- the guest's memory, under running rings --- */

static bool add_region(DeviceRig *rig, unsigned index, int fd)
{
    const VubMsgMemRegion msg = {
        .region = {
            RIG_GUEST_ADDR + index * RIG_RAM_BYTES, RIG_RAM_BYTES,
            RIG_USER_ADDR + index * RIG_RAM_BYTES, 0,
        },
    };

    return device_rig_send(rig, fd >= 0 ? VUB_ADD_MEM_REG : VUB_REM_MEM_REG,
                           &msg, sizeof(msg), &fd, fd >= 0);
}

static void test_memory(void)
{
    DeviceRig *rig = device_rig_new();

    device_rig_guest(rig, VERSION_1 | PROTOCOL);
    g_assert_true(device_rig_start(rig, 0));
    g_assert_true(device_rig_start(rig, 2));

    g_assert_true(add_region(rig, 1, device_rig_file(RIG_RAM_BYTES)));
    g_assert_cmpuint(rig->dev.mem->nr_regions, ==, 2);
    g_assert_cmpuint(rig->nr_changes, ==, 2);
    g_assert_false(rig->settled);
    g_assert_true(rig->rings[0].mem == rig->dev.mem);

    /* What is in flight may use the one that goes. */
    g_assert_true(add_region(rig, 1, -1));
    g_assert_cmpuint(rig->dev.mem->nr_regions, ==, 1);
    g_assert_cmpuint(rig->nr_changes, ==, 4);
    g_assert_true(rig->settled);
    g_assert_true(rig->started[0] && rig->started[2]);

    /* The rings lie in this one: it stays. */
    g_assert_false(add_region(rig, 0, -1));
    g_assert_nonnull(strstr(rig->error, "would go"));
    g_assert_true(rig->started[0] && rig->started[2]);
    g_assert_cmpuint(rig->dev.mem->nr_regions, ==, 1);
    g_assert_cmpuint(rig->nr_changes, ==, 4);
    device_rig_free(rig);
}

/* The used ring of one of them begins in the new memory but ends beyond. */
static void test_memory_short(void)
{
    DeviceRig *rig = device_rig_new();
    VubMsgMemTable table = {
        .nr_regions = 1,
        .regions[0] = { RIG_GUEST_ADDR, 0x5010, RIG_USER_ADDR, 0 },
    };
    int fd = device_rig_file(RIG_RAM_BYTES);

    device_rig_guest(rig, VERSION_1 | PROTOCOL);
    g_assert_true(device_rig_start(rig, 0));
    g_assert_true(device_rig_start(rig, 1));
    rig->rings[1].last_avail = 5;
    g_assert_false(device_rig_send(rig, VUB_SET_MEM_TABLE, &table,
                                   sizeof(table), &fd, 1));
    g_assert_nonnull(strstr(rig->error, "not in memory"));
    g_assert_true(rig->started[0]);
    g_assert_false(rig->started[1] || rig->dev.vrings[1].started);
    g_assert_true(rig->rings[0].mem == rig->dev.mem);

    table.regions[0].size_bytes = RIG_RAM_BYTES;
    fd = device_rig_file(RIG_RAM_BYTES);
    g_assert_true(device_rig_send(rig, VUB_SET_MEM_TABLE, &table,
                                  sizeof(table), &fd, 1));
    g_assert_true(device_rig_start(rig, 1));
    g_assert_cmpuint(rig->rings[1].last_avail, ==, 5);
    device_rig_free(rig);
}

static void test_memory_table(void)
{
    DeviceRig *rig = device_rig_new();
    unsigned nr_maps = count_maps();
    VubMsgMemTable table = { .nr_regions = VUB_MESSAGE_MAX_FDS };
    int fds[VUB_MESSAGE_MAX_FDS];

    device_rig_guest(rig, VERSION_1 | PROTOCOL);
    g_assert_true(device_rig_start(rig, 0));
    for (unsigned i = 0; i < VUB_MESSAGE_MAX_FDS; i++) {
        table.regions[i] = (VubMsgRegion) {
            RIG_GUEST_ADDR + i * RIG_RAM_BYTES, RIG_RAM_BYTES,
            RIG_USER_ADDR + i * RIG_RAM_BYTES, i * 4096,
        };
        fds[i] = device_rig_file(RIG_RAM_BYTES + i * 4096);
    }
    g_assert_true(device_rig_send(rig, VUB_SET_MEM_TABLE, &table,
                                  sizeof(table), fds, VUB_MESSAGE_MAX_FDS));
    g_assert_cmpuint(rig->dev.mem->nr_regions, ==, VUB_MESSAGE_MAX_FDS);
    g_assert_true(rig->settled);
    g_assert_true(rig->rings[0].mem == rig->dev.mem);
    /* None at all: only when nothing runs any more. */
    table.nr_regions = 0;
    g_assert_false(device_rig_send(rig, VUB_SET_MEM_TABLE, &table, 8, NULL,
                                   0));
    g_assert_true(rig->started[0]);
    g_assert_true(device_rig_send_state(rig, VUB_GET_VRING_BASE, 0, 0));
    g_assert_true(device_rig_send(rig, VUB_SET_MEM_TABLE, &table, 8, NULL,
                                  0));
    g_assert_cmpuint(rig->dev.mem->nr_regions, ==, 0);
    device_rig_free(rig);
    g_assert_cmpuint(count_maps(), ==, nr_maps);
}

/* A callback that fails: that ring stops, the others go on. */
static void test_change_fails(void)
{
    DeviceRig *rig = device_rig_new();
    struct vhost_vring_addr addr = device_rig_addr(0);

    device_rig_guest(rig, VERSION_1 | PROTOCOL);
    g_assert_true(device_rig_start(rig, 0));
    rig->fail_change = true;
    addr.flags = 1 << VHOST_VRING_F_LOG;
    g_assert_false(device_rig_send(rig, VUB_SET_VRING_ADDR, &addr,
                                   sizeof(addr), NULL, 0));
    g_assert_cmpuint(rig->dev.vrings[0].addr.flags, ==, 0);
    g_assert_true(rig->started[0]);
    g_assert_false(add_region(rig, 1, device_rig_file(RIG_RAM_BYTES)));
    g_assert_false(rig->started[0] || rig->dev.vrings[0].started);
    device_rig_free(rig);
}

static void test_start_fails(void)
{
    DeviceRig *rig = device_rig_new();
    struct vhost_vring_addr addr = device_rig_addr(0);
    uint64_t zero = 0;
    int fd = device_rig_event();

    device_rig_guest(rig, VERSION_1 | PROTOCOL);
    /* Too early: it has neither size nor address. */
    g_assert_false(device_rig_send(rig, VUB_SET_VRING_KICK, &zero, 8, &fd, 1));
    g_assert_false(rig->dev.vrings[0].started);
    rig->fail_start = true;
    g_assert_false(device_rig_start(rig, 0));
    g_assert_false(rig->dev.vrings[0].started);
    rig->fail_start = false;
    /* Not aligned: that is seen only when it starts. */
    addr.desc_user_addr += 8;
    g_assert_true(device_rig_send(rig, VUB_SET_VRING_ADDR, &addr, sizeof(addr),
                                  NULL, 0));
    fd = device_rig_event();
    g_assert_false(device_rig_send(rig, VUB_SET_VRING_KICK, &zero, 8, &fd, 1));
    g_assert_true(device_rig_start(rig, 0));
    device_rig_free(rig);
}

/* --- the log --- */

static void test_log(void)
{
    DeviceRig *rig = device_rig_new();
    unsigned nr_maps = count_maps();
    const VubMsgLog msg = { 4096, 0 };
    struct vhost_vring_addr addr = device_rig_addr(0);
    uint64_t features = VERSION_1 | PROTOCOL;
    int fd = device_rig_file(4096), again = dup(fd);

    device_rig_guest(rig, features);
    g_assert_true(device_rig_start(rig, 0));
    g_assert_true(device_rig_send(rig, VUB_SET_LOG_BASE, &msg, sizeof(msg),
                                  &fd, 1));
    g_assert_false(rig->has_reply);
    /* Nothing is logged until the feature says so. */
    g_assert_null(rig->rings[0].log);
    g_assert_true(device_rig_send_u64(rig, VUB_SET_FEATURES,
                                      features | LOG_ALL));
    g_assert_true(rig->rings[0].log == rig->dev.log);
    g_assert_false(rig->rings[0].log_used);
    g_assert_cmphex(rig->features, ==, features);

    addr.flags = 1 << VHOST_VRING_F_LOG;
    addr.log_guest_addr = 0x123000;
    g_assert_true(device_rig_send(rig, VUB_SET_VRING_ADDR, &addr, sizeof(addr),
                                  NULL, 0));
    g_assert_true(rig->rings[0].log_used);
    g_assert_cmphex(rig->rings[0].log_used_addr, ==, 0x123000);
    g_assert_false(rig->settled);

    /* A larger one takes its place; with this feature there is an answer. */
    g_assert_true(device_rig_send_u64(rig, VUB_SET_PROTOCOL_FEATURES,
                                      1 << VUB_PROTOCOL_F_LOG_SHMFD));
    g_assert_true(device_rig_send(rig, VUB_SET_LOG_BASE, &msg, sizeof(msg),
                                  &again, 1));
    g_assert_true(rig->has_reply);
    g_assert_cmpuint(rig->reply.header.payload_bytes, ==, 8);
    vub_message_close_fds(&rig->reply);
    g_assert_true(rig->rings[0].log == rig->dev.log);
    g_assert_true(device_rig_send_u64(rig, VUB_SET_FEATURES, features));
    g_assert_null(rig->rings[0].log);
    device_rig_free(rig);
    g_assert_cmpuint(count_maps(), ==, nr_maps);
}

/* --- the in-flight region --- */

static void inflight_round(uint64_t features, bool cache_on)
{
    DeviceRig *rig = device_rig_new();
    VubMsgInflight msg = { .num_queues = RIG_QUEUES, .queue_size = 16 };
    int fd, kept;

    rig->cache_on = cache_on;
    device_rig_guest(rig, features);
    g_assert_true(device_rig_send(rig, VUB_GET_INFLIGHT_FD, &msg, sizeof(msg),
                                  NULL, 0));
    g_assert_true(rig->has_reply);
    g_assert_cmpuint(rig->reply.nr_fds, ==, 1);
    msg = rig->reply.payload.inflight;
    g_assert_cmpuint(msg.size_bytes, ==,
                     vub_inflight_bytes(RIG_QUEUES, RIG_RING_SIZE,
                                        features & PACKED));
    g_assert_null(rig->dev.inflight);
    kept = rig->reply.fds[0];
    fd = dup(kept);
    g_assert_true(device_rig_send(rig, VUB_SET_INFLIGHT_FD, &msg, sizeof(msg),
                                  &fd, 1));
    g_assert_cmpint(rig->cache_on, ==, cache_on);
    g_assert_true(device_rig_start(rig, 2));
    g_assert_true(rig->rings[2].inflight == rig->dev.inflight);
    /* As large as rings may be, whatever was asked for. */
    g_assert_cmpuint(vub_inflight_queue_size(rig->dev.inflight), ==,
                     RIG_RING_SIZE);
    vub_device_destroy(&rig->dev);
    g_free(rig->error);
    g_free(rig);

    /* The next process finds what the driver chose. */
    rig = device_rig_new();
    rig->nr_fds--;              /* @kept goes with the message */
    rig->cache_on = !cache_on;
    device_rig_guest(rig, features);
    g_assert_true(device_rig_send(rig, VUB_SET_INFLIGHT_FD, &msg, sizeof(msg),
                                  &kept, 1));
    g_assert_cmpint(rig->cache_on, ==, cache_on);
    g_assert_cmpuint(vub_inflight_queue_size(rig->dev.inflight), ==,
                     RIG_RING_SIZE);
    g_assert_true(device_rig_start(rig, 2));
    device_rig_free(rig);
}

static void test_inflight(void)
{
    unsigned nr_maps = count_maps();

    inflight_round(VERSION_1 | PROTOCOL, true);
    inflight_round(VERSION_1 | PROTOCOL, false);
    inflight_round(VERSION_1 | PROTOCOL | PACKED, true);
    g_assert_cmpuint(count_maps(), ==, nr_maps);
}

/* A foreign region says nothing, and is not written to beyond its queues. */
static void test_cache(void)
{
    unsigned nr_maps = count_maps();
    DeviceRig *rig = device_rig_new();
    VubMsgInflight msg = { .num_queues = 1, .queue_size = 16 };
    VubMsgConfig config = { .offset = 32, .size = 1, .region = { 1 } };
    bool on = false;
    int fd;

    msg.size_bytes = vub_inflight_bytes(1, 16, false);
    fd = device_rig_file(msg.size_bytes);
    rig->cache_on = true;
    g_assert_true(device_rig_send(rig, VUB_SET_INFLIGHT_FD, &msg, sizeof(msg),
                                  &fd, 1));
    g_assert_false(rig->cache_on);
    fd = device_rig_file(msg.size_bytes);
    g_assert_true(device_rig_send(rig, VUB_SET_INFLIGHT_FD, &msg, sizeof(msg),
                                  &fd, 1));
    g_assert_cmpuint(count_maps(), ==, nr_maps + 1);
    g_assert_true(device_rig_send(rig, VUB_SET_CONFIG, &config, 13, NULL, 0));
    g_assert_true(rig->cache_on);
    g_assert_false(vub_inflight_read_cache(rig->dev.inflight, &on));
    g_assert_cmpuint(vub_inflight_queue_size(rig->dev.inflight), ==, 16);
    device_rig_free(rig);
}

static void test_config(void)
{
    DeviceRig *rig = device_rig_new();

    for (unsigned offset = 0; offset <= 260; offset++) {
        for (unsigned size = 0; size <= 260; size += 13) {
            VubMsgConfig config = { .offset = offset, .size = size };

            g_assert_true(device_rig_send(rig, VUB_GET_CONFIG, &config,
                                          sizeof(config), NULL, 0));
            g_assert_true(rig->has_reply);
            if (offset + size > VUB_CONFIG_MAX_BYTES) {
                g_assert_cmpuint(rig->reply.header.payload_bytes, ==, 0);
                continue;
            }
            g_assert_cmpuint(rig->reply.header.payload_bytes, ==, 12 + size);
            g_assert_cmpmem(rig->reply.payload.config.region, size,
                            rig->config + offset, size);
        }
    }
    device_rig_free(rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-device/gets", test_gets);
    g_test_add_func("/export/vub-device/life", test_life);
    g_test_add_func("/export/vub-device/features-again", test_features_again);
    g_test_add_func("/export/vub-device/config-wce-kept",
                    test_config_wce_kept);
    g_test_add_func("/export/vub-device/enabled-at-once",
                    test_enabled_at_once);
    g_test_add_func("/export/vub-device/fds", test_fds);
    g_test_add_func("/export/vub-device/memory", test_memory);
    g_test_add_func("/export/vub-device/memory-short", test_memory_short);
    g_test_add_func("/export/vub-device/memory-table", test_memory_table);
    g_test_add_func("/export/vub-device/change-fails", test_change_fails);
    g_test_add_func("/export/vub-device/start-fails", test_start_fails);
    g_test_add_func("/export/vub-device/log", test_log);
    g_test_add_func("/export/vub-device/inflight", test_inflight);
    g_test_add_func("/export/vub-device/cache", test_cache);
    g_test_add_func("/export/vub-device/config", test_config);
    return g_test_run();
}
