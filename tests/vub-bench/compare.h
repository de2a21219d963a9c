/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compare: run a scenario's two sides in turn, and judge
 */
#ifndef VUB_BENCH_COMPARE_H
#define VUB_BENCH_COMPARE_H

#include "scenario.h"

#define COMPARE_MAX_ROUNDS  99

typedef struct CompareOptions {
    unsigned rounds;            /* 1 .. COMPARE_MAX_ROUNDS */
    const char *programs[PROGRAM__MAX];
    SampleOptions sample;
} CompareOptions;

typedef enum Verdict {
    VERDICT_ERROR,              /* could not be measured; said so */
    VERDICT_PASS,
    VERDICT_MISS,
} Verdict;

/* The line above the results. */
void compare_print_header(void);

/* Run one scenario and print its lines. One thread at a time. */
Verdict compare_run(const Scenario *sc, const CompareOptions *options);

#endif /* VUB_BENCH_COMPARE_H */
