/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trial: the lives of one array, and what is left after each of them
 */
#ifndef OPUS_SIM_TRIAL_H
#define OPUS_SIM_TRIAL_H

#include "qemu/osdep.h"
#include "bus.h"
#include "subject.h"

typedef struct TrialSpec {
    SubjectSpec subject;
    BusSpec bus;
    unsigned lives;             /* power-ons, at most */
    bool faults;                /* disks may fail */
    bool spares;                /* and are replaced */
    unsigned acts;              /* in a life, at most: see acts.h */
    bool lie;                   /* see bus_let_lie() */
} TrialSpec;

typedef struct TrialCounts {
    unsigned cuts;              /* of power */
    unsigned recovery_cuts;     /* among them: while recovering */
    unsigned refusals;          /* that the policy allows for */
    unsigned faults;
    unsigned rebuilds;          /* that ended */
    unsigned opens;             /* with members left out, to check */
} TrialCounts;

/* Fill in a random spec for a level. */
void trial_choose(TrialSpec *spec, OpusRaidLevel level,
                  OpusRaidConsistencyPolicy policy);

/* Tell a spec, for reports; the caller frees the text. */
char *trial_describe(const TrialSpec *spec);

/* Run a trial; ends the program if a promise is broken. */
void trial_run(const TrialSpec *spec, TrialCounts *counts);

#endif /* OPUS_SIM_TRIAL_H */
