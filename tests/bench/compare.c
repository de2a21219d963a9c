/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compare: run a scenario's two sides in turn, and judge
 *
 * Owns: rounds, medians, verdicts.
 * Must not know: how a load or a rig works.
 * Threads: main loop only.
 *
 * A machine's speed drifts, so the sides alternate and the ratio is taken
 * within each round. What is printed of each side, and of the ratio, is the
 * median over the rounds.
 *
 * The cost of parity is what a full stripe costs more than its chunks would,
 * each written to a member by itself. So that has a third side.
 */

#include "qemu/osdep.h"
#include <math.h>
#include "qapi/error.h"
#include "qemu/units.h"
#include "compare.h"
#include "yardstick.h"

typedef enum Side {
    SIDE_ARRAY,
    SIDE_REFERENCE,
    SIDE_CHUNKS,                /* the members' share; with REF_YARDSTICK */
    SIDE__MAX,
} Side;

typedef struct Comparison {
    const Scenario *sc;
    const CompareOptions *options;
    Rig rig;
    double values[SIDE__MAX][COMPARE_MAX_ROUNDS];
    double cpu_us[SIDE__MAX][COMPARE_MAX_ROUNDS];   /* of one request */
    double ratios[COMPARE_MAX_ROUNDS];
} Comparison;

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double median(double *values, unsigned nr)
{
    qsort(values, nr, sizeof(values[0]), compare_doubles);
    return nr % 2 ? values[nr / 2]
                  : (values[nr / 2 - 1] + values[nr / 2]) / 2;
}

static bool is_write(const Scenario *sc)
{
    return sc->load.pattern != LOAD_RANDOM_READ;
}

static unsigned nr_parity(const RigSpec *spec)
{
    return spec->level == OPUS_RAID_LEVEL_RAID6 ? 2 : 1;
}

/* With REF_RESYNC the sides are arrays of the same members. */
static bool make_array(Comparison *c, Side side, Error **errp)
{
    return c->sc->reference != REF_RESYNC ||
           rig_create_array(&c->rig, side == SIDE_ARRAY
                            ? c->sc->rig.policy
                            : OPUS_RAID_CONSISTENCY_POLICY_RESYNC, errp);
}

/* *@y is set when it has to be closed after the target. */
static bool open_reference(Comparison *c, LoadTarget *target, Yardstick **y,
                           Error **errp)
{
    const Scenario *sc = c->sc;

    switch (sc->reference) {
    case REF_MEMBERS:
        if (!rig_open_members(&c->rig, is_write(sc), target, errp)) {
            return false;
        }
        target->one_each = sc->rig.limit != NULL;
        return true;
    case REF_RAW:
        return rig_open_raw(&c->rig, target, errp);
    case REF_RESYNC:
    case REF_HEALTHY:
        return rig_open_array(&c->rig, is_write(sc), 0, target, errp);
    case REF_YARDSTICK:
        *y = yardstick_open(sc->rig.nr_members - nr_parity(&sc->rig),
                            nr_parity(&sc->rig), sc->rig.chunk_bytes, target);
        return true;
    }
    g_assert_not_reached();
}

static double value_of(Metric metric, const LoadSpec *load,
                       const LoadResult *result)
{
    switch (metric) {
    case METRIC_REQUESTS:
        return result->requests / result->seconds;
    case METRIC_BYTES:
        return (double)result->requests * load->bytes / result->seconds;
    case METRIC_CPU:
        return result->cpu_seconds / result->requests;
    case METRIC_CPU_RATE:
        return result->requests / result->cpu_seconds;
    }
    g_assert_not_reached();
}

static bool run_side(Comparison *c, Side side, unsigned round, Error **errp)
{
    const Scenario *sc = c->sc;
    LoadSpec load = sc->load;
    LoadTarget target = { .nr_blks = 0 };
    Yardstick *y = NULL;
    LoadResult result;
    bool ok;
    int ret;

    load.seconds = c->options->seconds * (sc->stretch ?: 1);
    load.settle_seconds = c->options->settle_seconds;
    if (!make_array(c, side, errp)) {
        return false;
    }
    switch (side) {
    case SIDE_ARRAY:
        ok = rig_open_array(&c->rig, is_write(sc), sc->nr_missing, &target,
                            errp);
        break;
    case SIDE_REFERENCE:
        load.bytes = sc->ref_bytes ?: load.bytes;
        ok = open_reference(c, &target, &y, errp);
        break;
    default:
        load.bytes = sc->rig.chunk_bytes;
        ok = rig_open_members(&c->rig, true, &target, errp);
        break;
    }
    if (ok) {
        ret = load_run(&load, &target, &result);
        if (ret < 0 || !result.requests) {
            error_setg_errno(errp, -ret, "A request failed, or none ended");
            ok = false;
        } else {
            c->values[side][round] = value_of(sc->metric, &load, &result);
            c->cpu_us[side][round] = result.cpu_seconds / result.requests *
                                     1e6;
        }
    }
    rig_close_target(&target);
    if (y) {
        yardstick_close(y);
    }
    return ok;
}

static double share_of(const Scenario *sc)
{
    return sc->share ?: 1;
}

static bool is_side_wanted(const Comparison *c, Side side)
{
    switch (side) {
    case SIDE_ARRAY:
        return !c->options->only_reference;
    case SIDE_REFERENCE:
        return !c->options->only_array;
    default:
        return c->sc->reference == REF_YARDSTICK && !c->options->only_array &&
               !c->options->only_reference;
    }
}

static bool run_rounds(Comparison *c, Error **errp)
{
    const RigSpec *rig = &c->sc->rig;

    for (unsigned round = 0; round < c->options->rounds; round++) {
        /* Forth and back: a steady drift favours neither side. */
        for (unsigned turn = 0; turn < SIDE__MAX; turn++) {
            Side side = round % 2 ? SIDE__MAX - 1 - turn : turn;

            if (is_side_wanted(c, side) && !run_side(c, side, round, errp)) {
                return false;
            }
        }
        c->values[SIDE_ARRAY][round] -= rig->nr_members *
                                        c->values[SIDE_CHUNKS][round];
        c->ratios[round] = c->values[SIDE_ARRAY][round] /
                           (c->values[SIDE_REFERENCE][round] *
                            share_of(c->sc));
    }
    return true;
}

static void print_value(Metric metric, double value)
{
    switch (metric) {
    case METRIC_REQUESTS:
        printf(" %8.1f k/s  ", value / 1e3);
        break;
    case METRIC_BYTES:
        printf(" %8.1f MB/s ", value / 1e6);
        break;
    case METRIC_CPU:
        printf(" %8.1f ns   ", value * 1e9);
        break;
    case METRIC_CPU_RATE:
        printf(" %8.1f k/cpu", value / 1e3);
        break;
    }
}

static const char *reference_name(Reference reference)
{
    static const char *const names[] = {
        [REF_MEMBERS] = "members",
        [REF_RAW] = "raw node",
        [REF_HEALTHY] = "healthy",
        [REF_RESYNC] = "no log",
        [REF_YARDSTICK] = "copy+ISA-L",
    };

    return names[reference];
}

/* Targets have two digits, and so has a ratio that is held against one. */
static Verdict judge(const Scenario *sc, double ratio)
{
    ratio = round(ratio * 100) / 100;
    if (!sc->target) {
        return VERDICT_NONE;
    }
    if (sc->metric == METRIC_CPU) {
        return ratio <= sc->target ? VERDICT_OK : VERDICT_BELOW;
    }
    return ratio >= sc->target ? VERDICT_OK : VERDICT_BELOW;
}

static Verdict print_result(Comparison *c)
{
    const Scenario *sc = c->sc;
    const CompareOptions *options = c->options;
    unsigned rounds = options->rounds;
    double ratio = median(c->ratios, rounds);
    Verdict verdict = judge(sc, ratio);

    print_value(sc->metric, median(c->values[SIDE_ARRAY], rounds));
    print_value(sc->metric, median(c->values[SIDE_REFERENCE], rounds));
    printf(" %-10s %8.2f %8.2f ", reference_name(sc->reference),
           median(c->cpu_us[SIDE_ARRAY], rounds),
           median(c->cpu_us[SIDE_REFERENCE], rounds));
    if (options->only_array || options->only_reference) {
        printf(" one side only\n");
        return VERDICT_NONE;
    }
    printf(" %6.3f %6.3f-%.3f", ratio, c->ratios[0], c->ratios[rounds - 1]);
    if (verdict != VERDICT_NONE) {
        printf("  %s %.2f %s", sc->metric == METRIC_CPU ? "<=" : ">=",
               sc->target, verdict == VERDICT_OK ? "OK" : "below target");
    }
    if (sc->model) {
        printf("  (%s)", sc->model);
    }
    printf("\n");
    return verdict;
}

void compare_print_header(void)
{
    printf("%-30s %14s %27s %17s %7s  %12s  target (model)\n%-30s %14s %14s "
           "%30s\n", "", "opus-raid", "reference", "CPU us/request", "ratio",
           "range", "scenario", "", "", "opus-raid   ref.");
}

Verdict compare_run(const Scenario *sc, const CompareOptions *options)
{
    g_autofree Comparison *c = g_new0(Comparison, 1);
    Error *err = NULL;
    Verdict verdict = VERDICT_ERROR;

    c->sc = sc;
    c->options = options;
    printf("%-30s", sc->name);
    fflush(stdout);
    if (rig_open(&c->rig, &sc->rig, &err) && run_rounds(c, &err)) {
        verdict = print_result(c);
    } else {
        printf(" not measured: %s\n", error_get_pretty(err));
        error_free(err);
    }
    rig_close(&c->rig);
    fflush(stdout);
    return verdict;
}
