/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device rig: a VubDevice whose rings really run, but in the caller's hands
 *
 * Owns:      the callbacks, and what they are handed over.
 * Knows not: what messages mean.
 */
#include <dirent.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device-rig.h"

static bool rig_start(void *opaque, unsigned index, const VubRingSetup *setup,
                      GError **errp)
{
    DeviceRig *rig = opaque;

    rig->nr_calls++;
    g_assert_cmpuint(index, <, RIG_QUEUES);
    g_assert_false(rig->started[index]);
    g_assert_true(setup->mem == rig->dev.mem);
    if (rig->fail_start) {
        g_set_error(errp, g_quark_from_static_string("rig"), 0, "no start");
        return false;
    }
    rig->started[index] = vub_ring_init(&rig->rings[index], setup, errp);
    return rig->started[index];
}

static uint32_t rig_stop(void *opaque, unsigned index)
{
    DeviceRig *rig = opaque;
    uint32_t base = vub_ring_base(&rig->rings[index]);

    rig->nr_calls++;
    g_assert_true(rig->started[index]);
    rig->started[index] = false;
    vub_ring_destroy(&rig->rings[index]);
    return base;
}

static bool rig_change(void *opaque, unsigned index, const VubRingSetup *setup,
                       bool settle, GError **errp)
{
    DeviceRig *rig = opaque;

    rig->nr_calls++;
    g_assert_true(rig->started[index]);
    if (rig->fail_change) {
        g_set_error(errp, g_quark_from_static_string("rig"), 0, "no change");
        return false;
    }
    rig->nr_changes++;
    rig->settled = settle;
    return vub_ring_change(&rig->rings[index], setup, errp);
}

static void replace(DeviceRig *rig, int *place, int fd)
{
    rig->nr_calls++;
    if (*place >= 0) {
        close(*place);
    }
    *place = fd;
}

static void rig_set_kick(void *opaque, unsigned index, int fd)
{
    DeviceRig *rig = opaque;

    replace(rig, &rig->kick[index], fd);
}

static void rig_set_call(void *opaque, unsigned index, int fd)
{
    DeviceRig *rig = opaque;

    replace(rig, &rig->call[index], fd);
}

static void rig_set_err(void *opaque, unsigned index, int fd)
{
    DeviceRig *rig = opaque;

    replace(rig, &rig->err[index], fd);
}

static void rig_set_backend_fd(void *opaque, int fd)
{
    DeviceRig *rig = opaque;

    replace(rig, &rig->backend_fd, fd);
}

static void rig_set_enabled(void *opaque, unsigned index, bool enabled)
{
    DeviceRig *rig = opaque;

    rig->nr_calls++;
    rig->enabled[index] = enabled;
}

static void rig_memory_coming(void *opaque, const VubMemory *old,
                              const VubMemory *new)
{
    DeviceRig *rig = opaque;

    rig->nr_calls++;
    g_assert_true(new == rig->dev.mem && old != new);
}

static void rig_memory_gone(void *opaque, const VubMemory *old,
                            const VubMemory *new)
{
    DeviceRig *rig = opaque;

    rig->nr_calls++;
    for (unsigned i = 0; i < RIG_QUEUES; i++) {
        g_assert_true(!rig->started[i] || rig->rings[i].mem == new);
    }
    g_assert_true(old != new);
}

static void rig_features(void *opaque, uint64_t features)
{
    DeviceRig *rig = opaque;

    rig->nr_calls++;
    rig->features = features;
}

static bool rig_get_cache(void *opaque)
{
    return ((DeviceRig *)opaque)->cache_on;
}

static void rig_restore_cache(void *opaque, bool on)
{
    DeviceRig *rig = opaque;

    rig->nr_calls++;
    rig->cache_on = on;
}

static void rig_get_config(void *opaque, uint8_t *config)
{
    memcpy(config, ((DeviceRig *)opaque)->config, VUB_CONFIG_MAX_BYTES);
}

/* One byte can be written, and is a cache's switch. */
static bool rig_set_config(void *opaque, uint32_t offset, const uint8_t *data,
                           uint32_t bytes)
{
    DeviceRig *rig = opaque;

    if (offset != 32 || bytes != 1) {
        return false;
    }
    rig->nr_calls++;
    rig->cache_on = *data;
    return true;
}

static const VubDeviceOps rig_ops = {
    .start = rig_start,
    .stop = rig_stop,
    .change = rig_change,
    .set_kick = rig_set_kick,
    .set_call = rig_set_call,
    .set_err = rig_set_err,
    .set_backend_fd = rig_set_backend_fd,
    .set_enabled = rig_set_enabled,
    .memory_coming = rig_memory_coming,
    .memory_gone = rig_memory_gone,
    .features = rig_features,
    .get_cache = rig_get_cache,
    .restore_cache = rig_restore_cache,
    .get_config = rig_get_config,
    .set_config = rig_set_config,
};

unsigned device_rig_count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned nr = 0;

    while (readdir(dir)) {
        nr++;
    }
    closedir(dir);
    return nr;
}

DeviceRig *device_rig_new(void)
{
    DeviceRig *rig = g_new0(DeviceRig, 1);

    rig->nr_fds = device_rig_count_fds();
    for (unsigned i = 0; i < RIG_QUEUES; i++) {
        rig->kick[i] = rig->call[i] = rig->err[i] = -1;
    }
    rig->backend_fd = -1;
    for (unsigned i = 0; i < VUB_CONFIG_MAX_BYTES; i++) {
        rig->config[i] = i + 1;
    }
    vub_device_init(&rig->dev, &rig_ops, rig,
                    1ull << VIRTIO_F_VERSION_1 |
                    1ull << VIRTIO_F_RING_PACKED |
                    1ull << VIRTIO_RING_F_EVENT_IDX, RIG_QUEUES,
                    RIG_RING_SIZE);
    return rig;
}

void device_rig_free(DeviceRig *rig)
{
    vub_device_destroy(&rig->dev);
    for (unsigned i = 0; i < RIG_QUEUES; i++) {
        g_assert_false(rig->started[i] || rig->enabled[i]);
        g_assert_cmpint(rig->kick[i], ==, -1);
        g_assert_cmpint(rig->call[i], ==, -1);
        g_assert_cmpint(rig->err[i], ==, -1);
    }
    g_assert_cmpint(rig->backend_fd, ==, -1);
    g_assert_cmpuint(device_rig_count_fds(), ==, rig->nr_fds);
    g_free(rig->error);
    g_free(rig);
}

/* What was taken over is the taker's to close. */
static void check_fds(const DeviceRig *rig)
{
    for (unsigned i = 0; i < RIG_QUEUES; i++) {
        g_assert_true(rig->kick[i] < 0 || fcntl(rig->kick[i], F_GETFD) >= 0);
        g_assert_true(rig->call[i] < 0 || fcntl(rig->call[i], F_GETFD) >= 0);
        g_assert_true(rig->err[i] < 0 || fcntl(rig->err[i], F_GETFD) >= 0);
    }
    g_assert_true(rig->backend_fd < 0 || fcntl(rig->backend_fd, F_GETFD) >= 0);
}

bool device_rig_handle(DeviceRig *rig, VubMessage *msg)
{
    g_autoptr(GError) err = NULL;
    bool good;

    g_assert_cmpstr(vub_message_check(msg), ==, NULL);
    good = vub_device_handle(&rig->dev, msg, &rig->has_reply, &err);
    g_assert_true(good == !err);
    g_free(rig->error);
    rig->error = err ? g_strdup(err->message) : NULL;
    rig->reply = *msg;
    /* What comes with a reply goes out with it. */
    if (!good || !rig->has_reply) {
        vub_message_close_fds(msg);
    }
    check_fds(rig);
    return good;
}

bool device_rig_send(DeviceRig *rig, VubRequestType request,
                     const void *payload, unsigned bytes, const int *fds,
                     unsigned nr_fds)
{
    VubMessage msg = {
        .header = { request, VUB_MSG_VERSION, bytes },
        .nr_fds = nr_fds,
    };

    for (unsigned i = 0; i < VUB_MESSAGE_MAX_FDS; i++) {
        msg.fds[i] = i < nr_fds ? fds[i] : -1;
    }
    if (bytes) {
        memcpy(&msg.payload, payload, bytes);
    }
    return device_rig_handle(rig, &msg);
}

bool device_rig_send_u64(DeviceRig *rig, VubRequestType request,
                         uint64_t value)
{
    return device_rig_send(rig, request, &value, sizeof(value), NULL, 0);
}

bool device_rig_send_state(DeviceRig *rig, VubRequestType request,
                           uint32_t index, uint32_t num)
{
    const struct vhost_vring_state state = { index, num };

    return device_rig_send(rig, request, &state, sizeof(state), NULL, 0);
}

bool device_rig_send_fd(DeviceRig *rig, VubRequestType request,
                        uint32_t index, int fd)
{
    uint64_t value = index | (fd < 0 ? VUB_VRING_NO_FD : 0);

    return device_rig_send(rig, request, &value, sizeof(value), &fd, fd >= 0);
}

struct vhost_vring_addr device_rig_addr(uint32_t index)
{
    uint64_t at = RIG_USER_ADDR + index * 0x3000;

    return (struct vhost_vring_addr) {
        .index = index,
        .desc_user_addr = at,
        .avail_user_addr = at + 0x1000,
        .used_user_addr = at + 0x2000,
    };
}

int device_rig_file(size_t bytes)
{
    int fd = memfd_create("rig", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, bytes), ==, 0);
    return fd;
}

int device_rig_event(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    return fd;
}

void device_rig_guest(DeviceRig *rig, uint64_t features)
{
    VubMsgMemTable table = {
        .nr_regions = 1,
        .regions[0] = { RIG_GUEST_ADDR, RIG_RAM_BYTES, RIG_USER_ADDR, 0 },
    };
    int fd = device_rig_file(RIG_RAM_BYTES);

    g_assert_true(device_rig_send_u64(rig, VUB_SET_FEATURES, features));
    g_assert_true(device_rig_send(rig, VUB_SET_MEM_TABLE, &table,
                                  sizeof(table), &fd, 1));
}

bool device_rig_start(DeviceRig *rig, uint32_t index)
{
    struct vhost_vring_addr addr = device_rig_addr(index);

    g_assert_true(device_rig_send_state(rig, VUB_SET_VRING_NUM, index, 16));
    g_assert_true(device_rig_send(rig, VUB_SET_VRING_ADDR, &addr, sizeof(addr),
                                  NULL, 0));
    g_assert_true(device_rig_send_fd(rig, VUB_SET_VRING_CALL, index,
                                     device_rig_event()));
    return device_rig_send_fd(rig, VUB_SET_VRING_KICK, index,
                              device_rig_event());
}
