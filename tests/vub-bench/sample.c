/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sample: one run of one daemon under one load
 *
 * Owns: the daemon's command line, the order of start and stop.
 * Must not know: what samples are compared with.
 * Threads: one, which sleeps while the client's threads run.
 *
 * All is read twice under steady load, at the beginning and at the end of the
 * seconds that count: start, connection and end are not in it. Nothing but the
 * server's own CPU time is charged to the server. What it can't be freed of: a
 * client that is slower than the server leaves it waiting, and a server that
 * polls while it waits is charged for that. With two CPUs, one for the server
 * and one for the client, several iothreads share one CPU, and so do several
 * client threads: then the CPU time of a request is comparable, but requests a
 * second say nothing about how the server scales.
 */

#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "error.h"
#include "heap-count.h"
#include "sample.h"
#include "server.h"
#include "syscall-count.h"

#define POLL_LONG_NS    10000000

/* The daemon, the load, and what is counted, while a sample is taken. */
typedef struct Run {
    const SampleSpec *spec;
    const SampleOptions *options;
    char *socket_path;
    Server server;
    Client *client;
    HeapCount heap;
    SyscallCount syscalls;
} Run;

typedef struct Reading {
    double seconds;
    ServerCpu cpu;
    uint64_t requests;
    uint64_t counted;
} Reading;

static double now_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void add_iothreads(GPtrArray *args, const SampleSpec *spec,
                          const SampleOptions *options)
{
    int64_t poll_ns = spec->iothreads_poll ? POLL_LONG_NS
                                           : options->poll_max_ns;

    for (unsigned i = 0; i < spec->nr_iothreads; i++) {
        GString *text = g_string_new(NULL);

        g_string_printf(text, "iothread,id=t%u", i);
        if (poll_ns >= 0) {
            g_string_append_printf(text, ",poll-max-ns=%" PRId64, poll_ns);
        }
        g_ptr_array_add(args, g_strdup("--object"));
        g_ptr_array_add(args, g_string_free(text, FALSE));
    }
}

/* The queues go round the iothreads; one is named as QEMU always did. */
static char *iothread_option(unsigned nr_iothreads)
{
    GString *text;

    if (nr_iothreads == 1) {
        return g_strdup("'iothread': 't0'");
    }
    text = g_string_new("'iothread-vq-mapping': [");
    for (unsigned i = 0; i < nr_iothreads; i++) {
        g_string_append_printf(text, "%s{'iothread': 't%u'}", i ? ", " : "", i);
    }
    g_string_append_c(text, ']');
    return g_string_free(text, FALSE);
}

static bool add_export(Run *run, GError **errp)
{
    g_autofree char *iothread = iothread_option(run->spec->nr_iothreads);

    return qmp_run(&run->server.qmp, errp,
                   "{'execute': 'block-export-add', 'arguments': {"
                   "'type': 'vhost-user-blk', 'id': 'export', "
                   "'node-name': 'volume', 'num-queues': %u, %s, "
                   "'addr': {'type': 'unix', 'path': '%s'}}}",
                   run->spec->client.nr_queues, iothread, run->socket_path);
}

static bool start(Run *run, const char *program, GError **errp)
{
    const SampleSpec *spec = run->spec;
    const SampleOptions *o = run->options;
    g_autoptr(GPtrArray) args = g_ptr_array_new_with_free_func(g_free);
    const char *preload = NULL;

    if (spec->count == COUNT_ALLOCATIONS) {
        heap_count_open(&run->heap, o->directory);
        preload = o->heap_library;
    }
    add_iothreads(args, spec, o);
    if (!server_start(&run->server, program, args, &o->server_cpus,
                      o->directory, preload, errp) ||
        !volume_open(spec->volume, &o->places, &run->server.qmp, errp) ||
        !add_export(run, errp)) {
        return false;
    }
    run->client = client_start(&spec->client, run->socket_path,
                               &o->client_cpus, errp);
    return run->client != NULL;
}

static uint64_t read_count(Run *run)
{
    switch (run->spec->count) {
    case COUNT_SYSCALLS:
        return syscall_count_read(&run->syscalls);
    case COUNT_ALLOCATIONS:
        return heap_count_read(&run->heap);
    case COUNT_NOTHING:
        return 0;
    }
    g_assert_not_reached();
}

static Reading take_reading(Run *run)
{
    return (Reading) {
        .seconds = now_seconds(),
        .cpu = server_cpu(&run->server),
        .requests = client_requests(run->client),
        .counted = read_count(run),
    };
}

static bool measure(Run *run, Sample *sample, GError **errp)
{
    const SampleOptions *o = run->options;
    double requests, user, kernel;
    Reading from, to;

    g_usleep(o->settle_seconds * G_USEC_PER_SEC);
    if (run->spec->count == COUNT_SYSCALLS &&
        !syscall_count_open(&run->syscalls, run->server.pid, errp)) {
        return false;
    }
    client_record(run->client);
    from = take_reading(run);
    g_usleep(o->seconds * G_USEC_PER_SEC);
    to = take_reading(run);

    requests = to.requests - from.requests;
    user = to.cpu.user_ticks - from.cpu.user_ticks;
    kernel = to.cpu.kernel_ticks - from.cpu.kernel_ticks;
    if (requests == 0 || to.cpu.seconds <= from.cpu.seconds) {
        bench_error(errp, "no request has ended");
        return false;
    }
    sample->requests_per_second = requests / (to.seconds - from.seconds);
    sample->cpu_seconds = (to.cpu.seconds - from.cpu.seconds) / requests;
    sample->kernel_share = user + kernel ? kernel / (user + kernel) : 0;
    sample->counted = (to.counted - from.counted) / requests;
    return true;
}

/* The client first: a daemon that has gone would leave it waiting. */
static bool stop(Run *run, Latency *latency, GError **errp)
{
    bool ok = true;

    if (run->client) {
        ok = client_stop(run->client, latency, errp);
    }
    syscall_count_close(&run->syscalls);
    server_stop(&run->server);
    heap_count_close(&run->heap);
    unlink(run->socket_path);
    g_free(run->socket_path);
    return ok;
}

bool sample_take(const char *program, const SampleSpec *spec,
                 const SampleOptions *options, Sample *sample, GError **errp)
{
    g_autofree Latency *latency = g_new0(Latency, 1);
    Run run = { .spec = spec, .options = options };
    bool ok;

    memset(sample, 0, sizeof(*sample));
    run.socket_path = g_build_filename(options->directory, "export.sock", NULL);
    ok = start(&run, program, errp) && measure(&run, sample, errp);
    ok = stop(&run, latency, ok ? errp : NULL) && ok;
    sample->median_ns = latency_quantile(latency, 0.5);
    sample->p99_ns = latency_quantile(latency, 0.99);
    return ok;
}
