/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Report: what the program says, and how it gives up
 *
 * Owns: standard output and standard error.
 * Must not know: what is tested.
 * Threads: main thread.
 *
 * A run that goes well says nothing, though the driver has much to say about
 * failing members: it is kept, and told only if the run fails.
 */

#include "qemu/osdep.h"
#include "report.h"
#include "wrap.h"

#define NOTES_BYTES (16 * 1024 * 1024)

static char context[512];
static GString *notes;
static unsigned nr_ok;
static bool broken_expected;
static bool details_wanted;

void report_context(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(context, sizeof(context), fmt, ap);
    va_end(ap);
    if (notes) {
        g_string_truncate(notes, 0);
    }
}

static void G_GNUC_PRINTF(1, 0) note(const char *fmt, va_list ap)
{
    if (!notes) {
        notes = g_string_new(NULL);
    }
    if (notes->len < NOTES_BYTES) {
        g_string_append_vprintf(notes, fmt, ap);
    }
}

void report_note(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    note(fmt, ap);
    va_end(ap);
}

void report_detail(const char *fmt, ...)
{
    va_list ap;

    if (details_wanted) {
        va_start(ap, fmt);
        note(fmt, ap);
        va_end(ap);
    }
}

void report_want_details(void)
{
    details_wanted = true;
}

/* The driver's own messages; the linker leads them here. */
int __wrap_error_vprintf(const char *fmt, va_list ap)
{
    note(fmt, ap);
    return 0;
}

void report_broken(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "%s", notes ? notes->str : "");
    fflush(stderr);
    printf("%s %u - ", broken_expected ? "ok" : "not ok", nr_ok + 1);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n# in: %s\n1..%u\n", context, nr_ok + 1);
    fflush(stdout);
    _exit(broken_expected ? 0 : 1);
}

void report_expect_broken(void)
{
    broken_expected = true;
}

void report_ok(const char *fmt, ...)
{
    va_list ap;

    printf("ok %u - ", ++nr_ok);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
}

void report_comment(const char *fmt, ...)
{
    va_list ap;

    printf("# ");
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

void report_plan(void)
{
    printf("1..%u\n", nr_ok);
}
