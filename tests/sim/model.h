/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Model: everything that can happen to a very small array
 *
 * Two writes to an array of two stripes, in every order in which the disks can
 * complete what the driver asks of them; the power cut at every event, with
 * every subset of the writes that are not durable then; recovery, cut again at
 * every event and with every subset. Equal states are looked at once.
 *
 * What is not varied: the order of completions during recovery, which is that
 * of submission. A write of 4 KiB is not torn.
 *
 * All functions: main loop.
 */
#ifndef OPUS_SIM_MODEL_H
#define OPUS_SIM_MODEL_H

#include "subject.h"

typedef struct ModelBounds {
    unsigned recovery_cuts;     /* one after the other */
    unsigned volatile_writes;   /* more than that: not every subset */
    unsigned fault_every;       /* a member fails at every so manieth event */
    unsigned cuts_each;         /* model_replay(): at each event */
} ModelBounds;

typedef struct ModelCounts {
    uint64_t scenarios;
    uint64_t runs;              /* of the two writes */
    uint64_t states;            /* of disks, caches, requests, guest */
    uint64_t cuts;              /* distinct content after a cut */
    uint64_t again;             /* among them: after recovery was cut */
    uint64_t bounded;           /* states with too many volatile writes */
    uint64_t refusals;          /* that the policy allows for */
} ModelCounts;

/* Ends the program if a promise is broken. */
void model_run(OpusRaidLevel level, unsigned nr_slots,
               OpusRaidConsistencyPolicy policy, const ModelBounds *bounds,
               ModelCounts *counts);

/**
 * model_replay: a random load on a larger array, healthy or degraded
 *
 * Not all that could happen, but at each event some random cuts of all that
 * are possible, each of them recovered.
 */
void model_replay(OpusRaidLevel level, unsigned nr_slots,
                  OpusRaidConsistencyPolicy policy, uint64_t seed,
                  const ModelBounds *bounds, ModelCounts *counts);

#endif /* OPUS_SIM_MODEL_H */
