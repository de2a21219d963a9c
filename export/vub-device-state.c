/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: its state, as it travels with a guest to another host
 *
 * Owns: the format, and the channel that the front-end gives for it.
 * Must not know: as vub-device.c.
 * Threads: one at a time.
 * Invariants: no call waits, whatever the front-end does to the channel.
 *
 * The rings' state is the front-end's. Ours is what the driver chose for the
 * write cache: 16 bytes, little endian.
 *      0  "opusvub", 0
 *      8  version, 4 bytes
 *     12  1 if the cache is on
 *     13  0, 3 bytes
 */

#include "vub-device.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vub-error.h"

#define STATE_BYTES 16
#define STATE_VERSION 1
#define CACHE_OFFSET 12

static const uint8_t head[CACHE_OFFSET] = {
    'o', 'p', 'u', 's', 'v', 'u', 'b', 0, STATE_VERSION, 0, 0, 0,
};

/*
 * The channel's own end of ours. The front-end shares the open file that it
 * sent, and could have it block; not so one that we open. Returns -1 if it's
 * neither a pipe nor a socket: others may block in any case.
 */
static int own_channel(int fd, bool writes)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    struct stat info;
    int own;

    if (fstat(fd, &info) < 0 ||
        !(S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode))) {
        return -1;
    }
    if (S_ISFIFO(info.st_mode)) {
        own = open(path, (writes ? O_WRONLY : O_RDONLY) | O_NONBLOCK |
                   O_CLOEXEC);
        if (own >= 0) {
            return own;
        }
        /* It may be another user's. */
    }
    own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own >= 0) {
        fcntl(own, F_SETFL, O_NONBLOCK);
    }
    return own;
}

static bool is_ready(int fd, short events)
{
    struct pollfd look = { .fd = fd, .events = events };

    return poll(&look, 1, 0) == 1;
}

static bool send_state(int fd, const uint8_t *state)
{
    ssize_t ret = send(fd, state, STATE_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (ret < 0 && errno == ENOTSOCK && is_ready(fd, POLLOUT)) {
        ret = write(fd, state, STATE_BYTES);
    }
    return ret == STATE_BYTES;
}

/* All of it, and its end. */
static bool receive_state(int fd, uint8_t *state)
{
    uint8_t bytes[STATE_BYTES + 1];
    size_t done = 0;

    while (done < sizeof(bytes)) {
        ssize_t ret = recv(fd, bytes + done, sizeof(bytes) - done,
                           MSG_DONTWAIT);

        if (ret < 0 && errno == ENOTSOCK && is_ready(fd, POLLIN)) {
            ret = read(fd, bytes + done, sizeof(bytes) - done);
        }
        if (ret < 0) {
            return false;
        }
        if (ret == 0) {
            break;
        }
        done += ret;
    }
    memcpy(state, bytes, STATE_BYTES);
    return done == STATE_BYTES;
}

static bool save(VubDevice *dev, int fd)
{
    uint8_t state[STATE_BYTES] = { 0 };

    memcpy(state, head, sizeof(head));
    state[CACHE_OFFSET] = dev->ops->get_cache(dev->opaque);
    return send_state(fd, state);
}

static bool load(VubDevice *dev)
{
    static const uint8_t tail[STATE_BYTES - CACHE_OFFSET - 1];
    uint8_t state[STATE_BYTES];

    if (!receive_state(dev->state_fd, state) ||
        memcmp(state, head, sizeof(head)) || state[CACHE_OFFSET] > 1 ||
        memcmp(state + CACHE_OFFSET + 1, tail, sizeof(tail))) {
        return false;
    }
    dev->ops->restore_cache(dev->opaque, state[CACHE_OFFSET]);
    if (dev->inflight) {
        vub_inflight_note_cache(dev->inflight,
                                dev->ops->get_cache(dev->opaque));
    }
    return true;
}

void vub_device_forget_state(VubDevice *dev)
{
    if (dev->state_fd >= 0) {
        close(dev->state_fd);
    }
    dev->state_fd = -1;
    dev->state_saved = false;
}

static bool is_suspended(const VubDevice *dev)
{
    for (unsigned i = 0; i < dev->num_queues; i++) {
        if (dev->vrings[i].started) {
            return false;
        }
    }
    return true;
}

/* False: the front-end is told so. */
static bool set_state_fd(VubDevice *dev, const VubMessage *msg)
{
    const VubMsgTransfer *transfer = &msg->payload.transfer;
    bool saves = transfer->direction == VUB_TRANSFER_SAVE;
    int fd;

    vub_device_forget_state(dev);
    if (transfer->direction > VUB_TRANSFER_LOAD || transfer->phase != 0 ||
        !is_suspended(dev)) {
        return false;
    }
    fd = own_channel(msg->fds[0], saves);
    if (fd < 0) {
        return false;
    }
    if (saves) {
        dev->state_saved = save(dev, fd);
        close(fd);
        return dev->state_saved;
    }
    /* It is there, to its end, when the front-end asks if it was good. */
    dev->state_fd = fd;
    return true;
}

void vub_device_handle_state(VubDevice *dev, VubMessage *msg)
{
    bool good;

    if (msg->header.request == VUB_SET_DEVICE_STATE_FD) {
        good = set_state_fd(dev, msg);
        msg->payload.u64 = VUB_TRANSFER_NO_FD | !good;
    } else {
        good = dev->state_saved || (dev->state_fd >= 0 && load(dev));
        vub_device_forget_state(dev);
        msg->payload.u64 = !good;
    }
    vub_message_close_fds(msg);
    msg->header.payload_bytes = sizeof(msg->payload.u64);
}
