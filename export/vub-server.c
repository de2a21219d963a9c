/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server: the socket of an export, and the one front-end on it
 *
 * Owns: listening, the connection, reading and answering messages.
 * Must not know: what a message means, rings, requests.
 * Threads: main loop only.
 * Invariants: whatever a client sends, only its own connection suffers; each
 * descriptor that came is taken by somebody or closed.
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"

#include "vub-guard.h"
#include "vub-server.h"
#include "trace.h"

/* More than it takes to set up most devices; all others wait meanwhile. */
#define MESSAGES_AT_ONCE 16

/* All that listen, to find whose memory is gone */
static QLIST_HEAD(, VubServer) servers = QLIST_HEAD_INITIALIZER(servers);

static void accept_client(QIONetListener *listener, QIOChannelSocket *sioc,
                          gpointer opaque);

/*
 * Reads @bytes; with @msg, takes the descriptors that come along. False at
 * the end of the connection, with @errp if it is not one between messages.
 */
static bool coroutine_fn read_full(VubServer *s, void *buf, size_t bytes,
                                   VubMessage *msg, Error **errp)
{
    QIOChannel *ioc = QIO_CHANNEL(s->client);
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

static bool coroutine_fn read_message(VubServer *s, VubMessage *msg,
                                      Error **errp)
{
    const char *why;

    msg->nr_fds = 0;
    if (!read_full(s, &msg->header, sizeof(msg->header), msg, errp)) {
        return false;
    }
    if (msg->header.payload_bytes > sizeof(msg->payload)) {
        error_setg(errp, "%s (%" PRIu32 ") has a payload of %" PRIu32 " bytes",
                   vub_message_name(msg->header.request), msg->header.request,
                   msg->header.payload_bytes);
        return false;
    }
    memset(&msg->payload, 0, sizeof(msg->payload));
    if (!read_full(s, &msg->payload, msg->header.payload_bytes, NULL, errp)) {
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

static bool coroutine_fn send_reply(VubServer *s, VubMessage *msg,
                                    Error **errp)
{
    struct iovec iov[] = {
        { &msg->header, sizeof(msg->header) },
        { &msg->payload, msg->header.payload_bytes },
    };

    msg->header.flags = VUB_MSG_VERSION | VUB_MSG_REPLY;
    return qio_channel_writev_full_all(QIO_CHANNEL(s->client), iov,
                                       ARRAY_SIZE(iov), msg->fds,
                                       msg->nr_fds, 0, errp) == 0;
}

bool vub_server_may_report(VubServer *s)
{
    unsigned nr_unsaid;
    bool may = vub_quiet_may(&s->quiet,
                             qemu_clock_get_ns(QEMU_CLOCK_REALTIME),
                             &nr_unsaid);

    if (nr_unsaid) {
        warn_report("export '%s': %u more messages about its clients were left "
                    "out", s->exp->id, nr_unsaid);
    }
    return may;
}

/*
 * What a client's memory led to is not to be relied on once some of it is
 * gone. Nothing of it is acknowledged any more, no message either: it has to
 * connect again, map its memory anew, and bring what is in flight.
 */
static bool is_lost(VubServer *s, Error **errp)
{
    s->lost |= vub_device_lost(&s->dev);
    if (s->lost) {
        error_setg(errp, "memory that it shares is gone: its file became "
                   "shorter, a page has a memory error, or none can be had "
                   "for it (huge pages, space in the file system)");
    }
    return s->lost;
}

/* Somebody's memory is gone. */
static void memory_is_gone(void *opaque)
{
    uint64_t count;
    VubServer *s;

    if (read(vub_guard_event_fd(), &count, sizeof(count)) < 0) {
        return;
    }
    QLIST_FOREACH(s, &servers, next) {
        if (s->client && is_lost(s, NULL)) {
            /* Its coroutine finds the end of the connection. */
            qio_channel_shutdown(QIO_CHANNEL(s->client),
                                 QIO_CHANNEL_SHUTDOWN_BOTH, NULL);
        }
    }
}

static void watch_memory(bool on)
{
    aio_set_fd_handler(qemu_get_aio_context(), vub_guard_event_fd(),
                       on ? memory_is_gone : NULL, NULL, NULL, NULL, NULL);
}

/* False: the connection is to be cut, for the reason in @errp. */
static bool coroutine_fn handle(VubServer *s, VubMessage *msg, Error **errp)
{
    g_autoptr(GError) err = NULL;
    uint32_t request = msg->header.request;
    bool needs_reply = msg->header.flags & VUB_MSG_NEED_REPLY;
    bool has_reply;
    bool good = vub_device_handle(&s->dev, msg, &has_reply, &err);
    /* After: Linux's virtio_uml wants to know of what negotiates it, too. */
    bool acknowledge = needs_reply &&
                       vub_device_has_protocol(&s->dev,
                                               VUB_PROTOCOL_F_REPLY_ACK);

    trace_vub_server_message(s->exp->id, vub_message_name(request), request,
                             good ? "" : err->message);
    if (is_lost(s, errp)) {
        return false;
    }
    if (!good && !vub_message_is_known(request) && !acknowledge) {
        /* From a time to come, perhaps; it doesn't wait for an answer. */
        return true;
    }
    if (!good && !acknowledge) {
        error_setg(errp, "%s: %s", vub_message_name(request), err->message);
        return false;
    }
    if (!good && vub_server_may_report(s)) {
        warn_report("export '%s': the client's %s is refused: %s", s->exp->id,
                    vub_message_name(request), err->message);
    }
    if (!has_reply && acknowledge) {
        vub_message_close_fds(msg);
        msg->payload.u64 = !good;
        msg->header.payload_bytes = sizeof(msg->payload.u64);
        has_reply = true;
    }
    return !has_reply || send_reply(s, msg, errp);
}

static void listen_for_clients(VubServer *s, bool on)
{
    qio_net_listener_set_client_func(s->listener, on ? accept_client : NULL,
                                     on ? s : NULL, NULL);
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

static void coroutine_fn client_entry(void *opaque)
{
    VubServer *s = opaque;
    BlockExport *exp = s->exp;
    Error *err = NULL;
    unsigned nr_messages = 0;
    bool good = true;

    vub_control_forget_cache(s);
    vub_device_init(&s->dev, &vub_control_ops, s,
                    vub_config_features(&s->config), s->num_queues,
                    s->max_ring_size);
    s->lost = false;
    while (good) {
        VubMessage msg;

        good = read_message(s, &msg, &err) && handle(s, &msg, &err);
        vub_message_close_fds(&msg);
        if (++nr_messages % MESSAGES_AT_ONCE == 0) {
            let_others_go_on();
        }
    }
    if (!err) {
        is_lost(s, &err);
    }
    if (err && !s->stopping && vub_server_may_report(s)) {
        error_reportf_err(err, "export '%s': the client is disconnected: ",
                          exp->id);
    } else {
        error_free(err);
    }
    trace_vub_server_disconnect(exp->id);

    /* Nobody hears an answer any more, but requests under way must end. */
    qio_channel_shutdown(QIO_CHANNEL(s->client), QIO_CHANNEL_SHUTDOWN_BOTH,
                         NULL);
    vub_device_destroy(&s->dev);
    qio_channel_close(QIO_CHANNEL(s->client), NULL);
    object_unref(OBJECT(s->client));
    s->client = NULL;
    if (!s->stopping) {
        listen_for_clients(s, true);
    }
    blk_exp_unref(exp);
}

static void accept_client(QIONetListener *listener, QIOChannelSocket *sioc,
                          gpointer opaque)
{
    VubServer *s = opaque;
    QIOChannel *ioc = QIO_CHANNEL(sioc);

    if (s->client || s->stopping) {
        return;
    }
    trace_vub_server_connect(s->exp->id);
    listen_for_clients(s, false);
    s->client = sioc;
    object_ref(OBJECT(sioc));
    qio_channel_set_name(ioc, "vhost-user-blk client");
    qio_channel_set_blocking(ioc, false, NULL);
    /* It must be heard while the main loop waits for its own AioContext. */
    qio_channel_set_follow_coroutine_ctx(ioc, true);
    blk_exp_ref(s->exp);
    aio_co_enter(qemu_get_aio_context(),
                 qemu_coroutine_create(client_entry, s));
}

static void resized_bh(void *opaque)
{
    VubServer *s = opaque;
    int64_t length = blk_getlength(s->exp->blk);

    if (length < 0) {
        error_report("export '%s': the new size is unknown: %s", s->exp->id,
                     strerror(-length));
    } else {
        s->config.capacity_bytes = length;
        qatomic_set(&s->backend.disk.capacity_bytes, length);
        s->config_changed = true;
        vub_control_send_config_change(s);
    }
    blk_exp_unref(s->exp);
}

void vub_server_resized(VubServer *s)
{
    blk_exp_ref(s->exp);
    aio_bh_schedule_oneshot(qemu_get_aio_context(), resized_bh, s);
}

bool vub_server_start(VubServer *s, SocketAddress *addr, Error **errp)
{
    if (addr->type != SOCKET_ADDRESS_TYPE_UNIX &&
        addr->type != SOCKET_ADDRESS_TYPE_FD) {
        error_setg(errp, "Only socket address types 'unix' and 'fd' are "
                   "supported");
        return false;
    }
    s->backend_fd = -1;
    s->listener = qio_net_listener_new();
    if (qio_net_listener_open_sync(s->listener, addr, 1, errp) < 0) {
        object_unref(OBJECT(s->listener));
        s->listener = NULL;
        return false;
    }
    qio_net_listener_set_name(s->listener, "vhost-user-blk listener");
    if (QLIST_EMPTY(&servers)) {
        watch_memory(true);
    }
    QLIST_INSERT_HEAD(&servers, s, next);
    listen_for_clients(s, true);
    return true;
}

void vub_server_stop(VubServer *s)
{
    s->stopping = true;
    QLIST_REMOVE(s, next);
    if (QLIST_EMPTY(&servers)) {
        watch_memory(false);
    }
    qio_net_listener_disconnect(s->listener);
    object_unref(OBJECT(s->listener));
    s->listener = NULL;
    if (s->client) {
        qio_channel_shutdown(QIO_CHANNEL(s->client),
                             QIO_CHANNEL_SHUTDOWN_BOTH, NULL);
    }
}
