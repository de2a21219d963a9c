/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Qmp: a monitor, as far as a benchmark needs one
 *
 * One thread at a time. What returns bool sets @errp on false.
 */
#ifndef VUB_BENCH_QMP_H
#define VUB_BENCH_QMP_H

#include <glib.h>
#include <stdbool.h>

typedef struct Qmp {
    int in_fd;                  /* the daemon's answers */
    int out_fd;                 /* its commands */
    GString *unread;
} Qmp;

/* Greet the monitor on these descriptors, which become @qmp's. */
bool qmp_open(Qmp *qmp, int in_fd, int out_fd, GError **errp);
void qmp_close(Qmp *qmp);

/* Run a command given as JSON, by printf, and wait until it is done. */
bool qmp_run(Qmp *qmp, GError **errp, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

/* Wait until the job @id has come to an end, good or bad. */
bool qmp_wait_job(Qmp *qmp, const char *id, GError **errp);

#endif /* VUB_BENCH_QMP_H */
