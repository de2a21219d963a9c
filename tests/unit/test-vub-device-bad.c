/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-device* and vub-message: messages that can't be
 * followed. Each is refused with a reason and has changed nothing.
 */
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#include "device-rig.h"

#define FEATURES (1ull << VUB_F_PROTOCOL_FEATURES | 1ull << VIRTIO_F_VERSION_1)

/* All that a message could change. */
typedef struct State {
    VubDevice dev;
    VubVring vrings[RIG_QUEUES];
    VubRing rings[RIG_QUEUES];
    int fds[3 * RIG_QUEUES + 1];
    unsigned nr_calls;
    unsigned nr_fds;
} State;

static void read_state(const DeviceRig *rig, State *state)
{
    memset(state, 0, sizeof(*state));
    memcpy(&state->dev, &rig->dev, sizeof(rig->dev));
    memcpy(state->vrings, rig->dev.vrings, sizeof(state->vrings));
    memcpy(state->rings, rig->rings, sizeof(state->rings));
    memcpy(state->fds, rig->kick, sizeof(rig->kick));
    memcpy(state->fds + RIG_QUEUES, rig->call, sizeof(rig->call));
    memcpy(state->fds + 2 * RIG_QUEUES, rig->err, sizeof(rig->err));
    state->fds[3 * RIG_QUEUES] = rig->backend_fd;
    state->nr_calls = rig->nr_calls;
    state->nr_fds = device_rig_count_fds();
}

/* Takes @fd, which may be -1, over. */
static void refused(DeviceRig *rig, VubRequestType request,
                    const void *payload, unsigned bytes, int fd,
                    const char *why)
{
    g_autofree State *before = g_new(State, 1);
    g_autofree State *after = g_new(State, 1);

    read_state(rig, before);
    before->nr_fds -= fd >= 0;
    g_assert_false(device_rig_send(rig, request, payload, bytes, &fd,
                                   fd >= 0));
    read_state(rig, after);
    g_assert_cmpmem(before, sizeof(*before), after, sizeof(*after));
    if (!strstr(rig->error, why)) {
        g_assert_cmpstr(rig->error, ==, why);
    }
    g_assert_false(rig->has_reply);
}

static void refused_state(DeviceRig *rig, VubRequestType request,
                          uint32_t index, uint32_t num, const char *why)
{
    const struct vhost_vring_state state = { index, num };

    refused(rig, request, &state, sizeof(state), -1, why);
}

static void refused_u64(DeviceRig *rig, VubRequestType request, uint64_t value,
                        int fd, const char *why)
{
    refused(rig, request, &value, sizeof(value), fd, why);
}

/* One ring runs, one is stopped. */
static DeviceRig *running_rig(void)
{
    DeviceRig *rig = device_rig_new();

    device_rig_guest(rig, FEATURES);
    g_assert_true(device_rig_start(rig, 1));
    return rig;
}

static void test_features(void)
{
    DeviceRig *rig = running_rig();

    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t feature = 1ull << bit;

        if (!(feature & rig->dev.offered_features)) {
            refused_u64(rig, VUB_SET_FEATURES, FEATURES | feature, -1,
                        "were not offered");
        }
        if (!(feature & 0x8922b)) {
            refused_u64(rig, VUB_SET_PROTOCOL_FEATURES, 1 | feature, -1,
                        "were not offered");
        }
    }
    device_rig_free(rig);
}

/* Each message that names a ring, with one that isn't there. */
static void test_index(void)
{
    static const VubRequestType states[] = {
        VUB_SET_VRING_NUM, VUB_SET_VRING_BASE, VUB_GET_VRING_BASE,
        VUB_SET_VRING_ENABLE,
    };
    static const VubRequestType fds[] = {
        VUB_SET_VRING_KICK, VUB_SET_VRING_CALL, VUB_SET_VRING_ERR,
    };
    static const uint32_t indexes[] = { RIG_QUEUES, 255, 256, UINT32_MAX };
    DeviceRig *rig = running_rig();

    for (unsigned i = 0; i < G_N_ELEMENTS(indexes); i++) {
        struct vhost_vring_addr addr = device_rig_addr(0);

        for (unsigned j = 0; j < G_N_ELEMENTS(states); j++) {
            refused_state(rig, states[j], indexes[i], 1, "there is no ring");
        }
        addr.index = indexes[i];
        refused(rig, VUB_SET_VRING_ADDR, &addr, sizeof(addr), -1,
                "there is no ring");
    }
    for (unsigned j = 0; j < G_N_ELEMENTS(fds); j++) {
        refused_u64(rig, fds[j], RIG_QUEUES, device_rig_event(),
                    "there is no ring");
        refused_u64(rig, fds[j], 255, device_rig_event(), "there is no ring");
    }
    device_rig_free(rig);
}

static void test_vring(void)
{
    DeviceRig *rig = running_rig();
    struct vhost_vring_addr addr;

    refused_state(rig, VUB_SET_VRING_NUM, 0, 0, "can't have 0");
    refused_state(rig, VUB_SET_VRING_NUM, 0, RIG_RING_SIZE + 1, "can't have");
    refused_state(rig, VUB_SET_VRING_NUM, 0, UINT32_MAX, "can't have");
    refused_state(rig, VUB_SET_VRING_NUM, 1, 16, "is running");
    refused_state(rig, VUB_SET_VRING_BASE, 1, 0, "is running");
    refused_state(rig, VUB_SET_VRING_ENABLE, 1, 2, "enabled by 1");

    for (unsigned bit = 1; bit < 32; bit++) {
        addr = device_rig_addr(0);
        addr.flags = 1u << bit;
        refused(rig, VUB_SET_VRING_ADDR, &addr, sizeof(addr), -1,
                "unknown flags");
    }
    addr = device_rig_addr(0);
    addr.desc_user_addr = RIG_USER_ADDR + RIG_RAM_BYTES;
    refused(rig, VUB_SET_VRING_ADDR, &addr, sizeof(addr), -1, "memory");
    addr = device_rig_addr(0);
    addr.avail_user_addr = RIG_USER_ADDR - 1;
    refused(rig, VUB_SET_VRING_ADDR, &addr, sizeof(addr), -1, "memory");
    addr = device_rig_addr(0);
    addr.used_user_addr = 0;
    refused(rig, VUB_SET_VRING_ADDR, &addr, sizeof(addr), -1, "memory");
    /* In the memory, but of a running ring that must be aligned. */
    addr = device_rig_addr(1);
    addr.used_user_addr++;
    g_assert_false(device_rig_send(rig, VUB_SET_VRING_ADDR, &addr,
                                   sizeof(addr), NULL, 0));
    g_assert_cmpuint(rig->dev.vrings[1].addr.used_user_addr, ==,
                     addr.used_user_addr - 1);
    g_assert_true(rig->started[1]);
    device_rig_free(rig);
}

static void test_vring_fds(void)
{
    static const VubRequestType requests[] = {
        VUB_SET_VRING_KICK, VUB_SET_VRING_CALL, VUB_SET_VRING_ERR,
    };
    DeviceRig *rig = running_rig();

    for (unsigned i = 0; i < G_N_ELEMENTS(requests); i++) {
        for (unsigned index = 0; index < 2; index++) {
            refused_u64(rig, requests[i], index, -1, "needs a descriptor");
            refused_u64(rig, requests[i], index | VUB_VRING_NO_FD,
                        device_rig_event(), "is to have no descriptor");
            refused_u64(rig, requests[i], index, device_rig_file(4096),
                        "through a file");
        }
    }
    refused_u64(rig, VUB_SET_VRING_KICK, VUB_VRING_NO_FD, -1,
                "can't do without kicks");
    device_rig_free(rig);
}

static void refused_region(DeviceRig *rig, VubRequestType request,
                           VubMsgRegion region, const char *why)
{
    const VubMsgMemRegion msg = { .region = region };

    refused(rig, request, &msg, sizeof(msg),
            request == VUB_ADD_MEM_REG ? device_rig_file(4096) : -1, why);
}

static void test_memory(void)
{
    DeviceRig *rig = running_rig();
    VubMsgMemTable table = {
        .nr_regions = 2,
        .regions = { { 0, 4096, 0, 0 }, { 4096, 4096, 4096, 0 } },
    };

    refused_region(rig, VUB_ADD_MEM_REG,
                   (VubMsgRegion) { RIG_GUEST_ADDR, 4096, 0, 0 }, "overlaps");
    refused_region(rig, VUB_ADD_MEM_REG, (VubMsgRegion) { 0, 8192, 0, 0 },
                   "file");
    refused_region(rig, VUB_REM_MEM_REG, (VubMsgRegion) { 0, 8192, 0, 0 },
                   "no memory region");
    refused(rig, VUB_SET_MEM_TABLE, &table, sizeof(table), -1,
            "2 regions with 0");
    refused(rig, VUB_SET_MEM_TABLE, &table, sizeof(table),
            device_rig_file(4096), "2 regions with 1");
    table.nr_regions = UINT32_MAX;
    refused(rig, VUB_SET_MEM_TABLE, &table, sizeof(table), -1, "regions");
    table.nr_regions = 1;
    refused(rig, VUB_SET_MEM_TABLE, &table, 8, device_rig_file(4096),
            "1 regions with 1");
    /* The first is good, the second isn't: all of it is refused. */
    table.nr_regions = 1;
    table.regions[0].size_bytes = 0;
    refused(rig, VUB_SET_MEM_TABLE, &table, sizeof(table),
            device_rig_file(4096), "empty");
    device_rig_free(rig);
}

static void test_log(void)
{
    DeviceRig *rig = running_rig();
    VubMsgLog msg = { 8192, 0 };

    refused(rig, VUB_SET_LOG_BASE, &msg, sizeof(msg), device_rig_file(4096),
            "dirty log");
    msg = (VubMsgLog) { 0, 0 };
    refused(rig, VUB_SET_LOG_BASE, &msg, sizeof(msg), device_rig_file(4096),
            "can't be mapped");
    msg = (VubMsgLog) { 1024, 1024 };
    refused(rig, VUB_SET_LOG_BASE, &msg, sizeof(msg), device_rig_file(4096),
            "can't be mapped");
    msg = (VubMsgLog) { 4096, UINT64_MAX - 4095 };
    refused(rig, VUB_SET_LOG_BASE, &msg, sizeof(msg), device_rig_file(4096),
            "dirty log");
    device_rig_free(rig);
}

static void test_inflight(void)
{
    DeviceRig *rig = device_rig_new();
    const VubMsgInflight sizes[] = {
        { 0, 0, 0, 16 }, { 0, 0, RIG_QUEUES + 1, 16 }, { 0, 0, 1, 0 },
        { 0, 0, 1, RIG_RING_SIZE + 1 }, { 0, 0, UINT16_MAX, UINT16_MAX },
    };
    VubMsgInflight msg = { 4096, 0, 1, 16 };

    device_rig_guest(rig, FEATURES);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        refused(rig, VUB_GET_INFLIGHT_FD, &sizes[i], sizeof(sizes[i]), -1,
                "there are 3 of up to 64");
        refused(rig, VUB_SET_INFLIGHT_FD, &sizes[i], sizeof(sizes[i]),
                device_rig_file(1 << 20), "there are 3 of up to 64");
    }
    msg.size_bytes = 256;
    refused(rig, VUB_SET_INFLIGHT_FD, &msg, sizeof(msg), device_rig_file(4096),
            "need");
    msg.size_bytes = 8192;
    refused(rig, VUB_SET_INFLIGHT_FD, &msg, sizeof(msg), device_rig_file(4096),
            "need");
    msg.size_bytes = 4096;
    refused(rig, VUB_SET_INFLIGHT_FD, &msg, sizeof(msg), device_rig_event(),
            "need");
    g_assert_true(device_rig_start(rig, 1));
    refused(rig, VUB_SET_INFLIGHT_FD, &msg, sizeof(msg), device_rig_file(4096),
            "ring 1 is running");
    refused(rig, VUB_GET_INFLIGHT_FD, &msg, sizeof(msg), -1,
            "ring 1 is running");
    device_rig_free(rig);
}

/* Only what the callback takes, and only what came with the message. */
static void test_config(void)
{
    DeviceRig *rig = running_rig();
    VubMsgConfig config = { .offset = 33, .size = 1 };

    refused(rig, VUB_SET_CONFIG, &config, 13, -1, "can't be written");
    config = (VubMsgConfig) { .offset = 32, .size = 2 };
    refused(rig, VUB_SET_CONFIG, &config, 13, -1, "can't be written");
    config = (VubMsgConfig) { .offset = 32, .size = 1 };
    refused(rig, VUB_SET_CONFIG, &config, 12, -1, "can't be written");
    config = (VubMsgConfig) { .offset = 32, .size = UINT32_MAX };
    refused(rig, VUB_SET_CONFIG, &config, sizeof(config), -1,
            "can't be written");
    device_rig_free(rig);
}

static void test_unknown(void)
{
    DeviceRig *rig = running_rig();

    for (unsigned request = 0; request < 64; request++) {
        if (!vub_message_is_known(request)) {
            refused(rig, request, "12345678", 8, device_rig_event(),
                    "not supported");
            g_assert_cmpstr(vub_message_name(request), ==,
                            "an unknown request");
        }
    }
    refused(rig, UINT32_MAX, NULL, 0, -1, "not supported");
    device_rig_free(rig);
}

/* --- frames --- */

typedef struct Form {
    uint32_t request;
    unsigned min_bytes, max_bytes, min_fds, max_fds;
} Form;

static const Form forms[] = {
    { VUB_GET_FEATURES, 0, 0, 0, 0 }, { VUB_SET_FEATURES, 8, 8, 0, 0 },
    { VUB_SET_OWNER, 0, 0, 0, 0 }, { VUB_RESET_OWNER, 0, 0, 0, 0 },
    { VUB_SET_MEM_TABLE, 8, 264, 0, 8 }, { VUB_SET_LOG_BASE, 16, 16, 1, 1 },
    { VUB_SET_LOG_FD, 0, 8, 0, 1 }, { VUB_SET_VRING_NUM, 8, 8, 0, 0 },
    { VUB_SET_VRING_ADDR, 40, 40, 0, 0 }, { VUB_SET_VRING_BASE, 8, 8, 0, 0 },
    { VUB_GET_VRING_BASE, 8, 8, 0, 0 }, { VUB_SET_VRING_KICK, 8, 8, 0, 1 },
    { VUB_SET_VRING_CALL, 8, 8, 0, 1 }, { VUB_SET_VRING_ERR, 8, 8, 0, 1 },
    { VUB_GET_PROTOCOL_FEATURES, 0, 0, 0, 0 },
    { VUB_SET_PROTOCOL_FEATURES, 8, 8, 0, 0 },
    { VUB_GET_QUEUE_NUM, 0, 0, 0, 0 }, { VUB_SET_VRING_ENABLE, 8, 8, 0, 0 },
    { VUB_SET_BACKEND_REQ_FD, 0, 8, 1, 1 }, { VUB_GET_CONFIG, 12, 268, 0, 0 },
    { VUB_SET_CONFIG, 12, 268, 0, 0 }, { VUB_GET_INFLIGHT_FD, 20, 24, 0, 0 },
    { VUB_SET_INFLIGHT_FD, 20, 24, 1, 1 },
    { VUB_GET_MAX_MEM_SLOTS, 0, 0, 0, 0 }, { VUB_ADD_MEM_REG, 40, 40, 1, 1 },
    { VUB_REM_MEM_REG, 40, 40, 0, 1 }, { VUB_SET_DEVICE_STATE_FD, 8, 8, 1, 1 },
    { VUB_CHECK_DEVICE_STATE, 0, 0, 0, 0 },
};

/* Every request, with every size and number of descriptors. */
static void test_frames(void)
{
    VubMessage msg = { .header.flags = VUB_MSG_VERSION };
    unsigned nr_known = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(forms); i++) {
        const Form *form = &forms[i];

        g_assert_true(vub_message_is_known(form->request));
        msg.header.request = form->request;
        for (unsigned bytes = 0; bytes < 300; bytes++) {
            for (unsigned nr_fds = 0; nr_fds <= 8; nr_fds++) {
                bool good = bytes >= form->min_bytes &&
                            bytes <= form->max_bytes &&
                            nr_fds >= form->min_fds && nr_fds <= form->max_fds;

                msg.header.payload_bytes = bytes;
                msg.nr_fds = nr_fds;
                g_assert_cmpint(!vub_message_check(&msg), ==, good);
            }
        }
    }
    for (unsigned request = 0; request < 1000; request++) {
        nr_known += vub_message_is_known(request);
    }
    g_assert_cmpuint(nr_known, ==, G_N_ELEMENTS(forms));
    msg.nr_fds = 0;
    msg.header.payload_bytes = 0;
    msg.header.request = VUB_GET_FEATURES;
    for (unsigned flags = 0; flags < 16; flags++) {
        bool good = (flags & VUB_MSG_VERSION_MASK) == VUB_MSG_VERSION &&
                    !(flags & VUB_MSG_REPLY);

        msg.header.flags = flags;
        g_assert_cmpint(!vub_message_check(&msg), ==, good);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-device-bad/features", test_features);
    g_test_add_func("/export/vub-device-bad/index", test_index);
    g_test_add_func("/export/vub-device-bad/vring", test_vring);
    g_test_add_func("/export/vub-device-bad/vring-fds", test_vring_fds);
    g_test_add_func("/export/vub-device-bad/memory", test_memory);
    g_test_add_func("/export/vub-device-bad/log", test_log);
    g_test_add_func("/export/vub-device-bad/inflight", test_inflight);
    g_test_add_func("/export/vub-device-bad/config", test_config);
    g_test_add_func("/export/vub-device-bad/unknown", test_unknown);
    g_test_add_func("/export/vub-device-bad/frames", test_frames);
    return g_test_run();
}
