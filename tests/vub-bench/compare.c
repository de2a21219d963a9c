/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compare: run a scenario's two sides in turn, and judge
 *
 * Owns: the order of the runs, medians, ratios, verdicts and their print.
 * Must not know: how a side is run.
 * Threads: one.
 *
 * A ratio is taken within each round, of two runs one after the other, and the
 * median is that of the ratios: what slows the machine for longer than a round
 * slows both sides.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "compare.h"

/* Fewer than one in a thousand requests: those of the main loop. */
#define COUNT_SLACK 0.0005

typedef struct Comparison {
    const Scenario *sc;
    const CompareOptions *options;
    Sample a[COMPARE_MAX_ROUNDS];
    Sample b[COMPARE_MAX_ROUNDS];
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

/* Of the double at @offset in each sample. */
static double median_of(const Sample *samples, unsigned nr, size_t offset)
{
    double values[COMPARE_MAX_ROUNDS];

    for (unsigned i = 0; i < nr; i++) {
        values[i] = G_STRUCT_MEMBER(double, &samples[i], offset);
    }
    return median(values, nr);
}

#define MEDIAN(samples, nr, field) \
    median_of(samples, nr, G_STRUCT_OFFSET(Sample, field))

static bool run_side(const Comparison *c, const ScenarioSide *side,
                     Sample *sample, GError **errp)
{
    return sample_take(c->options->programs[side->program], &side->spec,
                       &c->options->sample, sample, errp);
}

static double ratio_of(Metric metric, const Sample *a, const Sample *b)
{
    switch (metric) {
    case METRIC_CPU_RATE:
        return b->cpu_seconds / a->cpu_seconds;
    case METRIC_CPU:
        return a->cpu_seconds / b->cpu_seconds;
    case METRIC_LATENCY:
        return a->median_ns / b->median_ns;
    case METRIC_COUNT:
        return a->counted;
    }
    g_assert_not_reached();
}

static bool run_rounds(Comparison *c, GError **errp)
{
    for (unsigned i = 0; i < c->options->rounds; i++) {
        /* Forth and back: a steady drift favours neither side. */
        bool b_first = i % 2;

        if ((b_first && !run_side(c, &c->sc->b, &c->b[i], errp)) ||
            !run_side(c, &c->sc->a, &c->a[i], errp) ||
            (!b_first && !run_side(c, &c->sc->b, &c->b[i], errp))) {
            return false;
        }
        c->ratios[i] = ratio_of(c->sc->metric, &c->a[i], &c->b[i]);
    }
    return true;
}

static const char *side_name(const Scenario *sc, const ScenarioSide *side)
{
    static const char *const volumes[] = {
        [VOLUME_NULL] = "null-co",
        [VOLUME_RAW] = "raw",
        [VOLUME_RAID5] = "raid5",
    };

    if (sc->a.program != sc->b.program) {
        return side->program == PROGRAM_OURS ? "ours" : "stock";
    }
    if (sc->a.spec.volume != sc->b.spec.volume) {
        return volumes[side->spec.volume];
    }
    return side == &sc->a ? "many" : "one";
}

static void print_side(const Comparison *c, const ScenarioSide *side,
                       const Sample *samples)
{
    unsigned nr = c->options->rounds;
    double cpu_seconds = MEDIAN(samples, nr, cpu_seconds);

    printf("%-21s %-8s %8.1f %8.1f %7.3f %4.0f %%", side == &c->sc->a ?
           c->sc->name : "", side_name(c->sc, side),
           MEDIAN(samples, nr, requests_per_second) / 1e3,
           1 / cpu_seconds / 1e3, cpu_seconds * 1e6,
           MEDIAN(samples, nr, kernel_share) * 100);
    if (side->spec.client.timed) {
        printf(" %7.2f %7.2f", MEDIAN(samples, nr, median_ns) / 1e3,
               MEDIAN(samples, nr, p99_ns) / 1e3);
    } else {
        printf(" %7s %7s", "-", "-");
    }
    if (side->spec.count != COUNT_NOTHING) {
        printf(" %7.3f", MEDIAN(samples, nr, counted));
    } else {
        printf(" %7s", "-");
    }
}

/* Targets have two digits, and so has what is held against one. */
static Verdict judge(const Scenario *sc, double ratio)
{
    if (sc->metric == METRIC_COUNT) {
        return ratio <= sc->target + COUNT_SLACK ? VERDICT_PASS : VERDICT_MISS;
    }
    ratio = round(ratio * 100) / 100;
    if (sc->metric == METRIC_CPU_RATE) {
        return ratio >= sc->target ? VERDICT_PASS : VERDICT_MISS;
    }
    return ratio <= sc->target ? VERDICT_PASS : VERDICT_MISS;
}

static Verdict print_result(Comparison *c)
{
    static const char *const names[] = {
        [METRIC_CPU_RATE] = "k/cpu",
        [METRIC_CPU] = "cpu us",
        [METRIC_LATENCY] = "median",
        [METRIC_COUNT] = "counted",
    };
    const Scenario *sc = c->sc;
    unsigned nr = c->options->rounds;
    double ratio = median(c->ratios, nr);
    Verdict verdict = judge(sc, ratio);

    print_side(c, &sc->a, c->a);
    printf("\n");
    print_side(c, &sc->b, c->b);
    printf("  %-7s %6.3f %6.3f-%-6.3f %s %.2f %s\n", names[sc->metric], ratio,
           c->ratios[0], c->ratios[nr - 1],
           sc->metric == METRIC_CPU_RATE ? ">=" : "<=", sc->target,
           verdict == VERDICT_PASS ? "pass" : "MISS");
    return verdict;
}

void compare_print_header(void)
{
    printf("%-30s %8s %8s %7s %6s %7s %7s %7s  %-7s %6s %13s target\n", "",
           "k/s", "k/cpu", "cpu us", "kernel", "med. us", "p99 us", "counted",
           "of", "ratio", "range");
}

Verdict compare_run(const Scenario *sc, const CompareOptions *options)
{
    g_autofree Comparison *c = g_new0(Comparison, 1);
    g_autoptr(GError) error = NULL;
    Verdict verdict = VERDICT_ERROR;

    c->sc = sc;
    c->options = options;
    if (run_rounds(c, &error)) {
        verdict = print_result(c);
    } else {
        printf("%-21s not measured: %s\n", sc->name, error->message);
    }
    fflush(stdout);
    return verdict;
}
