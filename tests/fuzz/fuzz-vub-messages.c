/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz export/vub-message and vub-device: whatever a front-end sends, with
 * whatever file descriptors, nothing of ours breaks, none of them is left open
 * and what is refused has started no ring and stopped none. The rings that are
 * started run.
 *
 * Input: steps of a byte each with what they need. What isn't there is 0.
 */
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/device-rig.h"

#define MAX_STEPS 200

typedef struct Fuzz {
    const uint8_t *data;
    size_t bytes;
    DeviceRig *rig;
    int guest_fd;               /* a file that most regions are of */
    uint8_t *guest;
    int inflight_fd;            /* what GET_INFLIGHT_FD gave, or -1 */
    VubMsgInflight inflight;
} Fuzz;

static uint8_t next8(Fuzz *fuzz)
{
    if (fuzz->bytes == 0) {
        return 0;
    }
    fuzz->bytes--;
    return *fuzz->data++;
}

static uint64_t next_bytes(Fuzz *fuzz, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++) {
        value |= (uint64_t)next8(fuzz) << (8 * i);
    }
    return value;
}

/* Mostly small numbers, some on the edge, some random. */
static uint64_t next_number(Fuzz *fuzz, uint64_t unit)
{
    unsigned kind = next8(fuzz);

    if (kind < 240) {
        return kind % 32 * unit;
    }
    return kind < 248 ? UINT64_MAX - (kind & 7) : next_bytes(fuzz, 8);
}

static int next_fd(Fuzz *fuzz, unsigned kind)
{
    int ends[2];

    switch (kind % 8) {
    case 0:
    case 1:
        return dup(fuzz->guest_fd);
    case 2:
    case 3:
        return device_rig_event();
    case 4:
        g_assert_cmpint(pipe(ends), ==, 0);
        close(ends[next8(fuzz) & 1 ? 0 : 1]);
        return fcntl(ends[0], F_GETFD) < 0 ? ends[1] : ends[0];
    case 5:
        return device_rig_file(next8(fuzz) * 64);
    default:
        return dup(fuzz->inflight_fd >= 0 ? fuzz->inflight_fd
                                          : fuzz->guest_fd);
    }
}

/* --- payloads that have a chance --- */

static VubMsgRegion next_region(Fuzz *fuzz)
{
    return (VubMsgRegion) {
        .guest_addr = next_number(fuzz, 0x1000),
        .size_bytes = next_number(fuzz, 0x1000),
        .user_addr = next_number(fuzz, 0x1000),
        .file_off = next_number(fuzz, 0x1000),
    };
}

static void make_table(Fuzz *fuzz, VubMessage *msg)
{
    VubMsgMemTable *table = &msg->payload.mem;

    table->nr_regions = next8(fuzz) % 10;
    for (unsigned i = 0; i < table->nr_regions && i < VUB_MESSAGE_MAX_FDS;
         i++) {
        table->regions[i] = next_region(fuzz);
        msg->fds[i] = next_fd(fuzz, 0);
        msg->nr_fds++;
    }
    msg->header.payload_bytes = sizeof(*table);
}

static void make_addr(Fuzz *fuzz, VubMessage *msg)
{
    msg->payload.addr = (struct vhost_vring_addr) {
        .index = next8(fuzz) % (RIG_QUEUES + 1),
        .flags = next8(fuzz) % 3,
        .desc_user_addr = next_number(fuzz, 0x400),
        .avail_user_addr = next_number(fuzz, 0x400),
        .used_user_addr = next_number(fuzz, 0x400),
        .log_guest_addr = next_number(fuzz, 0x1000),
    };
    msg->header.payload_bytes = sizeof(msg->payload.addr);
}

static void make_state(Fuzz *fuzz, VubMessage *msg)
{
    msg->payload.state.index = next8(fuzz) % (RIG_QUEUES + 1);
    msg->payload.state.num = next_number(fuzz, 1);
    if (next8(fuzz) & 1) {
        msg->payload.state.num = 16;
    }
    msg->header.payload_bytes = sizeof(msg->payload.state);
}

static void make_u64(Fuzz *fuzz, VubMessage *msg)
{
    static const unsigned bits[8] = {
        VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED, VIRTIO_RING_F_EVENT_IDX,
        VUB_F_PROTOCOL_FEATURES, VHOST_F_LOG_ALL, VUB_PROTOCOL_F_MQ,
        VUB_PROTOCOL_F_LOG_SHMFD, VUB_PROTOCOL_F_REPLY_ACK,
    };
    unsigned chosen = next8(fuzz);

    msg->payload.u64 = 0;
    for (unsigned i = 0; i < 8; i++) {
        msg->payload.u64 |= chosen & 1 << i ? 1ull << bits[i] : 0;
    }
    msg->header.payload_bytes = sizeof(msg->payload.u64);
}

static void make_vring_fd(Fuzz *fuzz, VubMessage *msg)
{
    unsigned kind = next8(fuzz);

    msg->payload.u64 = kind % 4;
    if (kind & 128) {
        msg->payload.u64 |= VUB_VRING_NO_FD;
    }
    if (!(kind & 128) != !(kind & 64)) {
        msg->fds[msg->nr_fds++] = next_fd(fuzz, kind & 32 ? kind : 2);
    }
    msg->header.payload_bytes = sizeof(msg->payload.u64);
}

static void make_inflight(Fuzz *fuzz, VubMessage *msg)
{
    VubMsgInflight *inflight = &msg->payload.inflight;
    bool ours = next8(fuzz) & 1;

    *inflight = fuzz->inflight;
    if (!ours) {
        inflight->size_bytes = next_number(fuzz, 0x400);
        inflight->file_off = next_number(fuzz, 0x1000);
        inflight->num_queues = next8(fuzz) % (RIG_QUEUES + 2);
        inflight->queue_size = next8(fuzz);
    }
    if (msg->header.request == VUB_SET_INFLIGHT_FD) {
        msg->fds[msg->nr_fds++] = next_fd(fuzz, ours ? 7 : next8(fuzz));
    }
    msg->header.payload_bytes = sizeof(*inflight);
}

static void make_config(Fuzz *fuzz, VubMessage *msg)
{
    VubMsgConfig *config = &msg->payload.config;

    config->offset = next_number(fuzz, 8);
    config->size = next8(fuzz);
    config->region[0] = next8(fuzz);
    msg->header.payload_bytes = VUB_MSG_CONFIG_HEAD_BYTES + next8(fuzz);
}

static void make_raw(Fuzz *fuzz, VubMessage *msg)
{
    unsigned bytes = next8(fuzz) * 2;

    msg->header.payload_bytes = MIN(bytes, sizeof(msg->payload.bytes));
    for (unsigned i = 0; i < msg->header.payload_bytes; i++) {
        msg->payload.bytes[i] = next8(fuzz);
    }
    for (unsigned i = next8(fuzz) % (VUB_MESSAGE_MAX_FDS + 1); i > 0; i--) {
        msg->fds[msg->nr_fds++] = next_fd(fuzz, next8(fuzz));
    }
}

static void make(Fuzz *fuzz, VubMessage *msg)
{
    switch (msg->header.request) {
    case VUB_SET_MEM_TABLE:
        make_table(fuzz, msg);
        break;
    case VUB_ADD_MEM_REG:
        msg->fds[msg->nr_fds++] = next_fd(fuzz, next8(fuzz));
        /* fall through */
    case VUB_REM_MEM_REG:
        msg->payload.mem_region.region = next_region(fuzz);
        msg->header.payload_bytes = sizeof(msg->payload.mem_region);
        break;
    case VUB_SET_LOG_BASE:
        msg->payload.log.size_bytes = next_number(fuzz, 0x10);
        msg->payload.log.file_off = next_number(fuzz, 0x1000);
        msg->fds[msg->nr_fds++] = next_fd(fuzz, next8(fuzz));
        msg->header.payload_bytes = sizeof(msg->payload.log);
        break;
    case VUB_SET_VRING_ADDR:
        make_addr(fuzz, msg);
        break;
    case VUB_SET_VRING_NUM:
    case VUB_SET_VRING_BASE:
    case VUB_GET_VRING_BASE:
    case VUB_SET_VRING_ENABLE:
        make_state(fuzz, msg);
        break;
    case VUB_SET_VRING_KICK:
    case VUB_SET_VRING_CALL:
    case VUB_SET_VRING_ERR:
        make_vring_fd(fuzz, msg);
        break;
    case VUB_SET_FEATURES:
    case VUB_SET_PROTOCOL_FEATURES:
        make_u64(fuzz, msg);
        break;
    case VUB_GET_INFLIGHT_FD:
    case VUB_SET_INFLIGHT_FD:
        make_inflight(fuzz, msg);
        break;
    case VUB_GET_CONFIG:
    case VUB_SET_CONFIG:
        make_config(fuzz, msg);
        break;
    case VUB_SET_BACKEND_REQ_FD:
        msg->fds[msg->nr_fds++] = next_fd(fuzz, 2);
        break;
    default:
        msg->header.payload_bytes = 0;
    }
}

/* --- steps --- */

static void keep_inflight(Fuzz *fuzz)
{
    VubMessage *reply = &fuzz->rig->reply;

    if (reply->header.request == VUB_GET_INFLIGHT_FD) {
        if (fuzz->inflight_fd >= 0) {
            close(fuzz->inflight_fd);
        }
        fuzz->inflight_fd = reply->fds[0];
        fuzz->inflight = reply->payload.inflight;
        reply->fds[0] = -1;
    }
    vub_message_close_fds(reply);
}

static bool may_stop(uint32_t request)
{
    return request == VUB_SET_MEM_TABLE || request == VUB_REM_MEM_REG ||
           request == VUB_ADD_MEM_REG;
}

static void step_message(Fuzz *fuzz, unsigned request, bool raw)
{
    DeviceRig *rig = fuzz->rig;
    VubMessage msg = { .header = { request, VUB_MSG_VERSION, 0 } };
    bool started[RIG_QUEUES];

    if (raw) {
        msg.header.flags = next8(fuzz) % 16;
        make_raw(fuzz, &msg);
    } else {
        make(fuzz, &msg);
    }
    memcpy(started, rig->started, sizeof(started));
    if (vub_message_check(&msg)) {
        vub_message_close_fds(&msg);
        return;
    }
    g_assert_nonnull(vub_message_name(request));
    if (!device_rig_handle(rig, &msg)) {
        g_assert_true(may_stop(request) ||
                      !memcmp(started, rig->started, sizeof(started)));
    } else if (rig->has_reply) {
        g_assert_true(vub_message_is_known(request));
        g_assert_cmpuint(rig->reply.header.payload_bytes, <=,
                         sizeof(rig->reply.payload));
        keep_inflight(fuzz);
    }
    for (unsigned i = 0; i < RIG_QUEUES; i++) {
        g_assert_true(rig->dev.vrings[i].started == rig->started[i]);
    }
}

static void step_run(Fuzz *fuzz)
{
    unsigned index = next8(fuzz) % RIG_QUEUES;
    VubRing *ring = &fuzz->rig->rings[index];
    struct iovec short_iov[2];
    static struct iovec long_iov[VUB_CHAIN_MAX_IOV];
    VubChain chain = {
        .short_iov = short_iov, .short_max = 2, .long_iov = long_iov,
    };

    if (!fuzz->rig->started[index]) {
        return;
    }
    vub_ring_set_notify(ring, next8(fuzz) & 1);
    for (unsigned i = 0; i < 8 && vub_ring_pop(ring, &chain); i++) {
        vub_ring_log_chain(ring, &chain, chain.in_bytes);
        for (unsigned j = 0; j < chain.nr_in; j++) {
            struct iovec *iov = &chain.iov[chain.nr_out + j];

            memset(iov->iov_base, 1, 1);
            memset((uint8_t *)iov->iov_base + iov->iov_len - 1, 1, 1);
        }
        vub_ring_push(ring, &chain, MIN(chain.in_bytes, UINT32_MAX));
    }
    vub_ring_publish(ring);
    vub_ring_empty(ring);
}

static void step_scribble(Fuzz *fuzz)
{
    unsigned off = next_bytes(fuzz, 2);
    unsigned bytes = next8(fuzz) % 32;

    for (unsigned i = 0; i < bytes; i++) {
        fuzz->guest[(off + i) % RIG_RAM_BYTES] = next8(fuzz);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    Fuzz fuzz = { .data = data, .bytes = bytes, .inflight_fd = -1 };

    fuzz.rig = device_rig_new();
    fuzz.guest_fd = device_rig_file(RIG_RAM_BYTES);
    fuzz.guest = mmap(NULL, RIG_RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                      fuzz.guest_fd, 0);
    for (unsigned i = 0; i < MAX_STEPS && fuzz.bytes; i++) {
        unsigned what = next8(&fuzz);

        if (what < 200) {
            step_message(&fuzz, what % 50, what >= 150);
        } else if (what < 230) {
            step_run(&fuzz);
        } else {
            step_scribble(&fuzz);
        }
    }
    munmap(fuzz.guest, RIG_RAM_BYTES);
    close(fuzz.guest_fd);
    if (fuzz.inflight_fd >= 0) {
        close(fuzz.inflight_fd);
    }
    device_rig_free(fuzz.rig);
    return 0;
}
