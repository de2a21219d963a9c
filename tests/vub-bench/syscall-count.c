/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Syscall-count: how many system calls another process makes
 *
 * Owns: a counter of the tracepoint raw_syscalls:sys_enter for each thread.
 * Must not know: which calls they are; "strace -c -f -p PID" tells.
 * Threads: one.
 *
 * Strace would count as well, but it stops the program at each call: the server
 * would find more requests waiting than without it, and do fewer calls for
 * each. A counter in the kernel costs nothing that matters.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "error.h"
#include "syscall-count.h"

#define TRACEPOINT  "events/raw_syscalls/sys_enter/id"

/* The tracing filesystem, mounted nowhere; a descriptor, or -1 and errno. */
static int open_tracefs(void)
{
    int fs = fsopen("tracefs", FSOPEN_CLOEXEC);
    int mount_fd = -1;

    if (fs >= 0) {
        if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
            mount_fd = fsmount(fs, FSMOUNT_CLOEXEC, 0);
        }
        close(fs);
    }
    return mount_fd;
}

/* The number the running kernel gave the tracepoint, or -1 and errno. */
static int tracepoint_id(void)
{
    int tracefs = open_tracefs();
    int fd = tracefs >= 0 ? openat(tracefs, TRACEPOINT, O_RDONLY) : -1;
    char text[16] = "-1";

    if (fd >= 0) {
        if (read(fd, text, sizeof(text) - 1) <= 0) {
            strcpy(text, "-1");
        }
        close(fd);
    }
    if (tracefs >= 0) {
        close(tracefs);
    }
    return atoi(text);
}

static int open_counter(int id, pid_t tid)
{
    struct perf_event_attr attr = {
        .size = sizeof(attr),
        .type = PERF_TYPE_TRACEPOINT,
        .config = id,
        .inherit = 1,
    };

    return syscall(SYS_perf_event_open, &attr, tid, -1, -1,
                   PERF_FLAG_FD_CLOEXEC);
}

bool syscall_count_open(SyscallCount *count, pid_t pid, GError **errp)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
    int id = tracepoint_id();
    DIR *tasks = id < 0 ? NULL : opendir(path);
    struct dirent *task;
    bool ok = tasks != NULL;

    count->fds = g_array_new(FALSE, FALSE, sizeof(int));
    while (ok && (task = readdir(tasks))) {
        int fd;

        if (task->d_name[0] == '.') {
            continue;
        }
        fd = open_counter(id, atoi(task->d_name));
        if (fd >= 0) {
            g_array_append_val(count->fds, fd);
        } else {
            ok = errno == ESRCH;        /* it has ended in the meantime */
        }
    }
    if (!ok) {
        bench_error(errp, "system calls can't be counted: %s", strerror(errno));
    }
    if (tasks) {
        closedir(tasks);
    }
    return ok;
}

void syscall_count_close(SyscallCount *count)
{
    for (unsigned i = 0; count->fds && i < count->fds->len; i++) {
        close(g_array_index(count->fds, int, i));
    }
    g_clear_pointer(&count->fds, g_array_unref);
}

uint64_t syscall_count_read(const SyscallCount *count)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < count->fds->len; i++) {
        uint64_t value;

        if (read(g_array_index(count->fds, int, i), &value, sizeof(value)) ==
            sizeof(value)) {
            sum += value;
        }
    }
    return sum;
}
