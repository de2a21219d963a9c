/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Control: I/O of an array that the main loop waits for
 *
 * Owns: nothing beyond one call.
 * Must not know: what is run.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/opus-raid/base/blocking.h"

typedef struct ControlRun {
    OpusControlFn *fn;
    OpusRaid *s;
    void *opaque;
    Error **errp;
    int ret;
    bool unlocked;
    bool done;
} ControlRun;

static void coroutine_fn control_run_co(void *opaque)
{
    ControlRun *run = opaque;

    if (run->unlocked) {
        run->ret = run->fn(run->s, run->opaque, run->errp);
    } else {
        WITH_GRAPH_RDLOCK_GUARD() {
            run->ret = run->fn(run->s, run->opaque, run->errp);
        }
    }
    run->done = true;
    aio_wait_kick();
}

static int run_to_end(ControlRun *run)
{
    GLOBAL_STATE_CODE();
    qemu_coroutine_enter(qemu_coroutine_create(control_run_co, run));
    AIO_WAIT_WHILE_UNLOCKED(NULL, !run->done);
    return run->ret;
}

int opus_control_run(OpusRaid *s, OpusControlFn *fn, void *opaque,
                     Error **errp)
{
    ControlRun run = { .fn = fn, .s = s, .opaque = opaque, .errp = errp };

    return run_to_end(&run);
}

int opus_control_run_unlocked(OpusRaid *s, OpusControlFn *fn, void *opaque,
                              Error **errp)
{
    ControlRun run = {
        .fn = fn, .s = s, .opaque = opaque, .errp = errp, .unlocked = true,
    };

    return run_to_end(&run);
}
