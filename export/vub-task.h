/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task: one request under way
 *
 * A queue has as many as its ring has descriptors, and lends one to each chain
 * it takes. A task keeps its coroutine from one request to the next: nothing
 * is allocated for a request, and tasks that are never needed have none.
 */

#ifndef OPUS_VUB_TASK_H
#define OPUS_VUB_TASK_H

#include "qemu/iov.h"

#include "vub-queue.h"

/* Vectors that most requests get by with: header, status, 14 of data */
#define VUB_TASK_SHORT_IOV 16

struct VubTask {
    VubQueue *queue;
    VubTask *next_free;
    VubChain chain;
    VubRequest req;
    QEMUIOVector qiov;
    Coroutine *co;              /* NULL until it is needed first */
    bool ending;                /* for @co */
    struct iovec short_iov[VUB_TASK_SHORT_IOV];
};

/*
 * Executes the chain that was popped into @task, in the queue's thread, and
 * has vub_queue_complete() called, now or later. False: the chain has no place
 * for an answer, or its memory is gone; nothing was done.
 */
bool vub_task_start(VubTask *task);

/* Lets go of what an idle task keeps; in the queue's thread. */
void vub_task_end(VubTask *task);

#endif /* OPUS_VUB_TASK_H */
