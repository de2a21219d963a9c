/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue: one virtqueue, served by one AioContext
 *
 * The queue's thread takes chains, runs each as a coroutine, and gives them
 * back; it shares nothing with the other queues' threads but the BlockBackend.
 * Control comes from the main loop: its coroutine hops into the queue's thread
 * and changes things there, so that no lock is needed.
 */

#ifndef OPUS_VUB_QUEUE_H
#define OPUS_VUB_QUEUE_H

#include "qemu/coroutine.h"
#include "qemu/event_notifier.h"
#include "system/block-backend.h"

#include "vub-notify.h"
#include "vub-request.h"
#include "vub-ring.h"

/* What requests are executed on; the same for all queues of an export. */
typedef struct VubBackend {
    const char *name;           /* for messages and traces */
    BlockBackend *blk;
    VubDisk disk;
    BdrvRequestFlags io_flags;
} VubBackend;

typedef struct VubTask VubTask;

typedef struct VubQueue {
    VubBackend *backend;
    unsigned index;
    /* Changes only while the queue is paused and idle */
    AioContext *ctx;
    /* Main loop: a client came here, so the thread is told of each pause */
    bool used;

    /* From here on: the thread of @ctx */
    bool started;
    bool enabled;
    bool attached;              /* the kick is watched */
    bool lost;                  /* a ring of this client was, see vub-ring.h */
    bool polling;               /* no kicks are wanted: the ring is polled */
    VubRing ring;
    EventNotifier kick;         /* of @told's descriptor */
    VubNotify told;             /* of new chains */
    VubNotify call;
    VubNotify err;
    VubTask *tasks;             /* as many as the ring has descriptors */
    VubTask *free_tasks;
    struct iovec *long_iov;     /* VUB_CHAIN_MAX_IOV for each task */
    unsigned gate_pauses;       /* @pauses when the gate was passed last */
    unsigned nr_done;           /* pushed, and still counted in @in_flight */
    Coroutine *idle_waiter;
    int64_t last_report_ns;

    /* Between the threads, all atomic */
    bool gated;                 /* waits to attach, see gate_entry() */
    unsigned in_flight;         /* the thread writes it */
    bool taking;                /* the thread looks at the ring, or attaches */
    unsigned paused;            /* by the main loop: how many times now, */
    unsigned pauses;            /* and how many times ever; it wraps around */
    unsigned nr_syncs;          /* bottom halves that pause or resume */
    unsigned nr_pending;        /* those, and gates: who knows of us */
} VubQueue;

void vub_queue_init(VubQueue *q, VubBackend *backend, unsigned index,
                    AioContext *ctx);
/* Main loop; the queue is stopped. Waits for what pause and resume left. */
void vub_queue_destroy(VubQueue *q);

/*
 * Main loop, at any time. A paused queue takes no chains; vub_queue_busy()
 * turns false once it has given back those it had. Pauses nest.
 */
void vub_queue_pause(VubQueue *q);
void vub_queue_resume(VubQueue *q);
bool vub_queue_busy(VubQueue *q);

/*
 * The rest is for a coroutine in the queue's own thread; it may come there
 * from the main loop by aio_co_reschedule_self().
 */

/* Takes the place of the ring that it stopped, if it ever had one. */
bool vub_queue_start(VubQueue *q, const VubRingSetup *setup, GError **errp);
/* Waits until all chains are given back; returns vub_ring_base(). */
uint32_t coroutine_fn vub_queue_stop(VubQueue *q);
/*
 * Gives a started queue another setup, see vub_ring_change(). @settled: chains
 * taken under the old one are given back first.
 */
bool coroutine_fn vub_queue_change(VubQueue *q, const VubRingSetup *setup,
                                   bool settled, GError **errp);
/* True if what a ring of this client had taken is not to be relied on. */
bool vub_queue_take_lost(VubQueue *q);
/* -1: none. The queue closes it. */
void vub_queue_set_kick(VubQueue *q, int fd);
void vub_queue_set_call(VubQueue *q, int fd);
void vub_queue_set_err(VubQueue *q, int fd);
/* Of a stopped queue, for another time; the caller closes them. -1: none */
int vub_queue_take_call(VubQueue *q);
int vub_queue_take_err(VubQueue *q);
/* A queue that is disabled gives all back first, as if it were stopped. */
void coroutine_fn vub_queue_set_enabled(VubQueue *q, bool enabled);

/* --- between vub-queue.c and vub-task.c --- */

/* A chain is done: @written_bytes of its "in" part are to be given back. */
void vub_queue_complete(VubQueue *q, VubTask *task, uint64_t written_bytes);

#endif /* OPUS_VUB_QUEUE_H */
