/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring: how commands reach the kernel, from each thread by a ring of its own
 *
 * Owns: io_uring's rings, and which thread has which.
 * Must not know: what commands mean, which are worth a retry.
 * Threads: a ring belongs to the thread that made it, by its first command:
 * only that thread touches it. What a thread has is in a table of its own, at
 * the namespace's number; so commands take no lock. NvmeRings.lock is for rings
 * that come and go.
 *
 * A ring goes with its namespace, or with its thread, whichever ends first.
 *
 * Completions raise no interrupt in a thread that computes: they are taken when
 * it enters the kernel (IORING_SETUP_COOP_TASKRUN), or when polling sees by a
 * flag that there is something to take.
 */

#include "qemu/osdep.h"
#include <liburing.h>
#include "block/aio.h"
#include "block/aio-wait.h"
#include "qemu/bitmap.h"
#include "qemu/coroutine-tls.h"
#include "qemu/defer-call.h"
#include "qemu/lockable.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/thread.h"
#include "block/nvme-uring/ring.h"
#include "block/nvme-uring/trace.h"

#define ENTRIES         128
#define AGAIN_MS        1       /* when the kernel takes no command */

/* The file, as it is known to each ring. */
#define FILE_INDEX      0

typedef struct Command {
    const struct nvme_uring_cmd *cmd;
    bool vector;
    int res;
    Coroutine *co;
    QSIMPLEQ_ENTRY(Command) next;
} Command;

typedef struct NvmeRing {
    NvmeRings *rings;
    AioContext *ctx;
    struct io_uring uring;
    unsigned in_flight;         /* those in the submission queue, too */
    unsigned nr_waiting;
    QSIMPLEQ_HEAD(, Command) waiting;
    QEMUBH *more;               /* there may be completions */
    QEMUTimer *again;
    QLIST_ENTRY(NvmeRing) next;
} NvmeRing;

struct NvmeRings {
    int fd;
    unsigned number;
    QemuMutex lock;
    QLIST_HEAD(, NvmeRing) list;
};

/* Of one thread. */
typedef struct ThreadRings {
    NvmeRing **by_number;
    unsigned nr;
    Notifier exit;
} ThreadRings;

QEMU_DEFINE_STATIC_CO_TLS(ThreadRings *, thread_rings);

/* Numbers in use; main loop. */
static unsigned long *numbers;
static unsigned nr_numbers;

/* --- submission --------------------------------------------------------- */

static void fill_sqe(struct io_uring_sqe *sqe, Command *c)
{
    memset(sqe, 0, 2 * sizeof(*sqe));
    sqe->opcode = IORING_OP_URING_CMD;
    sqe->flags = IOSQE_FIXED_FILE;
    sqe->fd = FILE_INDEX;
    sqe->cmd_op = c->vector ? NVME_URING_CMD_IO_VEC : NVME_URING_CMD_IO;
    io_uring_sqe_set_data(sqe, c);
    memcpy(sqe->cmd, c->cmd, sizeof(*c->cmd));
}

static void ring_submit(void *opaque)
{
    NvmeRing *ring = opaque;
    Command *c;

    while (ring->in_flight < ENTRIES &&
           (c = QSIMPLEQ_FIRST(&ring->waiting))) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

        if (!sqe) {
            break;
        }
        fill_sqe(sqe, c);
        QSIMPLEQ_REMOVE_HEAD(&ring->waiting, next);
        ring->nr_waiting--;
        ring->in_flight++;
    }
    while (io_uring_sq_ready(&ring->uring)) {
        int ret = io_uring_submit(&ring->uring);

        trace_nvme_uring_submit(ring, ret, ring->in_flight, ring->nr_waiting);
        if (ret < 0 && ret != -EINTR) {
            /* Out of memory, say. They stay in the queue. */
            timer_mod(ring->again,
                      qemu_clock_get_ms(QEMU_CLOCK_REALTIME) + AGAIN_MS);
            break;
        }
    }
}

/* --- completion --------------------------------------------------------- */

static bool ring_has_more(NvmeRing *ring)
{
    return io_uring_cq_ready(&ring->uring) ||
           (qatomic_read(ring->uring.sq.kflags) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

/*
 * Who is resumed may run an event loop of his own, and wait there for others:
 * the bottom half has that loop see what is left.
 */
static void ring_complete(NvmeRing *ring)
{
    struct io_uring_cqe *cqe;

    defer_call_begin();
    qemu_bh_schedule(ring->more);
    while (io_uring_peek_cqe(&ring->uring, &cqe) == 0 && cqe) {
        Command *c = io_uring_cqe_get_data(cqe);

        c->res = cqe->res;
        io_uring_cqe_seen(&ring->uring, cqe);
        ring->in_flight--;
        aio_co_wake(c->co);
    }
    qemu_bh_cancel(ring->more);
    if (!QSIMPLEQ_EMPTY(&ring->waiting)) {
        ring_submit(ring);
    }
    defer_call_end();
}

static void ring_ready(void *opaque)
{
    ring_complete(opaque);
}

static bool ring_poll(void *opaque)
{
    return ring_has_more(opaque);
}

/* --- rings come and go -------------------------------------------------- */

/* In its thread. */
static void ring_free(void *opaque)
{
    NvmeRing *ring = opaque;
    NvmeRings *rings = ring->rings;

    trace_nvme_uring_ring_free(ring);
    assert(ring->in_flight == 0 && QSIMPLEQ_EMPTY(&ring->waiting));
    get_thread_rings()->by_number[rings->number] = NULL;
    WITH_QEMU_LOCK_GUARD(&rings->lock) {
        QLIST_REMOVE(ring, next);
    }
    aio_set_fd_handler(ring->ctx, ring->uring.ring_fd, NULL, NULL, NULL, NULL,
                       ring);
    qemu_bh_delete(ring->more);
    timer_free(ring->again);
    io_uring_queue_exit(&ring->uring);
    g_free(ring);
}

static void thread_exit(Notifier *notifier, void *unused)
{
    ThreadRings *mine = container_of(notifier, ThreadRings, exit);

    for (unsigned i = 0; i < mine->nr; i++) {
        if (mine->by_number[i]) {
            ring_free(mine->by_number[i]);
        }
    }
    set_thread_rings(NULL);
    g_free(mine->by_number);
    g_free(mine);
}

static void note_ring(NvmeRing *ring)
{
    ThreadRings *mine = get_thread_rings();
    unsigned number = ring->rings->number;

    if (!mine) {
        mine = g_new0(ThreadRings, 1);
        mine->exit.notify = thread_exit;
        qemu_thread_atexit_add(&mine->exit);
        set_thread_rings(mine);
    }
    if (number >= mine->nr) {
        mine->by_number = g_renew(NvmeRing *, mine->by_number, number + 1);
        memset(mine->by_number + mine->nr, 0,
               (number + 1 - mine->nr) * sizeof(NvmeRing *));
        mine->nr = number + 1;
    }
    mine->by_number[number] = ring;
}

/* What a kernel does not know is left out; it all came after the commands. */
static int init_uring(struct io_uring *uring, unsigned *flags)
{
    static const unsigned extras[] = {
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
        0,
    };
    int ret = -EINVAL;

    for (unsigned i = 0; i < ARRAY_SIZE(extras) && ret == -EINVAL; i++) {
        *flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 | extras[i];
        ret = io_uring_queue_init(ENTRIES, uring, *flags);
    }
    return ret;
}

static int ring_new(NvmeRings *rings, NvmeRing **result)
{
    NvmeRing *ring = g_new0(NvmeRing, 1);
    unsigned flags;
    int ret = init_uring(&ring->uring, &flags);

    if (ret < 0) {
        g_free(ring);
        return ret;
    }
    ret = io_uring_register_files(&ring->uring, &rings->fd, 1);
    if (ret < 0) {
        io_uring_queue_exit(&ring->uring);
        g_free(ring);
        return ret;
    }
    ring->rings = rings;
    ring->ctx = qemu_get_current_aio_context();
    QSIMPLEQ_INIT(&ring->waiting);
    ring->more = aio_bh_new(ring->ctx, ring_ready, ring);
    ring->again = aio_timer_new(ring->ctx, QEMU_CLOCK_REALTIME, SCALE_MS,
                                ring_submit, ring);
    aio_set_fd_handler(ring->ctx, ring->uring.ring_fd, ring_ready, NULL,
                       ring_poll, ring_ready, ring);
    note_ring(ring);
    WITH_QEMU_LOCK_GUARD(&rings->lock) {
        QLIST_INSERT_HEAD(&rings->list, ring, next);
    }
    trace_nvme_uring_ring_new(rings, ring, ring->ctx, flags);
    *result = ring;
    return 0;
}

static int get_ring(NvmeRings *rings, NvmeRing **ring)
{
    ThreadRings *mine = get_thread_rings();

    if (likely(mine && rings->number < mine->nr &&
               mine->by_number[rings->number])) {
        *ring = mine->by_number[rings->number];
        return 0;
    }
    return ring_new(rings, ring);
}

/* --- for the driver ----------------------------------------------------- */

NvmeRings *nvme_rings_new(int fd)
{
    NvmeRings *rings = g_new0(NvmeRings, 1);

    GLOBAL_STATE_CODE();

    rings->fd = fd;
    rings->number = find_first_zero_bit(numbers, nr_numbers);
    if (rings->number >= nr_numbers) {
        numbers = bitmap_zero_extend(numbers, nr_numbers,
                                     nr_numbers + BITS_PER_LONG);
        nr_numbers += BITS_PER_LONG;
    }
    set_bit(rings->number, numbers);
    qemu_mutex_init(&rings->lock);
    QLIST_INIT(&rings->list);
    return rings;
}

static NvmeRing *first_ring(NvmeRings *rings)
{
    QEMU_LOCK_GUARD(&rings->lock);
    return QLIST_FIRST(&rings->list);
}

/* Threads end in the main loop's time only: what is found here stays. */
void nvme_rings_free(NvmeRings *rings)
{
    NvmeRing *ring;

    GLOBAL_STATE_CODE();

    while ((ring = first_ring(rings))) {
        if (ring->ctx == qemu_get_current_aio_context()) {
            ring_free(ring);
        } else {
            aio_wait_bh_oneshot(ring->ctx, ring_free, ring);
        }
    }
    clear_bit(rings->number, numbers);
    qemu_mutex_destroy(&rings->lock);
    g_free(rings);
}

int nvme_rings_try(NvmeRings *rings, const struct nvme_uring_cmd *cmd)
{
    Command c = { .cmd = cmd };
    struct io_uring_sqe *sqe;
    struct io_uring_cqe *cqe;
    NvmeRing *ring;
    int ret = get_ring(rings, &ring);

    if (ret < 0) {
        return ret;
    }
    sqe = io_uring_get_sqe(&ring->uring);
    assert(sqe);                /* the ring is empty */
    fill_sqe(sqe, &c);
    do {
        ret = io_uring_submit(&ring->uring);
    } while (ret == -EINTR);
    if (ret < 0) {
        return ret;
    }
    do {
        ret = io_uring_wait_cqe(&ring->uring, &cqe);
    } while (ret == -EINTR);
    if (ret == 0) {
        ret = cqe->res;
        io_uring_cqe_seen(&ring->uring, cqe);
    }
    return ret;
}

int coroutine_fn nvme_rings_co_run(NvmeRings *rings,
                                   const struct nvme_uring_cmd *cmd,
                                   bool vector)
{
    Command c = {
        .cmd = cmd,
        .vector = vector,
        .co = qemu_coroutine_self(),
    };
    NvmeRing *ring;
    int ret = get_ring(rings, &ring);

    if (ret < 0) {
        return ret;
    }
    QSIMPLEQ_INSERT_TAIL(&ring->waiting, &c, next);
    ring->nr_waiting++;
    defer_call(ring_submit, ring);
    qemu_coroutine_yield();
    return c.res;
}
