/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server: the socket of an export, and the front-ends on it
 *
 * Several may be connected, and all are answered, but the queues are those of
 * one: the current client. Another one becomes that when it wants its rings
 * started and those of the current one are stopped, or waits until they are.
 * So a guest can be sent from one front-end to the next by the same export.
 *
 * All of it runs in the main loop, each client as a coroutine that hops into a
 * queue's thread when it changes something there.
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

typedef struct VubServer VubServer;

/* Descriptors that a queue gets when the client becomes the current one */
typedef struct VubHeldFds {
    int call;
    int err;
} VubHeldFds;

typedef struct VubClient {
    VubServer *server;
    QIOChannelSocket *ioc;
    VubDevice dev;
    VubHeldFds *held;           /* for each queue; -1 in the current client's */
    bool wce;                   /* what the guest is told of its cache */
    bool wce_known;             /* it is the choice of this client's driver */
    bool lost;                  /* memory of the client vanished */
    bool leaving;               /* cut for what it sent, but not freed yet */
    bool config_changed;        /* and it has not been told */
    int backend_fd;             /* for messages to the front-end */
    QLIST_ENTRY(VubClient) next;
} VubClient;

struct VubServer {
    /* Set by the export before vub_server_start() */
    BlockExport *exp;
    VubBackend backend;
    VubConfig config;           /* @capacity_bytes changes */
    VubQueue *queues;
    unsigned num_queues;
    unsigned max_ring_size;
    bool register_memory;

    /* The server's; main loop */
    QIONetListener *listener;
    QLIST_HEAD(, VubClient) clients;
    unsigned nr_clients;
    VubClient *current;         /* has the queues; NULL: no client has */
    CoMutex lock;               /* one message at a time */
    CoQueue turn;               /* clients that wait to get them */
    bool cache_set;             /* for the current one, see vub-control.c */
    bool stopping;
    bool full_told;             /* that there is no room, since there was */
    VubQuiet quiet;             /* of messages about clients */
    QLIST_ENTRY(VubServer) next;
    /*
     * A coroutine is in a queue's thread, or waits for the block layer. A
     * drained section waits for it: the queue's thread must not change.
     */
    unsigned away;
};

/* Listens on @addr. The rest happens by itself from here on. */
bool vub_server_start(VubServer *s, SocketAddress *addr, Error **errp);
/*
 * Takes no connections any more, and cuts those that there are. The server has
 * a reference to the export for each client.
 */
void vub_server_stop(VubServer *s);

/* The node's size may have changed; any thread. */
void vub_server_resized(VubServer *s);

/* --- between vub-server.c, vub-client.c and vub-control.c --- */

/* Their opaque is the client. */
extern const VubDeviceOps vub_control_ops;

/*
 * Makes @c the current client, when the one that is has no ring started. False:
 * that is not wanted any more. Releases the lock while it waits.
 */
bool coroutine_fn vub_client_take_turn(VubClient *c);
/* Runs until the connection ends, then frees @opaque, the client. */
void coroutine_fn vub_client_entry(void *opaque);
/* Has it a started ring? If not, another client may get the queues. */
bool vub_client_is_running(const VubClient *c);
/* Is memory gone that the client shares? Then @errp says so. */
bool vub_client_is_lost(VubClient *c, Error **errp);
/* Those who wait for their turn look again; main loop. */
void vub_server_wake(VubServer *s);
/* A client has gone. */
void vub_server_client_gone(VubServer *s);

/* The queues become @c's, or are no longer. No ring is started. */
void coroutine_fn vub_control_step_up(VubClient *c);
void coroutine_fn vub_control_step_down(VubClient *c);

/*
 * True if something may be said about a client. Who has it that something was
 * done wrong can do so as often as it likes.
 */
bool vub_server_may_report(VubServer *s);

/* Tells the front-end of a change of the configuration space, if it can be. */
void vub_control_send_config_change(VubClient *c);

#endif /* OPUS_VUB_SERVER_H */
