/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Scenario: a load on an array, what to compare it with, and what to reach
 */
#ifndef OPUS_BENCH_SCENARIO_H
#define OPUS_BENCH_SCENARIO_H

#include "load.h"
#include "rig.h"

/* What the array is compared with. */
typedef enum Reference {
    REF_MEMBERS,                /* its members, each used by itself */
    REF_RAW,                    /* QEMU's raw format over one member */
    REF_HEALTHY,                /* the array with all its members */
    REF_RESYNC,                 /* an array of them that keeps no log */
    REF_YARDSTICK,              /* one copy and ISA-L, without any node */
} Reference;

typedef enum Metric {
    METRIC_REQUESTS,            /* per second; more is better */
    METRIC_BYTES,               /* per second; more is better */
    METRIC_CPU,                 /* CPU time of a request; less is better */
    METRIC_CPU_RATE,            /* requests per CPU second; more is better */
} Metric;

typedef struct Scenario {
    const char *name;
    RigSpec rig;
    unsigned nr_missing;        /* members that the array has to do without */
    LoadSpec load;
    uint32_t ref_bytes;         /* of the reference's requests; 0: the same */
    Reference reference;
    Metric metric;
    double stretch;             /* longer than other scenarios; 0 means 1 */
    double share;               /* of the reference that the model allows */
    const char *model;          /* where the share comes from, or NULL */
    double target;              /* array / (share of reference); 0: none */
} Scenario;

extern const Scenario scenarios[];
extern const unsigned nr_scenarios;

#endif /* OPUS_BENCH_SCENARIO_H */
