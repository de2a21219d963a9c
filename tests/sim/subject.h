/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Subject: the array under test, by way of the real driver
 *
 * Its members are disks of the bus, and the bus has power while any of these
 * functions runs. Disks are named by masks of their numbers; the node of disk
 * 3 is "m3", that of the array "array".
 *
 * All functions: main loop.
 */
#ifndef OPUS_SIM_SUBJECT_H
#define OPUS_SIM_SUBJECT_H

#include "system/block-backend.h"
#include "qapi/qapi-types-opus-raid-types.h"

typedef struct SubjectSpec {
    OpusRaidLevel level;
    unsigned nr_slots;
    uint32_t chunk_bytes;
    uint64_t member_bytes;      /* data on each member */
    uint64_t room_bytes;        /* for more of it */
    OpusRaidConsistencyPolicy policy;
    uint32_t bitmap_chunk_bytes;
} SubjectSpec;

/* Is there such a policy for such a level? */
bool subject_has_policy(OpusRaidLevel level, OpusRaidConsistencyPolicy policy);

/* Can a parity array be started dirty and degraded? */
bool subject_heals_degraded(const SubjectSpec *spec);

/*
 * May what a write was about, and only that, be neither old nor new after a
 * crash while degraded? So it is with md's partial parity log, which does not
 * hold the data of a member that is missing.
 */
bool subject_may_mix(const SubjectSpec *spec);

/* How many members may be missing. */
unsigned subject_tolerates(const SubjectSpec *spec);

/* The name of a disk's node, which the caller frees; make that node. */
char *subject_disk_name(unsigned disk);
BlockDriverState *subject_open_disk(unsigned disk);

/* Options of a node with the array of these disks, @prefix before numbers. */
QDict *subject_array_options(const char *node, const char *prefix,
                             uint64_t disks);

/* Bytes that a disk needs. */
uint64_t subject_disk_bytes(const SubjectSpec *spec);

/* Make an array of disks 0, 1, ... */
bool subject_create(const SubjectSpec *spec, Error **errp);

typedef enum SubjectHow {
    SUBJECT_READ_ONLY,
    SUBJECT_WRITABLE,
    SUBJECT_FORCED,             /* writable */
} SubjectHow;

/**
 * subject_open: assemble the array from some disks
 *
 * Returns false, with @errp set, when the driver refuses or the power is cut.
 */
bool subject_open(uint64_t disks, SubjectHow how, Error **errp);

/* May arrays that are opened from now on start jobs by themselves? (yes) */
void subject_let_jobs_start(bool let);

/* Wait for jobs, those that start meanwhile too, and flush. */
void subject_wait(void);

/* The same, and close. */
void subject_close(void);

BlockBackend *subject_blk(void);
bool subject_is_read_only(void);
uint64_t subject_bytes(void);
uint64_t subject_member_bytes(void);

/* What the array writes as a whole: less than that is read before. */
uint32_t subject_block_bytes(void);
OpusRaidArrayState subject_state(void);
OpusRaidConsistencyPolicy subject_policy(void);

/* Disks whose members are in one of some states: a mask of 1 << state. */
uint64_t subject_disks(unsigned states);

/* Is any job under way? */
bool subject_is_busy(void);

/* Add a blank disk, and let it be rebuilt. */
bool subject_add(unsigned disk, Error **errp);

/* Read the whole array; the caller frees it. NULL after an error. */
uint8_t *subject_read_all(void);

#endif /* OPUS_SIM_SUBJECT_H */
