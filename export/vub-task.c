/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Task: one request under way
 *
 * Owns: the coroutine of a request, and what the block layer's results become.
 * Must not know: rings, kicks, who else is served.
 * Threads: the queue's.
 * Invariants: I15: vub_queue_complete() is called once for each start.
 */

#include "qemu/osdep.h"
#include "block/aio.h"

#include "vub-task.h"
#include "trace.h"

/* For traces: the guest was told nothing. */
#define STATUS_NONE 0xff

static uint8_t status_of(int ret)
{
    if (likely(ret >= 0)) {
        return VIRTIO_BLK_S_OK;
    }
    return ret == -ENOTSUP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
}

static void complete(VubTask *task, uint8_t status)
{
    VubQueue *q = task->queue;
    uint64_t written_bytes = task->chain.in_bytes;

    if (likely(!vub_ring_lost(&q->ring))) {
        *task->req.status = status;
    }
    vub_ring_log_chain(&q->ring, &task->chain, task->req.written_bytes);
    if (unlikely(q->ring.log)) {
        vub_ring_log(&q->ring, task->req.status, 1);
    }
    if (unlikely(vub_ring_lost(&q->ring))) {
        /* A successor that maps the memory anew finds and repeats it. */
        status = STATUS_NONE;
    }
    trace_vub_task_done(q->backend->name, q->index, task->chain.id, status);
    vub_queue_complete(q, task, written_bytes + 1);
}

/*
 * The kernel could not read or write the guest's memory. It says no more than
 * that, and no signal came. So touch the memory here: if it is gone, the guard
 * hears of it.
 */
static void touch_memory(const VubRequest *req)
{
    size_t page_bytes = qemu_real_host_page_size();

    for (unsigned i = 0; i < req->nr_iov; i++) {
        /* volatile: the load is all that is wanted */
        const volatile uint8_t *base = req->iov[i].iov_base;
        size_t bytes = req->iov[i].iov_len;

        for (size_t at = 0; at < bytes; at += page_bytes) {
            (void)base[at];
        }
        (void)base[bytes - 1];
    }
}

static int coroutine_fn execute(VubTask *task)
{
    const VubRequest *req = &task->req;
    VubBackend *backend = task->queue->backend;

    switch (req->op) {
    case VUB_OP_READ:
        qemu_iovec_init_external(&task->qiov, req->iov, req->nr_iov);
        return blk_co_preadv(backend->blk, req->off_bytes, req->bytes,
                             &task->qiov, backend->io_flags);
    case VUB_OP_WRITE:
        qemu_iovec_init_external(&task->qiov, req->iov, req->nr_iov);
        return blk_co_pwritev(backend->blk, req->off_bytes, req->bytes,
                              &task->qiov, backend->io_flags);
    case VUB_OP_FLUSH:
        return blk_co_flush(backend->blk);
    case VUB_OP_DISCARD:
        return blk_co_pdiscard(backend->blk, req->off_bytes, req->bytes, 0);
    case VUB_OP_ZEROES:
        return blk_co_pwrite_zeroes(backend->blk, req->off_bytes, req->bytes,
                                    req->unmap ? BDRV_REQ_MAY_UNMAP : 0);
    case VUB_OP_DONE:
        break;
    }
    g_assert_not_reached();
}

static void coroutine_fn task_entry(void *opaque)
{
    VubTask *task = opaque;

    while (!task->ending) {
        int ret = execute(task);

        /*
         * Drivers should resume us where we came from, but block/nvme.c goes
         * on in its own home context. The queue is its thread's alone.
         */
        if (unlikely(qemu_get_current_aio_context() != task->queue->ctx)) {
            aio_co_reschedule_self(task->queue->ctx);
        }
        if (unlikely(ret == -EFAULT)) {
            touch_memory(&task->req);
        }
        complete(task, status_of(ret));
        /* The task is free again: we go on when it is lent the next time. */
        qemu_coroutine_yield();
    }
}

bool vub_task_start(VubTask *task)
{
    VubQueue *q = task->queue;
    VubRequest *req = &task->req;

    if (!vub_request_decode(req, &task->chain, &q->backend->disk) ||
        vub_ring_lost(&q->ring)) {
        return false;
    }
    trace_vub_task_start(q->backend->name, q->index, task->chain.id, req->op,
                         req->off_bytes, req->bytes);
    if (req->op == VUB_OP_DONE) {
        complete(task, req->answer);
    } else {
        if (unlikely(!task->co)) {
            task->co = qemu_coroutine_create(task_entry, task);
        }
        qemu_coroutine_enter(task->co);
    }
    return true;
}

void vub_task_end(VubTask *task)
{
    if (task->co) {
        task->ending = true;
        qemu_coroutine_enter(task->co);
    }
}
