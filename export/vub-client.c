/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client: one front-end's connection, from the first message to the last
 *
 * Owns: reading and answering messages; which client has the queues.
 * Must not know: what a message means, rings, requests.
 * Threads: main loop only.
 * Invariants: whatever a client sends, only its own connection suffers. Each
 * descriptor that came is taken or closed. Another client gets the queues only
 * under the lock, and never while the one that has them has a started ring.
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"

#include <poll.h>

#include "vub-server.h"
#include "trace.h"

/* More than it takes to set up most devices; all others wait meanwhile. */
#define MESSAGES_AT_ONCE 16

/*
 * Reads @bytes; with @msg, takes the descriptors that come along. False at
 * the end of the connection, with @errp if it is not one between messages.
 */
static bool coroutine_fn read_full(VubClient *c, void *buf, size_t bytes,
                                   VubMessage *msg, Error **errp)
{
    QIOChannel *ioc = QIO_CHANNEL(c->ioc);
    size_t done = 0;

    while (done < bytes) {
        struct iovec iov = { (uint8_t *)buf + done, bytes - done };
        g_autofree int *fds = NULL;
        size_t nr_fds = 0;
        ssize_t ret = qio_channel_readv_full(ioc, &iov, 1, msg ? &fds : NULL,
                                             msg ? &nr_fds : NULL, 0, errp);

        if (ret == QIO_CHANNEL_ERR_BLOCK) {
            qio_channel_yield(ioc, G_IO_IN);
            continue;
        }
        for (size_t i = 0; i < nr_fds; i++) {
            if (msg->nr_fds < VUB_MESSAGE_MAX_FDS) {
                msg->fds[msg->nr_fds++] = fds[i];
            } else {
                close(fds[i]);
                error_setg(errp, "more than %d descriptors in a message",
                           VUB_MESSAGE_MAX_FDS);
                ret = -1;
                errp = NULL;
            }
        }
        if (ret == 0 && (done || !msg)) {
            error_setg(errp, "the connection ended inside of a message");
        }
        if (ret <= 0) {
            return false;
        }
        done += ret;
    }
    return true;
}

static bool coroutine_fn read_message(VubClient *c, VubMessage *msg,
                                      Error **errp)
{
    const char *why;

    msg->nr_fds = 0;
    if (!read_full(c, &msg->header, sizeof(msg->header), msg, errp)) {
        return false;
    }
    if (msg->header.payload_bytes > sizeof(msg->payload)) {
        error_setg(errp, "%s (%" PRIu32 ") has a payload of %" PRIu32 " bytes",
                   vub_message_name(msg->header.request), msg->header.request,
                   msg->header.payload_bytes);
        return false;
    }
    memset(&msg->payload, 0, sizeof(msg->payload));
    if (!read_full(c, &msg->payload, msg->header.payload_bytes, NULL, errp)) {
        return false;
    }
    why = vub_message_check(msg);
    if (why) {
        error_setg(errp, "%s (%" PRIu32 ") %s",
                   vub_message_name(msg->header.request), msg->header.request,
                   why);
        return false;
    }
    for (unsigned i = 0; i < msg->nr_fds; i++) {
        if (msg->header.request != VUB_SET_MEM_TABLE &&
            msg->header.request != VUB_ADD_MEM_REG) {
            /*
             * The channel has made it block, for the client too. We don't rely
             * on this (vub-notify.c), clients do.
             */
            g_unix_set_fd_nonblocking(msg->fds[i], true, NULL);
        }
    }
    return true;
}

static bool coroutine_fn send_reply(VubClient *c, VubMessage *msg,
                                    Error **errp)
{
    struct iovec iov[] = {
        { &msg->header, sizeof(msg->header) },
        { &msg->payload, msg->header.payload_bytes },
    };

    msg->header.flags = VUB_MSG_VERSION | VUB_MSG_REPLY;
    return qio_channel_writev_full_all(QIO_CHANNEL(c->ioc), iov,
                                       ARRAY_SIZE(iov), msg->fds,
                                       msg->nr_fds, 0, errp) == 0;
}

/*
 * What a client's memory led to is not to be relied on once some of it is
 * gone. Nothing of it is acknowledged any more, no message either: it has to
 * connect again, map its memory anew, and bring what is in flight.
 */
bool vub_client_is_lost(VubClient *c, Error **errp)
{
    c->lost |= vub_device_lost(&c->dev);
    if (c->lost) {
        error_setg(errp, "memory that it shares is gone: its file became "
                   "shorter, a page has a memory error, or none can be had "
                   "for it (huge pages, space in the file system)");
    }
    return c->lost;
}

bool vub_client_is_running(const VubClient *c)
{
    for (unsigned i = 0; i < c->server->num_queues; i++) {
        if (c->dev.vrings[i].started) {
            return true;
        }
    }
    return false;
}

/*
 * Each client's mappings are limited (vub-memory.h). Those of one export are
 * limited to the same: more connections of a client get it no more memory.
 */
static bool share_too_much(const VubServer *s, Error **errp)
{
    uint64_t bytes = 0;
    VubClient *c;

    QLIST_FOREACH(c, &s->clients, next) {
        bytes += c->leaving ? 0 : vub_memory_bytes(c->dev.mem);
    }
    if (bytes > VUB_MEMORY_MAX_BYTES) {
        error_setg(errp, "the clients of an export may share 0x%llx bytes "
                   "together, with this one it would be 0x%" PRIx64,
                   VUB_MEMORY_MAX_BYTES, bytes);
        return true;
    }
    return false;
}

static bool has_hung_up(const VubClient *c)
{
    struct pollfd look = { .fd = c->ioc->fd, .events = POLLRDHUP };

    return poll(&look, 1, 0) == 1;
}

static gboolean waiter_hung_up(QIOChannel *ioc, GIOCondition condition,
                               gpointer opaque)
{
    vub_server_wake(opaque);
    return G_SOURCE_REMOVE;
}

/* Releases the lock meanwhile. What @c sends is left where it is. */
static void coroutine_fn wait_for_turn(VubClient *c)
{
    VubServer *s = c->server;
    GSource *watch = qio_channel_add_watch_source(QIO_CHANNEL(c->ioc), G_IO_HUP,
                                                  waiter_hung_up, s, NULL,
                                                  NULL);

    qemu_co_queue_wait(&s->turn, &s->lock);
    g_source_destroy(watch);
    g_source_unref(watch);
}

bool coroutine_fn vub_client_take_turn(VubClient *c)
{
    VubServer *s = c->server;
    bool told = false;

    while (s->current && s->current != c &&
           vub_client_is_running(s->current)) {
        /* Requests in the rings of a client that is gone are not to be done. */
        if (s->stopping || has_hung_up(c)) {
            return false;
        }
        if (!told && !has_hung_up(s->current) && vub_server_may_report(s)) {
            warn_report("export '%s': a client wants to start while the queues "
                        "of another one run; it waits until those are stopped",
                        s->exp->id);
            told = true;
        }
        wait_for_turn(c);
    }
    if (s->stopping || has_hung_up(c)) {
        return false;
    }
    if (s->current != c) {
        if (s->current) {
            vub_control_step_down(s->current);
        }
        s->current = c;
        vub_control_step_up(c);
    }
    return true;
}

/* False: the connection is to be cut, for the reason in @errp. */
static bool coroutine_fn handle(VubClient *c, VubMessage *msg, bool *has_reply,
                                Error **errp)
{
    g_autoptr(GError) err = NULL;
    const char *id = c->server->exp->id;
    uint32_t request = msg->header.request;
    bool needs_reply = msg->header.flags & VUB_MSG_NEED_REPLY;
    bool good = vub_device_handle(&c->dev, msg, has_reply, &err);
    /* After: Linux's virtio_uml wants to know of what negotiates it, too. */
    bool acknowledge = needs_reply &&
                       vub_device_has_protocol(&c->dev,
                                               VUB_PROTOCOL_F_REPLY_ACK);

    trace_vub_server_message(id, vub_message_name(request), request,
                             good ? "" : err->message);
    if (vub_client_is_lost(c, errp) || share_too_much(c->server, errp)) {
        return false;
    }
    if (c->config_changed) {
        vub_control_send_config_change(c);
    }
    if (!good && !vub_message_is_known(request) && !acknowledge) {
        /* From a time to come, perhaps; it doesn't wait for an answer. */
        return true;
    }
    if (!good && !acknowledge) {
        error_setg(errp, "%s: %s", vub_message_name(request), err->message);
        return false;
    }
    if (!good && vub_server_may_report(c->server)) {
        warn_report("export '%s': the client's %s is refused: %s", id,
                    vub_message_name(request), err->message);
    }
    if (!*has_reply && acknowledge) {
        vub_message_close_fds(msg);
        msg->payload.u64 = !good;
        msg->header.payload_bytes = sizeof(msg->payload.u64);
        *has_reply = true;
    }
    return true;
}

static bool coroutine_fn read_and_handle(VubClient *c, Error **errp)
{
    VubServer *s = c->server;
    VubMessage msg;
    bool has_reply = false;
    bool good = read_message(c, &msg, errp);

    if (good) {
        qemu_co_mutex_lock(&s->lock);
        good = handle(c, &msg, &has_reply, errp);
        c->leaving = !good;
        if (s->current == c && !vub_client_is_running(c)) {
            qemu_co_queue_restart_all(&s->turn);
        }
        qemu_co_mutex_unlock(&s->lock);
    }
    /* Without the lock: a client that reads no answers waits alone. */
    if (good && has_reply) {
        good = send_reply(c, &msg, errp);
    }
    vub_message_close_fds(&msg);
    return good;
}

static void coroutine_fn disconnect(VubClient *c)
{
    VubServer *s = c->server;

    /* No answer is heard any more, but requests under way must end. */
    qio_channel_shutdown(QIO_CHANNEL(c->ioc), QIO_CHANNEL_SHUTDOWN_BOTH, NULL);
    qemu_co_mutex_lock(&s->lock);
    QLIST_REMOVE(c, next);
    vub_device_destroy(&c->dev);
    if (s->current == c) {
        s->current = NULL;
        qemu_co_queue_restart_all(&s->turn);
    }
    qemu_co_mutex_unlock(&s->lock);
    qio_channel_close(QIO_CHANNEL(c->ioc), NULL);
    object_unref(OBJECT(c->ioc));
    g_free(c->held);
    g_free(c);
    vub_server_client_gone(s);
}

/*
 * While there is something to read the coroutine would go on for ever, and the
 * main loop has more to do.
 */
static void coroutine_fn let_others_go_on(void)
{
    aio_co_schedule(qemu_get_aio_context(), qemu_coroutine_self());
    qemu_coroutine_yield();
}

void coroutine_fn vub_client_entry(void *opaque)
{
    VubClient *c = opaque;
    VubServer *s = c->server;
    unsigned nr_messages = 0;
    Error *err = NULL;

    c->backend_fd = -1;
    c->wce = s->config.volatile_cache;
    c->held = g_new(VubHeldFds, s->num_queues);
    for (unsigned i = 0; i < s->num_queues; i++) {
        c->held[i] = (VubHeldFds) { -1, -1 };
    }
    vub_device_init(&c->dev, &vub_control_ops, c,
                    vub_config_features(&s->config), s->num_queues,
                    s->max_ring_size);
    QLIST_INSERT_HEAD(&s->clients, c, next);
    while (read_and_handle(c, &err)) {
        if (++nr_messages % MESSAGES_AT_ONCE == 0) {
            let_others_go_on();
        }
    }
    if (!err) {
        vub_client_is_lost(c, &err);
    }
    if (err && !s->stopping && vub_server_may_report(s)) {
        error_reportf_err(err, "export '%s': the client is disconnected: ",
                          s->exp->id);
    } else {
        error_free(err);
    }
    trace_vub_server_disconnect(s->exp->id);
    disconnect(c);
}
