/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server: the socket of an export, and the one front-end on it
 *
 * One front-end at a time; another one waits in the socket's backlog until the
 * first is gone. All of it runs in the main loop, as a coroutine that hops
 * into a queue's thread when it changes something there.
 */

#ifndef OPUS_VUB_SERVER_H
#define OPUS_VUB_SERVER_H

#include "block/export.h"
#include "io/channel-socket.h"
#include "io/net-listener.h"

#include "vub-config.h"
#include "vub-device.h"
#include "vub-queue.h"
#include "vub-quiet.h"

typedef struct VubServer {
    /* Set by the export before vub_server_start() */
    BlockExport *exp;
    VubBackend backend;
    VubConfig config;           /* @wce and @capacity_bytes change */
    VubQueue *queues;
    unsigned num_queues;
    unsigned max_ring_size;
    bool register_memory;

    /* The server's; main loop */
    QIONetListener *listener;
    QIOChannelSocket *client;   /* NULL: nobody is connected */
    VubDevice dev;
    bool cache_set;             /* since this client came, see vub-control.c */
    bool wce_known;             /* it is the choice of this client's driver */
    int backend_fd;             /* for messages to the front-end */
    bool config_changed;        /* and it has not been told */
    bool stopping;
    bool lost;                  /* memory of the client vanished */
    VubQuiet quiet;             /* of messages about clients */
    QLIST_ENTRY(VubServer) next;
    /*
     * The coroutine is in a queue's thread, or waits for the block layer. A
     * drained section waits for it: the queue's thread must not change.
     */
    unsigned away;
} VubServer;

/* Listens on @addr. The rest happens by itself from here on. */
bool vub_server_start(VubServer *s, SocketAddress *addr, Error **errp);
/*
 * Lets nobody in any more, and cuts the connection. The server has a reference
 * to the export as long as there is a client.
 */
void vub_server_stop(VubServer *s);

/* The node's size may have changed; any thread. */
void vub_server_resized(VubServer *s);

/* --- between vub-server.c and vub-control.c --- */

extern const VubDeviceOps vub_control_ops;

/* Nothing is known of the client's guest, so nothing is cached yet. */
void vub_control_forget_cache(VubServer *s);

/*
 * True if something may be said about a client. Who has it that something was
 * done wrong can do so as often as it likes.
 */
bool vub_server_may_report(VubServer *s);

/* Tells the front-end of a change of the configuration space, if it can be. */
void vub_control_send_config_change(VubServer *s);

#endif /* OPUS_VUB_SERVER_H */
