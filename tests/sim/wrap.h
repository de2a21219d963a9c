/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Wrap: functions that QEMU calls, and that are led to ours by the linker
 *
 * See ld's option --wrap, and meson.build.
 */
#ifndef OPUS_SIM_WRAP_H
#define OPUS_SIM_WRAP_H

#include "qemu/osdep.h"
#include <time.h>
#include "block/block.h"

/* vclock.c */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);
gint64 __wrap_g_get_real_time(void);
int __wrap_qemu_poll_ns(GPollFD *fds, guint nfds, int64_t timeout);
bool __wrap_fdmon_io_uring_setup(AioContext *ctx);

/* report.c */
int G_GNUC_PRINTF(1, 0) __wrap_error_vprintf(const char *fmt, va_list ap);

/* subject.c */
BlockDriverState *__wrap_bdrv_next_monitor_owned(BlockDriverState *bs);

#endif /* OPUS_SIM_WRAP_H */
