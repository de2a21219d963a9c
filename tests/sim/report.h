/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Report: what the program says, and how it gives up
 */
#ifndef OPUS_SIM_REPORT_H
#define OPUS_SIM_REPORT_H

#include "qemu/osdep.h"

/* What is being done, with all that is needed to do it again. */
void report_context(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* Something that happened, to be told if the run fails. */
void report_note(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* The same, for what happens often: only if it was asked for. */
void report_detail(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void report_want_details(void);

/* A promise is broken: tell all, and end the program. */
void G_NORETURN report_broken(const char *fmt, ...) G_GNUC_PRINTF(1, 2);

/* Is a broken promise what is wanted? Then report_broken() ends well. */
void report_expect_broken(void);

/* Lines of TAP. */
void report_ok(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void report_comment(const char *fmt, ...) G_GNUC_PRINTF(1, 2);
void report_plan(void);

#endif /* OPUS_SIM_REPORT_H */
