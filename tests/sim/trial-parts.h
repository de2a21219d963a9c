/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Trial parts: what trial.c and acts.c share
 */
#ifndef OPUS_SIM_TRIAL_PARTS_H
#define OPUS_SIM_TRIAL_PARTS_H

#include "oracle.h"
#include "trial.h"

#define STATE(name) (1u << OPUS_RAID_MEMBER_STATE_##name)

typedef struct Trial {
    const TrialSpec *spec;
    SubjectSpec subject;        /* as it is now; policy and size may change */
    /* The same, or what the power was cut on the way to. */
    OpusRaidConsistencyPolicy other_policy;
    TrialCounts *counts;
    Oracle *oracle;
    uint64_t offered;           /* disks that are given at assembly */
    uint64_t removed;           /* disks that belonged to it, and are not */
    uint64_t trusted;           /* in sync when last seen, and well since */
    uint64_t shaky;             /* a read of them fails, or has failed */
    uint64_t leaving;           /* are replaced, now or when there is time */
    uint64_t bad;               /* the disk that has bad blocks */
    bool crashed;               /* not closed cleanly since it was in sync */
    bool was_crashed;           /* the same, at the start of this life */
    bool was_pending;
    bool planned_faults;        /* for this life, or a member was failed */
    bool checks;                /* for mismatches */
    bool stuck;                 /* neither writable nor active any more */
    bool over;                  /* refused, and rightly */
} Trial;

/* Does redundancy await a resync? A degraded array does not tell. */
bool trial_is_pending(const Trial *t);

/* Must dirty and degraded be refused? */
bool trial_needs_resync_first(const Trial *t);

/* A disk that the array may lose now; false when there is none. */
bool trial_choose_victim(const Trial *t, unsigned *disk);

/* Read all, and compare. */
void trial_check_content(Trial *t, bool settle);

void trial_wait_for_jobs(void);

#endif /* OPUS_SIM_TRIAL_PARTS_H */
