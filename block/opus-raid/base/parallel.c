/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parallel: run the parts of one request at the same time
 *
 * Owns: nothing beyond one call; all state is on the caller's stack.
 * Must not know: what the parts do.
 * Threads: one AioContext for each call.
 */

#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/defer-call.h"
#include "block/opus-raid/base/parallel.h"

typedef struct ParallelRun {
    OpusParallelFn *fn;
    void *opaque;
    unsigned next;
    unsigned nr;
    unsigned busy;              /* workers that have not ended */
    Coroutine *waiter;          /* set while the caller waits for them */
} ParallelRun;

static void coroutine_fn parallel_worker(void *opaque)
{
    ParallelRun *run = opaque;

    while (run->next < run->nr) {
        run->fn(run->opaque, run->next++);
    }
    if (--run->busy == 0 && run->waiter) {
        aio_co_wake(run->waiter);
    }
}

void coroutine_fn opus_parallel(OpusParallelFn *fn, void *opaque,
                                unsigned nr, unsigned max)
{
    ParallelRun run = { .fn = fn, .opaque = opaque, .nr = nr };

    if (nr == 1) {
        fn(opaque, 0);
        return;
    }

    /*
     * A part that completes without waiting leaves its worker free for the
     * next part, so there are no more workers than are needed.
     */
    defer_call_begin();
    while (run.next < nr && run.busy < max) {
        Coroutine *co = qemu_coroutine_create(parallel_worker, &run);

        run.busy++;
        qemu_coroutine_enter(co);
    }
    defer_call_end();

    if (run.busy) {
        run.waiter = qemu_coroutine_self();
        qemu_coroutine_yield();
        assert(run.busy == 0);
    }
}
