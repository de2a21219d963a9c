/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Qmp: a monitor, as far as a benchmark needs one
 *
 * Owns: the two descriptors, and what has been read but not yet looked at.
 * Must not know: JSON. A monitor that is not told to be pretty says one thing a
 * line, and the words looked for here occur in nothing else it says.
 * Threads: one.
 */

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include "error.h"
#include "qmp.h"

#define TIMEOUT_MS  20000

/* The next line, without its end; the caller frees it. */
static char *read_line(Qmp *qmp, GError **errp)
{
    struct pollfd pfd = { .fd = qmp->in_fd, .events = POLLIN };
    char chunk[4096];
    char *end, *line;
    ssize_t len;

    while (!(end = strchr(qmp->unread->str, '\n'))) {
        if (poll(&pfd, 1, TIMEOUT_MS) <= 0) {
            bench_error(errp, "the daemon does not answer");
            return NULL;
        }
        len = read(qmp->in_fd, chunk, sizeof(chunk));
        if (len <= 0) {
            bench_error(errp, "the daemon has gone");
            return NULL;
        }
        g_string_append_len(qmp->unread, chunk, len);
    }
    line = g_strndup(qmp->unread->str, end - qmp->unread->str);
    g_string_erase(qmp->unread, 0, end + 1 - qmp->unread->str);
    return line;
}

/* Read lines until one has all of @words (NULL at the end). */
static char *read_until(Qmp *qmp, const char *const *words, GError **errp)
{
    for (;;) {
        char *line = read_line(qmp, errp);
        unsigned i = 0;

        if (!line) {
            return NULL;
        }
        while (words[i] && strstr(line, words[i])) {
            i++;
        }
        if (!words[i] || g_str_has_prefix(line, "{\"error\"")) {
            return line;
        }
        g_free(line);
    }
}

bool qmp_open(Qmp *qmp, int in_fd, int out_fd, GError **errp)
{
    const char *const greeting[] = { "\"QMP\"", NULL };
    char *line;

    qmp->in_fd = in_fd;
    qmp->out_fd = out_fd;
    qmp->unread = g_string_new(NULL);
    line = read_until(qmp, greeting, errp);
    g_free(line);
    return line && qmp_run(qmp, errp, "{'execute': 'qmp_capabilities'}");
}

void qmp_close(Qmp *qmp)
{
    if (qmp->unread) {
        close(qmp->in_fd);
        close(qmp->out_fd);
        g_string_free(qmp->unread, TRUE);
        qmp->unread = NULL;
    }
}

/* The text of an error, which a monitor calls "desc". */
static void report(const char *line, GError **errp)
{
    const char *desc = strstr(line, "\"desc\": \"");

    desc = desc ? desc + strlen("\"desc\": \"") : line;
    bench_error(errp, "%.*s", (int)strcspn(desc, "\""), desc);
}

bool qmp_run(Qmp *qmp, GError **errp, const char *format, ...)
{
    const char *const answer[] = { "{\"return\": ", NULL };
    g_autofree char *command = NULL;
    g_autofree char *line = NULL;
    va_list args;
    bool ok;

    va_start(args, format);
    command = g_strdup_vprintf(format, args);
    va_end(args);
    if (write(qmp->out_fd, command, strlen(command)) < 0 ||
        write(qmp->out_fd, "\n", 1) < 0) {
        bench_error(errp, "the daemon has gone: %s", strerror(errno));
        return false;
    }
    line = read_until(qmp, answer, errp);
    ok = line && !g_str_has_prefix(line, "{\"error\"");
    if (line && !ok) {
        report(line, errp);
    }
    return ok;
}

bool qmp_wait_job(Qmp *qmp, const char *id, GError **errp)
{
    g_autofree char *quoted = g_strdup_printf("\"id\": \"%s\"", id);
    const char *const event[] = { quoted, "\"concluded\"", NULL };
    g_autofree char *line = read_until(qmp, event, errp);

    return line && qmp_run(qmp, errp, "{'execute': 'job-dismiss', "
                           "'arguments': {'id': '%s'}}", id);
}
