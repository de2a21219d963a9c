/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The front-end's side of the connection: see front.h.
 *
 * Owns: framing, files in ancillary data, replies, the shared memory.
 * Must not know: rings, requests of the disk.
 * Invariant: whatever waits for the back-end also sees that it hung up.
 */
#include "front.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon.h"

#define MOST_FDS    16      /* more than the protocol allows */

/* --- memory -------------------------------------------------------------- */

int memory_file(size_t bytes)
{
    int fd = memfd_create("guest", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ftruncate(fd, bytes), ==, 0);
    return fd;
}

void *front_alloc(Front *front, size_t bytes, size_t align)
{
    size_t start = (front->mem_used + align - 1) & ~(align - 1);

    g_assert_cmpuint(start + bytes, <=, FRONT_MEM_BYTES);
    front->mem_used = start + bytes;
    return front->mem + start;
}

uint64_t front_gpa(const Front *front, const void *ptr)
{
    return FRONT_GUEST_BASE + ((const uint8_t *)ptr - front->mem);
}

void front_memory_table(const Front *front, WireMemTable *table)
{
    *table = (WireMemTable) {
        .nr = 1,
        .region[0] = {
            .guest_addr = FRONT_GUEST_BASE,
            .bytes = FRONT_MEM_BYTES,
            .user_addr = (uintptr_t)front->mem,
        },
    };
}

void front_share_memory(Front *front)
{
    WireMemTable table;

    front_memory_table(front, &table);
    front_ask(front, WIRE_SET_MEM_TABLE, &table, 8 + sizeof(WireRegion),
              &front->mem_fd, 1);
}

/* --- connection ---------------------------------------------------------- */

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    limit_patience(fd);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        g_error("connect to %s: %s", path, g_strerror(errno));
    }
    return fd;
}

Front *front_connect(const char *path)
{
    Front *front = g_new0(Front, 1);

    front->mem_fd = memory_file(FRONT_MEM_BYTES);
    front->mem = mmap(NULL, FRONT_MEM_BYTES, PROT_READ | PROT_WRITE,
                      MAP_SHARED, front->mem_fd, 0);
    g_assert_true(front->mem != MAP_FAILED);
    front->backend_fd = -1;
    front->fd = connect_to(path);
    return front;
}

void front_negotiate(Front *front, uint64_t features, uint64_t protocol)
{
    front->offered = front_get_u64(front, WIRE_GET_FEATURES);
    if (front->offered & FRONT_BIT(WIRE_F_PROTOCOL_FEATURES)) {
        front->offered_protocol =
            front_get_u64(front, WIRE_GET_PROTOCOL_FEATURES);
        protocol &= front->offered_protocol;
        front_ask_u64(front, WIRE_SET_PROTOCOL_FEATURES, protocol);
        front->protocol = protocol;
    }
    front_ask(front, WIRE_SET_OWNER, NULL, 0, NULL, 0);
    /* A relic of drivers before version 1. */
    features &= ~FRONT_BIT(VIRTIO_F_NOTIFY_ON_EMPTY);
    front->features = front->offered & features;
    front_ask_u64(front, WIRE_SET_FEATURES, front->features);
}

Front *front_open(const char *path, uint64_t without)
{
    Front *front = front_connect(path);

    front_negotiate(front, ~(without | FRONT_BIT(VHOST_F_LOG_ALL)), ~0ull);
    front_share_memory(front);
    return front;
}

void front_return(Front *front, const char *path)
{
    uint64_t features = front->features, protocol = front->protocol;

    close(front->fd);
    front->fd = connect_to(path);
    front->features = front->protocol = 0;
    front_negotiate(front, features, protocol);
    front_share_memory(front);
}

void front_close(Front *front)
{
    close(front->fd);
    if (front->backend_fd >= 0) {
        close(front->backend_fd);
    }
    munmap(front->mem, FRONT_MEM_BYTES);
    close(front->mem_fd);
    g_free(front);
}

/* --- messages ------------------------------------------------------------ */

bool front_send_bytes(Front *front, const void *bytes, size_t size,
                      const int *fds, unsigned nr_fds)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * MOST_FDS)];
        struct cmsghdr align;
    } control = { 0 };
    struct iovec iov = { .iov_base = (void *)bytes, .iov_len = size };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (nr_fds) {
        struct cmsghdr *head = &control.align;

        g_assert_cmpuint(nr_fds, <=, MOST_FDS);
        msg.msg_control = &control;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
        memcpy(CMSG_DATA(head), fds, sizeof(int) * nr_fds);
    }
    return sendmsg(front->fd, &msg, MSG_NOSIGNAL) == (ssize_t)size;
}

bool front_send(Front *front, uint32_t request, uint32_t flags,
                const void *payload, uint32_t size, const int *fds,
                unsigned nr_fds)
{
    g_autofree uint8_t *bytes = g_malloc(sizeof(WireHeader) + size);
    WireHeader header = { request, WIRE_VERSION | flags, size };

    memcpy(bytes, &header, sizeof(header));
    if (size) {
        memcpy(bytes + sizeof(header), payload, size);
    }
    return front_send_bytes(front, bytes, sizeof(header) + size, fds, nr_fds);
}

/* Exactly @size bytes, and the file that came with the first of them. */
static bool receive_bytes(int fd, void *bytes, size_t size, int *file)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * MOST_FDS)];
        struct cmsghdr align;
    } control;

    for (size_t done = 0; done < size; ) {
        struct iovec iov = { (uint8_t *)bytes + done, size - done };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control) };
        ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        struct cmsghdr *head;

        if (got < 0 && errno == EAGAIN) {
            g_error("no message came, and no end");
        }
        if (got <= 0) {
            return false;
        }
        head = CMSG_FIRSTHDR(&msg);
        if (head && head->cmsg_type == SCM_RIGHTS) {
            memcpy(file, CMSG_DATA(head), sizeof(int));
        }
        done += got;
    }
    return true;
}

static bool receive_message(int fd, WireMsg *msg)
{
    memset(msg, 0, sizeof(*msg));
    msg->fd = -1;
    if (!receive_bytes(fd, &msg->header, sizeof(msg->header), &msg->fd)) {
        return false;
    }
    g_assert_cmpuint(msg->header.size, <=, sizeof(msg->bytes));
    return receive_bytes(fd, msg->bytes, msg->header.size, &msg->fd);
}

bool front_receive(Front *front, WireMsg *msg)
{
    if (!receive_message(front->fd, msg)) {
        return false;
    }
    /* Whether a reply repeats NEED_REPLY the specification leaves open. */
    g_assert_cmphex(msg->header.flags & ~WIRE_NEED_REPLY, ==,
                    WIRE_VERSION | WIRE_REPLY);
    return true;
}

FrontOutcome front_try(Front *front, uint32_t request, const void *payload,
                       uint32_t size, const int *fds, unsigned nr_fds)
{
    WireMsg reply;

    /* Without REPLY_ACK nothing but the end of the connection says no. */
    g_assert_true(front->protocol & FRONT_BIT(WIRE_P_REPLY_ACK));
    if (!front_send(front, request, WIRE_NEED_REPLY, payload, size, fds,
                    nr_fds) || !front_receive(front, &reply)) {
        return FRONT_CLOSED;
    }
    g_assert_cmpuint(reply.header.request, ==, request);
    g_assert_cmpuint(reply.header.size, ==, sizeof(uint64_t));
    return reply.u64 ? FRONT_REFUSED : FRONT_ACCEPTED;
}

void front_ask(Front *front, uint32_t request, const void *payload,
               uint32_t size, const int *fds, unsigned nr_fds)
{
    FrontOutcome outcome;

    if (front->protocol & FRONT_BIT(WIRE_P_REPLY_ACK)) {
        outcome = front_try(front, request, payload, size, fds, nr_fds);
    } else if (front_send(front, request, 0, payload, size, fds, nr_fds)) {
        outcome = front_alive(front) ? FRONT_ACCEPTED : FRONT_CLOSED;
    } else {
        outcome = FRONT_CLOSED;
    }
    if (outcome != FRONT_ACCEPTED) {
        g_error("request %u was %s", request,
                outcome == FRONT_CLOSED ? "answered by closing" : "refused");
    }
}

void front_ask_u64(Front *front, uint32_t request, uint64_t value)
{
    front_ask(front, request, &value, sizeof(value), NULL, 0);
}

void front_ask_state(Front *front, uint32_t request, unsigned index,
                     unsigned num)
{
    struct vhost_vring_state state = { index, num };

    front_ask(front, request, &state, sizeof(state), NULL, 0);
}

void front_ask_fd(Front *front, uint32_t request, unsigned index, int fd)
{
    uint64_t value = index;

    front_ask(front, request, &value, sizeof(value), &fd, 1);
}

static void get(Front *front, uint32_t request, const void *payload,
                uint32_t size, WireMsg *reply)
{
    if (!front_send(front, request, 0, payload, size, NULL, 0) ||
        !front_receive(front, reply)) {
        g_error("request %u was answered by closing", request);
    }
    g_assert_cmpuint(reply->header.request, ==, request);
}

uint64_t front_get_u64(Front *front, uint32_t request)
{
    WireMsg reply;

    get(front, request, NULL, 0, &reply);
    g_assert_cmpuint(reply.header.size, ==, sizeof(uint64_t));
    return reply.u64;
}

uint32_t front_get_base(Front *front, unsigned index)
{
    struct vhost_vring_state state = { index, 0 };
    WireMsg reply;

    get(front, WIRE_GET_VRING_BASE, &state, sizeof(state), &reply);
    g_assert_cmpuint(reply.header.size, ==, sizeof(state));
    g_assert_cmpuint(reply.state.index, ==, index);
    return reply.state.num;
}

uint32_t front_get_config(Front *front, uint32_t offset, uint32_t size,
                          void *bytes)
{
    WireConfig config = { .offset = offset, .size = size };
    WireMsg reply;

    g_assert_cmpuint(size, <=, sizeof(config.region));
    get(front, WIRE_GET_CONFIG, &config, WIRE_CONFIG_HEADER + size, &reply);
    if (reply.header.size == 0 || reply.config.size == 0) {
        return 0;
    }
    g_assert_cmpuint(reply.header.size, ==, WIRE_CONFIG_HEADER + size);
    g_assert_cmpuint(reply.config.offset, ==, offset);
    g_assert_cmpuint(reply.config.size, ==, size);
    memcpy(bytes, reply.config.region, size);
    return size;
}

/* As QEMU asks: to the end of the fields it knows. */
void front_get_blk_config(Front *front, struct virtio_blk_config *config)
{
    uint32_t size = offsetof(struct virtio_blk_config,
                             max_secure_erase_sectors);

    memset(config, 0, sizeof(*config));
    g_assert_cmpuint(front_get_config(front, 0, size, config), ==, size);
}

FrontOutcome front_try_config(Front *front, uint32_t offset, uint32_t size,
                              uint32_t flags, const void *bytes)
{
    WireConfig config = { .offset = offset, .size = size, .flags = flags };

    g_assert_cmpuint(size, <=, sizeof(config.region));
    memcpy(config.region, bytes, size);
    return front_try(front, WIRE_SET_CONFIG, &config,
                     WIRE_CONFIG_HEADER + size, NULL, 0);
}

bool front_alive(Front *front)
{
    WireMsg reply;

    if (!front_send(front, WIRE_GET_FEATURES, 0, NULL, 0, NULL, 0) ||
        !front_receive(front, &reply)) {
        return false;
    }
    /* The reply to anything else was not asked for. */
    g_assert_cmpuint(reply.header.request, ==, WIRE_GET_FEATURES);
    return true;
}

void front_sync(Front *front)
{
    if (!front_alive(front)) {
        g_error("the connection was closed");
    }
}

/* --- the back-end's channel ---------------------------------------------- */

void front_open_channel(Front *front)
{
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair),
                    ==, 0);
    front_ask(front, WIRE_SET_BACKEND_REQ_FD, NULL, 0, &pair[1], 1);
    close(pair[1]);
    front->backend_fd = pair[0];
}

bool front_channel_receive(Front *front, WireMsg *msg, int timeout_ms)
{
    struct pollfd waiting = { .fd = front->backend_fd, .events = POLLIN };

    if (poll(&waiting, 1, timeout_ms) == 0) {
        return false;
    }
    g_assert_true(receive_message(front->backend_fd, msg));
    if (msg->header.flags & WIRE_NEED_REPLY) {
        struct {
            WireHeader header;
            uint64_t u64;
        } __attribute__((packed)) reply = {
            { msg->header.request, WIRE_VERSION | WIRE_REPLY, 8 }, 0
        };

        g_assert_cmpint(write(front->backend_fd, &reply, sizeof(reply)), ==,
                        sizeof(reply));
    }
    return true;
}
