/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raid-sim: the driver on disks that lose power
 *
 * Owns: the command line and the start of the block layer.
 * Must not know: how anything is tested.
 * Threads: main loop only.
 */

#include "qemu/osdep.h"
#include <getopt.h>
#include <malloc.h>
#include "block/block.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/units.h"
#include "choice.h"
#include "model.h"
#include "report.h"
#include "trial.h"
#include "vclock.h"

static const char usage[] =
    "usage: raid-sim [options]\n"
    "\n"
    "Runs opus-raid on disks in memory that have volatile caches, fail, and\n"
    "lose power at any moment, and checks what is left.\n"
    "\n"
    "  -s, --seed N      start with this seed (default 1)\n"
    "  -n, --number N    run so many trials of each level (default 500)\n"
    "  -l, --level NAME  only this level: raid1, raid5, raid6, raid10\n"
    "  -p, --policy NAME only this consistency policy\n"
    "  -m, --model[=N]   instead: all that can happen to small arrays; N from 1\n"
    "                    (default) to 3 are bounds that take longer\n"
    "  -r, --replay N    instead: random runs, each cut at every event in several\n"
    "                    ways, until N contents of the disks were recovered for\n"
    "                    each level and policy\n"
    "  -t, --self-test   disks that lie about flushes must be noticed\n"
    "  -v, --verbose     tell all that happened if a promise is broken\n"
    "  -h, --help        show this\n";

static const struct option long_options[] = {
    { "seed", required_argument, NULL, 's' },
    { "number", required_argument, NULL, 'n' },
    { "level", required_argument, NULL, 'l' },
    { "policy", required_argument, NULL, 'p' },
    { "model", optional_argument, NULL, 'm' },
    { "replay", required_argument, NULL, 'r' },
    { "self-test", no_argument, NULL, 't' },
    { "verbose", no_argument, NULL, 'v' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 }
};

typedef struct CommandLine {
    uint64_t seed;
    uint64_t number;
    int level;                  /* -1: all */
    int policy;                 /* the same */
    unsigned model;             /* bound; 0: random runs */
    uint64_t replay;            /* contents to recover; 0: none */
    bool self_test;
} CommandLine;

static const ModelBounds model_bounds[] = {
    { .recovery_cuts = 1, .volatile_writes = 8, .fault_every = 60 },
    { .recovery_cuts = 1, .volatile_writes = 10, .fault_every = 5 },
    { .recovery_cuts = 2, .volatile_writes = 14, .fault_every = 1 },
};

static void G_NORETURN refuse(const char *what, const char *value)
{
    fprintf(stderr, "raid-sim: %s: %s\n\n%s", what, value, usage);
    exit(2);
}

static uint64_t parse_number(const char *text)
{
    guint64 value;

    if (!g_ascii_string_to_unsigned(text, 10, 0, INT64_MAX, &value, NULL)) {
        refuse("not a number", text);
    }
    return value;
}

static void parse_command_line(CommandLine *cl, int argc, char **argv)
{
    int opt;

    while ((opt = getopt_long(argc, argv, "s:n:l:p:m::r:tvh", long_options,
                              NULL)) != -1) {
        switch (opt) {
        case 's':
            cl->seed = parse_number(optarg);
            break;
        case 'n':
            cl->number = parse_number(optarg);
            break;
        case 'l':
            cl->level = qapi_enum_parse(&OpusRaidLevel_lookup, optarg, -1,
                                        NULL);
            if (cl->level < 0) {
                refuse("no such level", optarg);
            }
            break;
        case 'p':
            cl->policy = qapi_enum_parse(&OpusRaidConsistencyPolicy_lookup,
                                         optarg, -1, NULL);
            if (cl->policy < 0) {
                refuse("no such policy", optarg);
            }
            break;
        case 'm':
            cl->model = optarg ? parse_number(optarg) : 1;
            if (cl->model < 1 || cl->model > ARRAY_SIZE(model_bounds)) {
                refuse("no such bound", optarg);
            }
            break;
        case 'r':
            cl->replay = parse_number(optarg);
            break;
        case 't':
            cl->self_test = true;
            break;
        case 'v':
            report_want_details();
            break;
        case 'h':
            printf("%s", usage);
            exit(0);
        default:
            fprintf(stderr, "\n%s", usage);
            exit(2);
        }
    }
    if (optind < argc) {
        refuse("not an option", argv[optind]);
    }
}

static void G_NORETURN on_hang(void)
{
    report_broken("hang: something waits for what can never happen");
}

static void run_level(const CommandLine *cl, OpusRaidLevel level,
                      OpusRaidConsistencyPolicy policy)
{
    TrialCounts counts = { 0 };

    for (uint64_t i = 0; i < cl->number; i++) {
        g_autofree char *text = NULL;
        TrialSpec spec;

        choice_seed(cl->seed + i);
        trial_choose(&spec, level, policy);
        spec.lie = cl->self_test;
        text = trial_describe(&spec);
        report_context("--level %s --policy %s --seed %" PRIu64 " --number 1 "
                       "(%s)", OpusRaidLevel_str(level),
                       OpusRaidConsistencyPolicy_str(policy), cl->seed + i,
                       text);
        trial_run(&spec, &counts);
    }
    report_ok("%s, policy %s: %" PRIu64 " arrays, %u power cuts, %u of them "
              "during recovery, %u faults, %u rebuilds, %u opens with members "
              "left out, %u refusals", OpusRaidLevel_str(level),
              OpusRaidConsistencyPolicy_str(policy), cl->number, counts.cuts,
              counts.recovery_cuts, counts.faults, counts.rebuilds,
              counts.opens, counts.refusals);
}

static void run_model(const CommandLine *cl, OpusRaidLevel level,
                      OpusRaidConsistencyPolicy policy)
{
    static const unsigned slots[] = {
        [OPUS_RAID_LEVEL_RAID1] = 3, [OPUS_RAID_LEVEL_RAID5] = 3,
        [OPUS_RAID_LEVEL_RAID6] = 4, [OPUS_RAID_LEVEL_RAID10] = 3,
    };
    ModelCounts c = { 0 };

    model_run(level, slots[level], policy, &model_bounds[cl->model - 1], &c);
    report_ok("model of %s, policy %s: %" PRIu64 " scenarios, %" PRIu64
              " states, %" PRIu64 " contents after a cut (%" PRIu64 " of them "
              "after a cut of recovery), %" PRIu64 " states not in full, %"
              PRIu64 " refusals", OpusRaidLevel_str(level),
              OpusRaidConsistencyPolicy_str(policy), c.scenarios, c.states,
              c.cuts, c.again, c.bounded, c.refusals);
}

/* Returns the contents that were recovered and compared. */
static uint64_t run_replay(const CommandLine *cl, OpusRaidLevel level,
                           OpusRaidConsistencyPolicy policy)
{
    static const ModelBounds bounds = { .cuts_each = 3 };
    ModelCounts c = { 0 };
    uint64_t runs = 0;

    while (c.cuts - c.refusals < cl->replay) {
        model_replay(level, 4, policy, cl->seed + runs++, &bounds, &c);
    }
    report_ok("replay of %s, policy %s: %" PRIu64 " runs, %" PRIu64 " events, "
              "%" PRIu64 " contents after a cut, %" PRIu64 " of them refused",
              OpusRaidLevel_str(level), OpusRaidConsistencyPolicy_str(policy),
              runs, c.states, c.cuts, c.refusals);
    return c.cuts - c.refusals;
}

static void run_levels(const CommandLine *cl)
{
    static const OpusRaidLevel levels[] = {
        OPUS_RAID_LEVEL_RAID1, OPUS_RAID_LEVEL_RAID5, OPUS_RAID_LEVEL_RAID6,
        OPUS_RAID_LEVEL_RAID10,
    };
    uint64_t recovered = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(levels); i++) {
        for (int policy = 0; policy < OPUS_RAID_CONSISTENCY_POLICY__MAX;
             policy++) {
            if ((cl->level >= 0 && cl->level != levels[i]) ||
                (cl->policy >= 0 && cl->policy != policy) ||
                !subject_has_policy(levels[i], policy)) {
                continue;
            }
            if (cl->model) {
                run_model(cl, levels[i], policy);
            } else if (cl->replay) {
                recovered += run_replay(cl, levels[i], policy);
            } else {
                run_level(cl, levels[i], policy);
            }
        }
    }
    if (cl->replay) {
        report_comment("%" PRIu64 " contents of the disks were recovered, and "
                       "are right", recovered);
    }
}

int main(int argc, char **argv)
{
    CommandLine cl = { .seed = 1, .number = 500, .level = -1, .policy = -1 };

    /* Disks come and go with each cut; their pages need not. */
    mallopt(M_MMAP_THRESHOLD, 64 * MiB);
    mallopt(M_TRIM_THRESHOLD, 512 * MiB);
    parse_command_line(&cl, argc, argv);
    vclock_start(on_hang);
    module_call_init(MODULE_INIT_QOM);
    qemu_init_main_loop(&error_fatal);
    bdrv_init();
    if (cl.self_test) {
        report_expect_broken();
    }
    run_levels(&cl);
    if (cl.self_test) {
        printf("not ok - nobody noticed that flushes do nothing\n");
        return 1;
    }
    report_plan();
    return 0;
}
