/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Child call: one request to the node of a member, as data
 *
 * Owns: the way to children that are bound to a context.
 * Must not know: members, arrays, what is done about errors.
 * Threads: any AioContext; a call returns in the one it came from.
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "block/aio.h"
#include "block/block-io.h"
#include "block/opus-raid/member/call.h"

#define AGAIN_NS    (10 * SCALE_MS)
#define COPY_BYTES  (1 * MiB)

const char *opus_call_name(OpusCallKind kind)
{
    static const char *const names[] = {
        [OPUS_CALL_READ] = "read",
        [OPUS_CALL_WRITE] = "write",
        [OPUS_CALL_ZEROES] = "zeroes",
        [OPUS_CALL_DISCARD] = "discard",
        [OPUS_CALL_FLUSH] = "flush",
    };

    return names[kind];
}

/* Returns the context to go back to. */
static AioContext *coroutine_fn enter_home(const OpusChildCall *call)
{
    AioContext *here = qemu_get_current_aio_context();

    if (call->home_only) {
        AioContext *home = bdrv_get_aio_context(call->child->bs);

        if (home != here) {
            aio_co_reschedule_self(home);
        }
    }
    return here;
}

static void coroutine_fn leave_home(AioContext *back)
{
    if (qemu_get_current_aio_context() != back) {
        aio_co_reschedule_self(back);
    }
}

static int coroutine_fn GRAPH_RDLOCK call_child(const OpusChildCall *call)
{
    switch (call->kind) {
    case OPUS_CALL_READ:
        return bdrv_co_preadv_part(call->child, call->off, call->bytes,
                                   call->qiov, call->qiov_offset, call->flags);
    case OPUS_CALL_WRITE:
        return bdrv_co_pwritev_part(call->child, call->off, call->bytes,
                                    call->qiov, call->qiov_offset,
                                    call->flags);
    case OPUS_CALL_ZEROES:
        return bdrv_co_pwrite_zeroes(call->child, call->off, call->bytes,
                                     call->flags);
    case OPUS_CALL_DISCARD:
        return bdrv_co_pdiscard(call->child, call->off, call->bytes);
    case OPUS_CALL_FLUSH:
        return bdrv_co_flush(call->child->bs);
    }
    g_assert_not_reached();
}

static int coroutine_fn GRAPH_RDLOCK
call_until_answer(const OpusChildCall *call)
{
    int ret;

    while ((ret = call_child(call)) == -EAGAIN) {
        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, AGAIN_NS);
        if (call->given_up && qatomic_read(call->given_up)) {
            break;
        }
    }
    return ret;
}

/* A read or write by a buffer of ours, whatever becomes of the caller's. */
static int coroutine_fn GRAPH_RDLOCK call_by_copy(const OpusChildCall *call)
{
    g_autofree void *buf = g_try_malloc(MIN(call->bytes, COPY_BYTES));
    int ret = buf ? 0 : -EFAULT;

    for (int64_t done = 0; done < call->bytes && ret >= 0;) {
        int64_t bytes = MIN(call->bytes - done, COPY_BYTES);
        QEMUIOVector qiov = QEMU_IOVEC_INIT_BUF(qiov, buf, bytes);
        OpusChildCall part = *call;

        part.flags &= ~BDRV_REQ_REGISTERED_BUF;
        part.off += done;
        part.bytes = bytes;
        part.qiov = &qiov;
        part.qiov_offset = 0;
        if (call->kind == OPUS_CALL_WRITE) {
            qemu_iovec_to_buf(call->qiov, call->qiov_offset + done, buf,
                              bytes);
        }
        ret = call_until_answer(&part);
        if (call->kind == OPUS_CALL_READ && ret >= 0) {
            qemu_iovec_from_buf(call->qiov, call->qiov_offset + done, buf,
                                bytes);
        }
        done += bytes;
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_child_call(const OpusChildCall *call)
{
    AioContext *back = enter_home(call);
    int ret = call_until_answer(call);

    if (ret == -EFAULT && call->qiov) {
        ret = call_by_copy(call);
    }
    leave_home(back);
    return MIN(ret, 0);
}

int coroutine_fn GRAPH_RDLOCK
opus_child_pread(BdrvChild *child, int64_t off, int64_t bytes, void *buf)
{
    QEMUIOVector qiov = QEMU_IOVEC_INIT_BUF(qiov, buf, bytes);
    OpusChildCall call = {
        .kind = OPUS_CALL_READ, .child = child, .off = off, .bytes = bytes,
        .qiov = &qiov,
    };

    return opus_child_call(&call);
}
