/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: what is offered, what is acknowledged, and who gets replies.
 */
#include <glib.h>

#include "cases.h"
#include "rig.h"

static Front *greet(Daemon **daemon, const char *options)
{
    Front *front;

    *daemon = daemon_start(DISK_FILE, options);
    front = front_connect((*daemon)->socket);
    front->offered = front_get_u64(front, WIRE_GET_FEATURES);
    front->offered_protocol = front_get_u64(front, WIRE_GET_PROTOCOL_FEATURES);
    return front;
}

static void leave(Daemon *daemon, Front *front)
{
    front_close(front);
    daemon_stop(daemon);
}

static void expect_offered(uint64_t offered, const uint8_t *bits, unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        if (!(offered & FRONT_BIT(bits[i]))) {
            g_error("bit %u is not offered", bits[i]);
        }
    }
}

static void expect_not_offered(uint64_t offered, const uint8_t *bits,
                               unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        if (offered & FRONT_BIT(bits[i])) {
            g_error("bit %u is offered", bits[i]);
        }
    }
}

static void protocol_features(const void *arg)
{
    static const uint8_t wanted[] = {
        WIRE_P_MQ, WIRE_P_LOG_SHMFD, WIRE_P_REPLY_ACK, WIRE_P_BACKEND_REQ,
        WIRE_P_CONFIG, WIRE_P_INFLIGHT_SHMFD, WIRE_P_CONFIGURE_MEM_SLOTS,
        WIRE_P_DEVICE_STATE,
    };
    /* Nobody implements these, so nobody may promise them. */
    static const uint8_t unwanted[] = {
        WIRE_P_PAGEFAULT, WIRE_P_INBAND_NOTIFICATIONS, WIRE_P_XEN_MMAP,
    };
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on");

    expect_offered(front->offered_protocol, wanted, G_N_ELEMENTS(wanted));
    expect_not_offered(front->offered_protocol, unwanted,
                       G_N_ELEMENTS(unwanted));
    leave(daemon, front);
}

static void features_writable(const void *arg)
{
    static const uint8_t wanted[] = {
        VIRTIO_F_VERSION_1, VIRTIO_RING_F_INDIRECT_DESC,
        VIRTIO_RING_F_EVENT_IDX, VIRTIO_F_RING_PACKED, VHOST_F_LOG_ALL,
        WIRE_F_PROTOCOL_FEATURES, VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_BLK_SIZE,
        VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE,
        VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_BLK_F_MQ,
    };
    static const uint8_t unwanted[] = { VIRTIO_BLK_F_RO };
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on,config-wce=on");

    expect_offered(front->offered, wanted, G_N_ELEMENTS(wanted));
    expect_not_offered(front->offered, unwanted, G_N_ELEMENTS(unwanted));
    leave(daemon, front);
}

/* Only some front-ends take along what the guest chooses. */
static void features_no_wce(const void *arg)
{
    static const uint8_t wanted[] = { VIRTIO_BLK_F_FLUSH };
    static const uint8_t unwanted[] = { VIRTIO_BLK_F_CONFIG_WCE };
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on");

    expect_offered(front->offered, wanted, G_N_ELEMENTS(wanted));
    expect_not_offered(front->offered, unwanted, G_N_ELEMENTS(unwanted));
    leave(daemon, front);
}

static void features_read_only(const void *arg)
{
    static const uint8_t wanted[] = { VIRTIO_BLK_F_RO };
    static const uint8_t unwanted[] = {
        VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES,
    };
    Daemon *daemon;
    Front *front = greet(&daemon, "");

    expect_offered(front->offered, wanted, G_N_ELEMENTS(wanted));
    expect_not_offered(front->offered, unwanted, G_N_ELEMENTS(unwanted));
    leave(daemon, front);
}

static void features_writethrough(const void *arg)
{
    static const uint8_t unwanted[] = {
        VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_CONFIG_WCE,
    };
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on,writethrough=on");

    expect_not_offered(front->offered, unwanted, G_N_ELEMENTS(unwanted));
    leave(daemon, front);
}

static void unoffered_feature_refused(const void *arg)
{
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on");
    uint64_t more = front->offered | FRONT_BIT(60);

    front_negotiate(front, ~0ull, ~0ull);
    g_assert_cmpint(front_try(front, WIRE_SET_FEATURES, &more, 8, NULL, 0),
                    ==, FRONT_REFUSED);
    front_sync(front);
    leave(daemon, front);
}

static void unoffered_protocol_feature_refused(const void *arg)
{
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on");
    uint64_t more = front->offered_protocol | FRONT_BIT(60);

    front_negotiate(front, ~0ull, ~0ull);
    g_assert_cmpint(front_try(front, WIRE_SET_PROTOCOL_FEATURES, &more, 8,
                              NULL, 0), ==, FRONT_REFUSED);
    front_sync(front);
    leave(daemon, front);
}

static void queue_number(const void *arg)
{
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on,num-queues=5");

    front_negotiate(front, ~0ull, ~0ull);
    g_assert_cmpuint(front_get_u64(front, WIRE_GET_QUEUE_NUM), ==, 5);
    leave(daemon, front);
}

/* QEMU wants one for each CPU, and gives up if there are fewer. */
static void queues_for_each_cpu(const void *arg)
{
    static const char *const options[] = {
        "writable=on", "writable=on,iothread=t0",
        "writable=on,iothread-vq-mapping.0.iothread=t0,"
        "iothread-vq-mapping.1.iothread=t1",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(options); i++) {
        FrontRing *first, *last;
        Rig rig;

        rig.daemon = daemon_start(DISK_FILE, options[i]);
        rig.front = front_open(rig.daemon->socket, SPLIT);
        g_assert_cmpuint(front_get_u64(rig.front, WIRE_GET_QUEUE_NUM), ==,
                         256);
        first = ring_open(rig.front, 0);
        last = ring_open(rig.front, 255);
        expect_write_and_read(first, 0, 0x11);
        expect_write_and_read(last, 0, 0x22);
        ring_free(first);
        rig.ring = last;
        rig_close(&rig);
    }
}

/* The replies of a queue's set-up are asked for by ring_open() already. */
static void each_asked_is_answered(const void *arg)
{
    Rig rig;
    uint8_t wce = 1;

    rig_open(&rig, DISK_FILE, "writable=on,config-wce=on", SPLIT);
    front_ask_u64(rig.front, WIRE_SET_FEATURES, rig.front->features);
    front_ask_u64(rig.front, WIRE_SET_PROTOCOL_FEATURES, rig.front->protocol);
    front_ask(rig.front, WIRE_SET_OWNER, NULL, 0, NULL, 0);
    front_share_memory(rig.front);
    front_ask(rig.front, WIRE_SET_LOG_FD, NULL, 0, &rig.ring->call, 1);
    front_open_channel(rig.front);
    g_assert_cmpint(front_try_config(rig.front,
                                     offsetof(struct virtio_blk_config, wce),
                                     1, 0, &wce), ==, FRONT_ACCEPTED);
    ring_enable(rig.ring, false);
    ring_enable(rig.ring, true);
    expect_works(rig.ring);
    rig_close(&rig);
}

/* A second reply would be taken for that of the next request. */
static void own_reply_is_the_only_one(const void *arg)
{
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on,num-queues=3");
    static const uint32_t requests[] = {
        WIRE_GET_FEATURES, WIRE_GET_PROTOCOL_FEATURES, WIRE_GET_QUEUE_NUM,
        WIRE_GET_MAX_MEM_SLOTS,
    };

    front_negotiate(front, ~0ull, ~0ull);
    for (unsigned i = 0; i < G_N_ELEMENTS(requests); i++) {
        WireMsg reply;

        front_send(front, requests[i], WIRE_NEED_REPLY, NULL, 0, NULL, 0);
        g_assert_true(front_receive(front, &reply));
        g_assert_cmpuint(reply.header.request, ==, requests[i]);
        g_assert_cmpuint(reply.u64, !=, 0);
        front_sync(front);
    }
    leave(daemon, front);
}

static void no_reply_before_reply_ack(const void *arg)
{
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on");
    uint64_t features = front->offered & ~FRONT_BIT(VHOST_F_LOG_ALL);

    front_send(front, WIRE_SET_OWNER, WIRE_NEED_REPLY, NULL, 0, NULL, 0);
    front_sync(front);
    front_send(front, WIRE_SET_FEATURES, WIRE_NEED_REPLY, &features, 8, NULL,
               0);
    front_sync(front);
    leave(daemon, front);
}

static void max_mem_slots(const void *arg)
{
    Daemon *daemon;
    Front *front = greet(&daemon, "writable=on");

    front_negotiate(front, ~0ull, ~0ull);
    g_assert_cmpuint(front_get_u64(front, WIRE_GET_MAX_MEM_SLOTS), >=, 8);
    leave(daemon, front);
}

void add_feature_cases(void)
{
    case_add(protocol_features, NULL,
             "features: the protocol's are those that are implemented");
    case_add(features_writable, NULL, "features: of a writable disk");
    case_add(features_no_wce, NULL,
             "features: the cache is the guest's to switch if the user says "
             "so");
    case_add(features_read_only, NULL, "features: of a read-only disk");
    case_add(features_writethrough, NULL,
             "features: a write-through disk needs no flush and offers none");
    case_add(unoffered_feature_refused, NULL,
             "features: one that was not offered is refused");
    case_add(unoffered_protocol_feature_refused, NULL,
             "features: one of the protocol that was not offered is refused");
    case_add(queue_number, NULL, "features: the number of queues is told");
    case_add(queues_for_each_cpu, NULL,
             "features: there are queues for as many CPUs as a guest has");
    case_add(max_mem_slots, NULL, "features: eight memory slots or more");
    case_add(each_asked_is_answered, NULL,
             "replies: each message that asks for one is answered");
    case_add(own_reply_is_the_only_one, NULL,
             "replies: a message with a reply of its own gets no second");
    case_add(no_reply_before_reply_ack, NULL,
             "replies: none is sent before REPLY_ACK is acknowledged");
}
