/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vclock: the time that QEMU sees in a simulation
 *
 * Owns: the clock, and what the event loop does when it would sleep.
 * Must not know: what time is used for.
 * Threads: the main thread advances it; QEMU's RCU thread may read it.
 *
 * The linker leads QEMU's calls of some functions here (ld's --wrap), so that
 * no run depends on the machine: a sleep ends at once and time has passed. A
 * sleep without end is a hang, and found as such.
 */

#include "qemu/osdep.h"
#include "qemu/timer.h"
#include "vclock.h"
#include "wrap.h"

static int64_t now_ns = NANOSECONDS_PER_SECOND;
static VclockHang *on_hang;

void vclock_start(VclockHang *hang)
{
    on_hang = hang;
}

void vclock_advance(int64_t ns)
{
    qatomic_set(&now_ns, now_ns + ns);
}

int64_t vclock_ns(void)
{
    return now_ns;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t ns = qatomic_read(&now_ns);

    ts->tv_sec = ns / NANOSECONDS_PER_SECOND;
    ts->tv_nsec = ns % NANOSECONDS_PER_SECOND;
    return 0;
}

/*
 * The date stands still: superblocks tell it, and disks that differ in nothing
 * else would not be known to be equal.
 */
gint64 __wrap_g_get_real_time(void)
{
    return G_USEC_PER_SEC;
}

/* Nothing here has a file descriptor, so there is only time to wait for. */
int __wrap_qemu_poll_ns(GPollFD *fds, guint nfds, int64_t timeout)
{
    if (timeout < 0) {
        on_hang();
        abort();
    }
    vclock_advance(timeout);
    return 0;
}

bool __wrap_fdmon_io_uring_setup(AioContext *ctx)
{
    return false;
}
