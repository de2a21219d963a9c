/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server: a storage daemon, from its start to its end
 *
 * Owns: the process and its monitor.
 * Must not know: what it is told to serve.
 * Threads: one.
 *
 * CPU time is the process's own CPU clock, in ns: the scheduler's sum over all
 * threads, io_uring's workers in the kernel included. How it is divided between
 * user and kernel is only known by sampling at clock ticks.
 *
 * The pinning holds for all the daemon's threads but io_uring's workers, which
 * the kernel puts where it likes: of two CPUs also on the client's.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "error.h"
#include "server.h"

#define STOP_SECONDS    10

typedef struct ChildSetup {
    const cpu_set_t *cpus;
    int errors_fd;
} ChildSetup;

/* Between fork and exec: async-signal-safe functions only. */
static void child_setup(void *opaque)
{
    const ChildSetup *setup = opaque;

    sched_setaffinity(0, sizeof(*setup->cpus), setup->cpus);
    prctl(PR_SET_PDEATHSIG, SIGKILL);   /* no daemon is left behind */
    dup2(setup->errors_fd, STDERR_FILENO);
}

static bool spawn(Server *server, char **argv, char **env,
                  const cpu_set_t *cpus, int *in_fd, int *out_fd, GError **errp)
{
    ChildSetup setup = { .cpus = cpus };
    bool ok;

    setup.errors_fd = open(server->errors, O_RDWR | O_CREAT | O_TRUNC |
                           O_CLOEXEC, 0600);
    ok = g_spawn_async_with_pipes(NULL, argv, env, G_SPAWN_DO_NOT_REAP_CHILD,
                                  child_setup, &setup, &server->pid, out_fd,
                                  in_fd, NULL, errp);
    close(setup.errors_fd);
    return ok;
}

/* What the daemon said last explains more than that it has gone. */
static void explain(const Server *server, GError **errp)
{
    g_autofree char *text = NULL;

    if (g_file_get_contents(server->errors, &text, NULL, NULL) && *text) {
        g_clear_error(errp);
        bench_error(errp, "%s", g_strstrip(text));
    }
}

bool server_start(Server *server, const char *program, GPtrArray *args,
                  const cpu_set_t *cpus, const char *directory,
                  const char *preload, GError **errp)
{
    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_auto(GStrv) env = g_get_environ();
    int in_fd, out_fd;

    memset(server, 0, sizeof(*server));
    server->errors = g_build_filename(directory, "errors", NULL);
    g_ptr_array_add(argv, (char *)program);
    g_ptr_array_extend(argv, args, NULL, NULL);
    g_ptr_array_add(argv, (char *)"--chardev");
    g_ptr_array_add(argv, (char *)"stdio,id=qmp");
    g_ptr_array_add(argv, (char *)"--monitor");
    g_ptr_array_add(argv, (char *)"qmp");
    g_ptr_array_add(argv, NULL);
    if (preload) {
        env = g_environ_setenv(env, "LD_PRELOAD", preload, TRUE);
    }
    if (!spawn(server, (char **)argv->pdata, env, cpus, &in_fd, &out_fd,
               errp)) {
        return false;
    }
    clock_getcpuclockid(server->pid, &server->cpu_clock);
    if (!qmp_open(&server->qmp, in_fd, out_fd, errp)) {
        explain(server, errp);
        return false;
    }
    return true;
}

void server_stop(Server *server)
{
    if (server->pid > 0) {
        unsigned waited_ms = 0;

        kill(server->pid, SIGTERM);
        while (waitpid(server->pid, NULL, WNOHANG) == 0) {
            g_usleep(5000);
            waited_ms += 5;
            if (waited_ms == STOP_SECONDS * 1000) {
                fprintf(stderr, "vub-bench: the daemon does not end; killed\n");
                kill(server->pid, SIGKILL);
            }
        }
        server->pid = 0;
    }
    qmp_close(&server->qmp);
    if (server->errors) {
        unlink(server->errors);
        g_clear_pointer(&server->errors, g_free);
    }
}

ServerCpu server_cpu(const Server *server)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", server->pid);
    g_autofree char *text = NULL;
    ServerCpu cpu = { 0 };
    struct timespec ts;

    if (clock_gettime(server->cpu_clock, &ts) == 0) {
        cpu.seconds = ts.tv_sec + ts.tv_nsec / 1e9;
    }
    if (g_file_get_contents(path, &text, NULL, NULL)) {
        /* The name may contain anything; the fields follow its bracket. */
        const char *fields = strrchr(text, ')');

        if (fields) {
            sscanf(fields, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
                   "%lf %lf", &cpu.user_ticks, &cpu.kernel_ticks);
        }
    }
    return cpu;
}
