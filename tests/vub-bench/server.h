/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Server: a storage daemon, from its start to its end
 *
 * One thread at a time. What returns bool sets @errp on false.
 */
#ifndef VUB_BENCH_SERVER_H
#define VUB_BENCH_SERVER_H

#include <sched.h>
#include <sys/types.h>
#include <time.h>
#include "qmp.h"

typedef struct Server {
    Qmp qmp;                    /* open while the server runs */
    pid_t pid;
    clockid_t cpu_clock;
    char *errors;               /* file with what the daemon complains of */
} Server;

/* CPU time since the daemon's start, of all its threads, ended ones too. */
typedef struct ServerCpu {
    double seconds;
    double user_ticks;          /* sampled by the kernel's clock: coarse */
    double kernel_ticks;
} ServerCpu;

/*
 * Start @program with @args (NULL at the end; a monitor is added) on @cpus. Its
 * files may be in @directory. @preload is a library for it to load first, or
 * NULL. Stop it even if this fails.
 */
bool server_start(Server *server, const char *program, GPtrArray *args,
                  const cpu_set_t *cpus, const char *directory,
                  const char *preload, GError **errp);

/* End it, if need be by force. */
void server_stop(Server *server);

ServerCpu server_cpu(const Server *server);

#endif /* VUB_BENCH_SERVER_H */
