/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server: the socket of an export
 *
 * Owns: listening, who is connected.
 * Must not know: messages, rings, requests.
 * Threads: main loop only.
 */

#include "qemu/osdep.h"
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"

#include "vub-guard.h"
#include "vub-server.h"
#include "trace.h"

/*
 * Two are connected while a guest goes from one to the other. The rest is room
 * for some that have died, and whose requests still run.
 */
#define MAX_CLIENTS 8

/* All that listen, to find whose memory is gone */
static QLIST_HEAD(, VubServer) servers = QLIST_HEAD_INITIALIZER(servers);

/* Memory of a client is gone. */
static void memory_is_gone(void *opaque)
{
    uint64_t count;
    VubServer *s;
    VubClient *c;

    if (read(vub_guard_event_fd(), &count, sizeof(count)) < 0) {
        return;
    }
    QLIST_FOREACH(s, &servers, next) {
        QLIST_FOREACH(c, &s->clients, next) {
            if (vub_client_is_lost(c, NULL)) {
                /* Its coroutine finds the end of the connection. */
                qio_channel_shutdown(QIO_CHANNEL(c->ioc),
                                     QIO_CHANNEL_SHUTDOWN_BOTH, NULL);
            }
        }
        vub_server_wake(s);
    }
}

/*
 * In a coroutine: those who wait are entered when it has ended, each one once.
 * Otherwise each would be entered from the loop over all, and who goes on
 * waiting would be found there again, for ever.
 */
static void coroutine_fn wake_entry(void *opaque)
{
    VubServer *s = opaque;

    qemu_co_queue_restart_all(&s->turn);
}

void vub_server_wake(VubServer *s)
{
    qemu_coroutine_enter(qemu_coroutine_create(wake_entry, s));
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

static void watch_memory(bool on)
{
    aio_set_fd_handler(qemu_get_aio_context(), vub_guard_event_fd(),
                       on ? memory_is_gone : NULL, NULL, NULL, NULL, NULL);
}

void vub_server_client_gone(VubServer *s)
{
    s->nr_clients--;
    s->full_told = false;
    blk_exp_unref(s->exp);
}

/* It is cut off: an answer that never comes would keep it, and its monitor. */
static void refuse_client(VubServer *s)
{
    trace_vub_server_refuse(s->exp->id, s->nr_clients);
    if (!s->full_told && vub_server_may_report(s)) {
        warn_report("export '%s': a client is refused, there are %u already",
                    s->exp->id, s->nr_clients);
        s->full_told = true;
    }
}

static void accept_client(QIONetListener *listener, QIOChannelSocket *sioc,
                          gpointer opaque)
{
    VubServer *s = opaque;
    QIOChannel *ioc = QIO_CHANNEL(sioc);
    VubClient *c;

    if (s->stopping) {
        return;
    }
    if (s->nr_clients == MAX_CLIENTS) {
        refuse_client(s);
        return;
    }
    trace_vub_server_connect(s->exp->id);
    s->nr_clients++;
    c = g_new0(VubClient, 1);
    c->server = s;
    c->ioc = sioc;
    object_ref(OBJECT(sioc));
    qio_channel_set_name(ioc, "vhost-user-blk client");
    qio_channel_set_blocking(ioc, false, NULL);
    /* It must be heard while the main loop waits for its own AioContext. */
    qio_channel_set_follow_coroutine_ctx(ioc, true);
    blk_exp_ref(s->exp);
    aio_co_enter(qemu_get_aio_context(),
                 qemu_coroutine_create(vub_client_entry, c));
}

static void resized_bh(void *opaque)
{
    VubServer *s = opaque;
    VubClient *c;
    int64_t length = blk_getlength(s->exp->blk);

    if (length < 0) {
        error_report("export '%s': the new size is unknown: %s", s->exp->id,
                     strerror(-length));
    } else {
        s->config.capacity_bytes = length;
        qatomic_set(&s->backend.disk.capacity_bytes, length);
        QLIST_FOREACH(c, &s->clients, next) {
            c->config_changed = true;
            vub_control_send_config_change(c);
        }
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
    QLIST_INIT(&s->clients);
    qemu_co_mutex_init(&s->lock);
    qemu_co_queue_init(&s->turn);
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
    qio_net_listener_set_client_func(s->listener, accept_client, s, NULL);
    return true;
}

void vub_server_stop(VubServer *s)
{
    VubClient *c;

    s->stopping = true;
    QLIST_REMOVE(s, next);
    if (QLIST_EMPTY(&servers)) {
        watch_memory(false);
    }
    qio_net_listener_disconnect(s->listener);
    object_unref(OBJECT(s->listener));
    s->listener = NULL;
    QLIST_FOREACH(c, &s->clients, next) {
        qio_channel_shutdown(QIO_CHANNEL(c->ioc), QIO_CHANNEL_SHUTDOWN_BOTH,
                             NULL);
    }
    vub_server_wake(s);
}
