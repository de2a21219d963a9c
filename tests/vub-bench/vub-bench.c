/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vub-bench: our vhost-user-blk export beside QEMU's own
 *
 * Owns: the command line, the directory for sockets, the exit status.
 * Must not know: how anything is measured.
 * Threads: one; the client has its own.
 */

#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "compare.h"
#include "cpus.h"

static const char summary[] =
    "Compares two storage daemons, in turns: their vhost-user-blk exports\n"
    "under the load of libblkio, with server and client on CPUs of their own.\n"
    "Scenarios are named, where \"*\" stands for anything; without a name all\n"
    "are run. A missed target is a result, not a failure.";

typedef struct CommandLine {
    CompareOptions compare;
    gboolean list;
    gboolean keep_files;
    char **names;
} CommandLine;

static void G_GNUC_NORETURN refuse(const char *what, const char *value)
{
    fprintf(stderr, "vub-bench: %s: %s\n", what, value);
    exit(2);
}

static void set_cpus(CommandLine *cl, const char *server, const char *client)
{
    SampleOptions *o = &cl->compare.sample;

    if (!cpus_split(&o->server_cpus, &o->client_cpus)) {
        fprintf(stderr, "vub-bench: one CPU for both server and client\n");
    }
    if (server && !cpus_parse(server, &o->server_cpus)) {
        refuse("no list of CPUs", server);
    }
    if (client && !cpus_parse(client, &o->client_cpus)) {
        refuse("no list of CPUs", client);
    }
}

static void parse_command_line(CommandLine *cl, int *argc, char ***argv)
{
    CompareOptions *c = &cl->compare;
    SampleOptions *o = &c->sample;
    g_autofree char *server = NULL;
    g_autofree char *client = NULL;
    int rounds = 5;
    const GOptionEntry entries[] = {
        { "list", 'l', 0, G_OPTION_ARG_NONE, &cl->list,
          "List the scenarios", NULL },
        { "ours", 0, 0, G_OPTION_ARG_FILENAME, &c->programs[PROGRAM_OURS],
          "Our storage daemon (default: the build's)", "PATH" },
        { "stock", 0, 0, G_OPTION_ARG_FILENAME, &c->programs[PROGRAM_STOCK],
          "QEMU's storage daemon (default: the build's)", "PATH" },
        { "rounds", 'r', 0, G_OPTION_ARG_INT, &rounds,
          "Runs of each side (default 5); medians are shown", "N" },
        { "seconds", 's', 0, G_OPTION_ARG_DOUBLE, &o->seconds,
          "Length of one run (default 1)", "S" },
        { "settle", 'w', 0, G_OPTION_ARG_DOUBLE, &o->settle_seconds,
          "Time before each run that does not count (default 0.3)", "S" },
        { "poll-max-ns", 'p', 0, G_OPTION_ARG_INT64, &o->poll_max_ns,
          "Of the iothreads, where the scenario has not its own", "NS" },
        { "server-cpus", 0, 0, G_OPTION_ARG_STRING, &server,
          "CPUs of the server (default: the upper half)", "LIST" },
        { "client-cpus", 0, 0, G_OPTION_ARG_STRING, &client,
          "CPUs of the client (default: the lower half)", "LIST" },
        { "tmpfs", 0, 0, G_OPTION_ARG_FILENAME, &o->places.tmpfs,
          "Where files in memory go (default /dev/shm)", "DIR" },
        { "disk", 0, 0, G_OPTION_ARG_FILENAME, &o->places.disk,
          "Where files on a disk go (default /var/tmp)", "DIR" },
        { "keep-files", 'k', 0, G_OPTION_ARG_NONE, &cl->keep_files,
          "Leave these files for the next run", NULL },
        { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &cl->names,
          NULL, "[SCENARIO...]" },
        { NULL }
    };
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GError) error = NULL;

    g_option_context_set_summary(context, summary);
    g_option_context_add_main_entries(context, entries, NULL);
    if (!g_option_context_parse(context, argc, argv, &error)) {
        refuse("command line", error->message);
    }
    if (rounds < 1 || rounds > COMPARE_MAX_ROUNDS || !(o->seconds > 0) ||
        !(o->settle_seconds >= 0)) {
        refuse("out of range", "--rounds, --seconds or --settle");
    }
    c->rounds = rounds;
    set_cpus(cl, server, client);
}

static bool is_wanted(const CommandLine *cl, const char *name)
{
    for (char **wanted = cl->names; wanted && *wanted; wanted++) {
        if (g_pattern_match_simple(*wanted, name)) {
            return true;
        }
    }
    return !cl->names;
}

static void check_names(const CommandLine *cl)
{
    for (char **wanted = cl->names; wanted && *wanted; wanted++) {
        unsigned i = 0;

        while (i < nr_scenarios &&
               !g_pattern_match_simple(*wanted, scenarios[i].name)) {
            i++;
        }
        if (i == nr_scenarios) {
            refuse("no such scenario", *wanted);
        }
    }
}

static void print_machine(const CompareOptions *c)
{
    struct utsname uts;
    double load[1] = { 0 };

    uname(&uts);
    getloadavg(load, 1);
    printf("ours:    %s\nstock:   %s\n", c->programs[PROGRAM_OURS],
           c->programs[PROGRAM_STOCK]);
    printf("machine: %ld CPUs (server %d, client %d), %s %s, load average "
           "%.1f\n", sysconf(_SC_NPROCESSORS_ONLN),
           CPU_COUNT(&c->sample.server_cpus),
           CPU_COUNT(&c->sample.client_cpus), uts.sysname, uts.release,
           load[0]);
    printf("medians of %u rounds of %g s a side; k/cpu: 1000 requests a second "
           "of the server's\nCPU time; cpu us: its inverse; kernel: the "
           "kernel's share of that time; counted:\nsystem calls or heap "
           "allocations of a request\n\n", c->rounds, c->sample.seconds);
}

/* Returns the exit status: a missed target is a result, not a failure. */
static int run_scenarios(const CommandLine *cl)
{
    unsigned counts[VERDICT_MISS + 1] = { 0 };

    print_machine(&cl->compare);
    compare_print_header();
    for (unsigned i = 0; i < nr_scenarios; i++) {
        if (is_wanted(cl, scenarios[i].name)) {
            counts[compare_run(&scenarios[i], &cl->compare)]++;
        }
    }
    printf("\n%u targets reached, %u missed, %u not measured\n",
           counts[VERDICT_PASS], counts[VERDICT_MISS], counts[VERDICT_ERROR]);
    return counts[VERDICT_ERROR] ? 1 : 0;
}

int main(int argc, char **argv)
{
    CommandLine cl = {
        .compare = {
            .programs = { VUB_BENCH_OURS, VUB_BENCH_STOCK },
            .sample = {
                .seconds = 1, .settle_seconds = 0.3, .poll_max_ns = -1,
                .places = { .tmpfs = "/dev/shm", .disk = "/var/tmp" },
                .heap_library = VUB_BENCH_HEAP,
            },
        },
    };
    g_autoptr(GError) error = NULL;
    g_autofree char *directory = NULL;
    int status;

    parse_command_line(&cl, &argc, &argv);
    check_names(&cl);
    if (cl.list) {
        for (unsigned i = 0; i < nr_scenarios; i++) {
            printf("%s\n", scenarios[i].name);
        }
        return 0;
    }
    directory = g_dir_make_tmp("vub-bench-XXXXXX", &error);
    if (!directory) {
        refuse("no directory", error->message);
    }
    signal(SIGPIPE, SIG_IGN);
    cl.compare.sample.directory = directory;
    status = run_scenarios(&cl);
    if (!cl.keep_files) {
        volume_remove_files(&cl.compare.sample.places);
    }
    g_rmdir(directory);
    g_strfreev(cl.names);
    return status;
}
