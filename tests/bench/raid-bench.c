/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raid-bench: what opus-raid costs, beside its own members
 *
 * Owns: the command line and the start of the block layer.
 * Must not know: how anything is measured.
 * Threads: main loop only.
 */

#include "qemu/osdep.h"
#include <getopt.h>
#include <sys/utsname.h>
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "check-alloc.h"
#include "compare.h"

#define DEFAULT_ROUNDS  5

static const char usage[] =
    "usage: raid-bench [options] [scenario ...]\n"
    "\n"
    "Compares opus-raid with its own members, in one process and in turns.\n"
    "Scenarios are named, where \"*\" stands for anything: \"null-*\" is all\n"
    "that have members which cost nothing. Without a name all are run.\n"
    "\n"
    "  -l, --list          list the scenarios\n"
    "  -r, --rounds N      runs of each side (default 5); medians are shown\n"
    "  -s, --seconds S     length of one run (default 1); twice as long for\n"
    "                      the throttled scenarios\n"
    "  -w, --settle S      time before each run that does not count\n"
    "                      (default 0.4); lets bursts of throttle pass\n"
    "  -d, --directory DIR where the tmpfs scenarios put files (/dev/shm)\n"
    "  -o, --only SIDE     run only \"array\" or \"reference\", to profile it\n"
    "  -a, --check-alloc   test that healthy reads take nothing from the heap\n"
    "  -h, --help          show this\n";

static const struct option long_options[] = {
    { "list", no_argument, NULL, 'l' },
    { "rounds", required_argument, NULL, 'r' },
    { "seconds", required_argument, NULL, 's' },
    { "settle", required_argument, NULL, 'w' },
    { "directory", required_argument, NULL, 'd' },
    { "only", required_argument, NULL, 'o' },
    { "check-alloc", no_argument, NULL, 'a' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 }
};

typedef struct CommandLine {
    CompareOptions compare;
    bool list;
    bool check_alloc;
    char **names;
    int nr_names;
} CommandLine;

static void G_NORETURN refuse(const char *what, const char *value)
{
    fprintf(stderr, "raid-bench: %s: %s\n\n%s", what, value, usage);
    exit(2);
}

static double parse_seconds(const char *text)
{
    char *end;
    double value = g_ascii_strtod(text, &end);

    if (end == text || *end || !(value > 0) || value > 3600) {
        refuse("not a number of seconds", text);
    }
    return value;
}

static unsigned parse_rounds(const char *text)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 1, COMPARE_MAX_ROUNDS, &value,
                                    NULL)) {
        refuse("not a number of rounds", text);
    }
    return value;
}

static void parse_side(CompareOptions *options, const char *text)
{
    options->only_array = !strcmp(text, "array");
    options->only_reference = !strcmp(text, "reference");
    if (!options->only_array && !options->only_reference) {
        refuse("no such side", text);
    }
}

static void parse_command_line(CommandLine *cl, int argc, char **argv)
{
    int opt;

    while ((opt = getopt_long(argc, argv, "lr:s:w:d:o:ah", long_options,
                              NULL)) != -1) {
        switch (opt) {
        case 'l':
            cl->list = true;
            break;
        case 'r':
            cl->compare.rounds = parse_rounds(optarg);
            break;
        case 's':
            cl->compare.seconds = parse_seconds(optarg);
            break;
        case 'w':
            cl->compare.settle_seconds = parse_seconds(optarg);
            break;
        case 'd':
            rig_directory = optarg;
            break;
        case 'o':
            parse_side(&cl->compare, optarg);
            break;
        case 'a':
            cl->check_alloc = true;
            break;
        case 'h':
            printf("%s", usage);
            exit(0);
        default:
            fprintf(stderr, "\n%s", usage);
            exit(2);
        }
    }
    cl->names = argv + optind;
    cl->nr_names = argc - optind;
}

static bool is_wanted(const CommandLine *cl, const char *name)
{
    for (int i = 0; i < cl->nr_names; i++) {
        if (g_pattern_match_simple(cl->names[i], name)) {
            return true;
        }
    }
    return cl->nr_names == 0;
}

static void check_names(const CommandLine *cl)
{
    for (int i = 0; i < cl->nr_names; i++) {
        unsigned j = 0;

        while (j < nr_scenarios &&
               !g_pattern_match_simple(cl->names[i], scenarios[j].name)) {
            j++;
        }
        if (j == nr_scenarios) {
            refuse("no such scenario", cl->names[i]);
        }
    }
}

/* The first value of @key in /proc/cpuinfo, or "?". */
static char *cpuinfo(const char *key)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL)) {
        lines = g_strsplit(text, "\n", 0);
        for (char **line = lines; *line; line++) {
            char *value = strstr(*line, ": ");

            if (value && g_str_has_prefix(*line, key)) {
                return g_strdup(value + 2);
            }
        }
    }
    return g_strdup("?");
}

static void print_machine(const CompareOptions *options)
{
    g_autofree char *model = cpuinfo("model name");
    struct utsname uts;
    double load[1] = { 0 };

    uname(&uts);
    getloadavg(load, 1);
    printf("machine: %s, %ld cores, %s %s %s, load average %.1f\n", model,
           sysconf(_SC_NPROCESSORS_ONLN), uts.sysname, uts.release,
           uts.machine, load[0]);
    printf("medians of %u rounds of %g s a side; k/cpu: 1000 requests a second "
           "of CPU time\n\n", options->rounds, options->seconds);
}

static unsigned max_threads(void)
{
    unsigned nr = 1;

    for (unsigned i = 0; i < nr_scenarios; i++) {
        nr = MAX(nr, scenarios[i].load.threads);
    }
    return nr;
}

/* Returns the exit status: a missed target is a result, not a failure. */
static int run_scenarios(const CommandLine *cl)
{
    unsigned counts[VERDICT_BELOW + 1] = { 0 };

    print_machine(&cl->compare);
    compare_print_header();
    for (unsigned i = 0; i < nr_scenarios; i++) {
        if (is_wanted(cl, scenarios[i].name)) {
            counts[compare_run(&scenarios[i], &cl->compare)]++;
        }
    }
    printf("\n%u targets reached, %u below target, %u without target, "
           "%u not measured\n", counts[VERDICT_OK], counts[VERDICT_BELOW],
           counts[VERDICT_NONE], counts[VERDICT_ERROR]);
    return counts[VERDICT_ERROR] ? 1 : 0;
}

int main(int argc, char **argv)
{
    CommandLine cl = {
        .compare = {
            .rounds = DEFAULT_ROUNDS, .seconds = 1, .settle_seconds = 0.4,
        },
    };
    int status;

    parse_command_line(&cl, argc, argv);
    check_names(&cl);
    if (cl.list) {
        for (unsigned i = 0; i < nr_scenarios; i++) {
            printf("%s\n", scenarios[i].name);
        }
        return 0;
    }
    module_call_init(MODULE_INIT_QOM);
    qemu_init_main_loop(&error_fatal);
    bdrv_init();
    load_start_threads(max_threads());
    status = cl.check_alloc ? check_alloc_run(argv) : run_scenarios(&cl);
    load_stop_threads();
    bdrv_close_all();
    return status;
}
