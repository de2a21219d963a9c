/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compare: run a scenario's two sides in turn, and judge
 */
#ifndef OPUS_BENCH_COMPARE_H
#define OPUS_BENCH_COMPARE_H

#include "scenario.h"

#define COMPARE_MAX_ROUNDS  99

typedef struct CompareOptions {
    unsigned rounds;            /* 1 .. COMPARE_MAX_ROUNDS */
    double seconds;             /* of each side of each round */
    double settle_seconds;      /* before each of these */
    bool only_array;            /* no reference, for a profiler */
    bool only_reference;
} CompareOptions;

typedef enum Verdict {
    VERDICT_ERROR,              /* could not be measured; said so */
    VERDICT_NONE,               /* no target, or only one side */
    VERDICT_OK,
    VERDICT_BELOW,
} Verdict;

/* The line above the results. */
void compare_print_header(void);

/* Run one scenario and print its line. Main loop only. */
Verdict compare_run(const Scenario *sc, const CompareOptions *options);

#endif /* OPUS_BENCH_COMPARE_H */
