/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon under test, as a process: see daemon.h.
 *
 * Owns: its command line, its monitor, its end.
 * Must not know: vhost-user.
 * Invariant: the daemon does not outlive the process that started it.
 */
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"

#define IMAGE "{'driver': 'file', 'filename': '%s'}"
#define DELAY(ns) \
    "{'driver': 'blkdebug', 'node-name': 'disk', 'image': " IMAGE ", " \
    "'inject-error': [" \
    "{'event': 'none', 'iotype': 'write', 'errno': 0, 'delay-ns': " #ns "}, " \
    "{'event': 'none', 'iotype': 'read', 'errno': 0, 'delay-ns': " #ns "}]}"

static char *disk_json(DiskKind kind, const char *path)
{
    static const char *const json[] = {
        [DISK_FILE] = "{'driver': 'file', 'node-name': 'disk', "
                      "'discard': 'unmap', 'filename': '%s'}",
        [DISK_DIRECT] = "{'driver': 'file', 'node-name': 'disk', "
                        "'cache': {'direct': true}, 'aio': 'threads', "
                        "'filename': '%s'}",
        [DISK_NULL] = "{'driver': 'null-co', 'node-name': 'disk', "
                      "'size': 16777216, 'read-zeroes': true}",
        [DISK_SLOW] = DELAY(500000000),
        [DISK_STUCK] = DELAY(300000000000),
        /* Quorum does not pass FUA on, but makes a flush of it. */
        [DISK_BAD_FLUSH] = "{'driver': 'quorum', 'node-name': 'disk', "
                           "'vote-threshold': 1, 'children': ["
                           "{'driver': 'blkdebug', 'image': " IMAGE ", "
                           "'inject-error': [{'event': 'none', "
                           "'iotype': 'flush', 'errno': 5}]}]}",
    };
    g_auto(GStrv) parts = g_strsplit(json[kind], "%s", -1);
    char *text = g_strjoinv(path, parts);

    return g_strdelimit(text, "'", '"');
}

unsigned patience_ms(void)
{
    const char *seconds = g_getenv("VUB_PATIENCE");

    return (seconds ? g_ascii_strtoull(seconds, NULL, 10) : 60) * 1000;
}

void limit_patience(int fd)
{
    struct timeval limit = { .tv_sec = patience_ms() / 1000 };

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

/* Returns one line of the monitor, to be freed. */
static char *qmp_line(Daemon *daemon)
{
    g_autoptr(GString) line = g_string_new(NULL);
    char c;

    for (;;) {
        ssize_t got = read(daemon->qmp, &c, 1);

        if (got < 0) {
            g_error("the monitor does not answer");
        }
        if (got == 0) {
            g_error("the daemon ended");
        }
        if (c == '\n') {
            return g_string_free(g_steal_pointer(&line), false);
        }
        g_string_append_c(line, c);
    }
}

void daemon_qmp(Daemon *daemon, const char *command)
{
    size_t length = strlen(command);

    g_assert_cmpint(write(daemon->qmp, command, length), ==, length);
    for (;;) {
        g_autofree char *line = qmp_line(daemon);

        if (g_str_has_prefix(line, "{\"error\"")) {
            g_error("%s: %s", command, line);
        }
        if (g_str_has_prefix(line, "{\"return\"")) {
            return;
        }
    }
}

static void G_GNUC_NORETURN exec_daemon(Daemon *daemon, DiskKind kind, int qmp)
{
    const char *program = g_getenv("OPUS_DAEMON");
    g_autofree char *node = disk_json(kind, daemon->disk);
    g_autofree char *export = g_strdup_printf(
        "type=vhost-user-blk,id=exp,node-name=disk,addr.type=unix,"
        "addr.path=%s%s%s", daemon->socket, *daemon->options ? "," : "",
        daemon->options);
    int log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(qmp, STDIN_FILENO);
    dup2(qmp, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close_range(3, ~0U, 0);
    execl(program, program, "--chardev", "stdio,id=m", "--monitor",
          "chardev=m", "--object", "iothread,id=t0", "--object",
          "iothread,id=t1", "--blockdev", node, "--export", export, NULL);
    g_error("%s: %s", program, g_strerror(errno));
}

static void spawn(Daemon *daemon, DiskKind kind)
{
    g_autofree char *greeting = NULL;
    int pair[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
    daemon->pid = fork();
    g_assert_cmpint(daemon->pid, >=, 0);
    if (daemon->pid == 0) {
        exec_daemon(daemon, kind, pair[1]);
    }
    close(pair[1]);
    daemon->qmp = pair[0];
    limit_patience(daemon->qmp);
    /* It greets from its main loop: what it was told to set up is there. */
    greeting = qmp_line(daemon);
    daemon_qmp(daemon, "{\"execute\": \"qmp_capabilities\"}");
}

Daemon *daemon_start(DiskKind kind, const char *options)
{
    Daemon *daemon = g_new0(Daemon, 1);
    int fd;

    daemon->socket = g_build_filename(case_dir(), "socket", NULL);
    daemon->disk = g_build_filename(case_dir(), "disk", NULL);
    daemon->log = g_build_filename(case_dir(), "log", NULL);
    daemon->options = g_strdup(options);
    fd = open(daemon->disk, O_RDWR | O_CREAT, 0600);
    g_assert_cmpint(ftruncate(fd, DISK_BYTES), ==, 0);
    close(fd);
    spawn(daemon, kind);
    return daemon;
}

void daemon_crash(Daemon *daemon)
{
    int status;

    kill(daemon->pid, SIGKILL);
    g_assert_cmpint(waitpid(daemon->pid, &status, 0), ==, daemon->pid);
    g_assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(daemon->qmp);
    unlink(daemon->socket);
}

void daemon_restart(Daemon *daemon, DiskKind kind)
{
    spawn(daemon, kind);
}

void daemon_stop(Daemon *daemon)
{
    int status;

    g_assert_cmpint(kill(daemon->pid, SIGTERM), ==, 0);
    g_assert_cmpint(waitpid(daemon->pid, &status, 0), ==, daemon->pid);
    if (WIFSIGNALED(status)) {
        g_error("the daemon crashed: %s", strsignal(WTERMSIG(status)));
    }
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
    close(daemon->qmp);
    g_free(daemon->socket);
    g_free(daemon->disk);
    g_free(daemon->log);
    g_free(daemon->options);
    g_free(daemon);
}

unsigned daemon_open_files(const Daemon *daemon)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", (int)daemon->pid);
    GDir *dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

size_t daemon_log_bytes(const Daemon *daemon)
{
    struct stat st;

    g_assert_cmpint(stat(daemon->log, &st), ==, 0);
    return st.st_size;
}

void daemon_peek(const Daemon *daemon, void *buf, size_t bytes, off_t off)
{
    int fd = open(daemon->disk, O_RDONLY);

    g_assert_cmpint(pread(fd, buf, bytes, off), ==, bytes);
    close(fd);
}

void daemon_poke(const Daemon *daemon, const void *buf, size_t bytes,
                 off_t off)
{
    int fd = open(daemon->disk, O_WRONLY);

    g_assert_cmpint(pwrite(fd, buf, bytes, off), ==, bytes);
    close(fd);
}
