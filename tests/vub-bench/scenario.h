/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenario: the table of what vub-bench measures
 */
#ifndef VUB_BENCH_SCENARIO_H
#define VUB_BENCH_SCENARIO_H

#include "sample.h"

typedef enum Metric {
    METRIC_CPU_RATE,            /* requests per server CPU-second; >= target */
    METRIC_CPU,                 /* server CPU time of a request; <= target */
    METRIC_LATENCY,             /* median; <= target */
    METRIC_COUNT,               /* per request, of side A alone; <= target */
} Metric;

typedef enum Program {
    PROGRAM_OURS,
    PROGRAM_STOCK,
    PROGRAM__MAX,
} Program;

typedef struct ScenarioSide {
    Program program;
    SampleSpec spec;
} ScenarioSide;

typedef struct Scenario {
    const char *name;
    ScenarioSide a;             /* what has the target */
    ScenarioSide b;             /* what it is compared with */
    Metric metric;
    double target;              /* of a over b; with METRIC_COUNT of a */
} Scenario;

extern const Scenario scenarios[];
extern const unsigned nr_scenarios;

#endif /* VUB_BENCH_SCENARIO_H */
