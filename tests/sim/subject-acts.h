/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Subject acts: what operators do to the array, by way of QMP and QEMU
 *
 * The array is open, but for subject_plant_bad(). All that nothing else is said
 * of may be called while requests are in flight. Each returns false, with @errp
 * set, when the driver refuses or the power is cut.
 *
 * All functions: main loop.
 */
#ifndef OPUS_SIM_SUBJECT_ACTS_H
#define OPUS_SIM_SUBJECT_ACTS_H

#include "subject.h"

/* Change nothing but an option that matters to jobs only. */
bool subject_reopen(Error **errp);

/* There must be no writer then, and no job. */
bool subject_set_read_only(bool read_only, Error **errp);

/* The same, and no reader either. */
bool subject_set_active(bool active, Error **errp);

bool subject_fail(unsigned disk, Error **errp);

/* It must be out; the array does not know it afterwards. */
bool subject_remove(unsigned disk, Error **errp);

/* Add a disk as it is: what it holds may be what the array knows it to. */
bool subject_readd(unsigned disk, Error **errp);

/* Have a blank disk take the place of one that works. */
bool subject_replace(unsigned disk, unsigned by, Error **errp);

bool subject_set_policy(OpusRaidConsistencyPolicy policy,
                        uint32_t bitmap_chunk_bytes, Error **errp);

/* Use so many bytes of each member's data area. */
bool subject_grow(uint64_t member_bytes, Error **errp);

/* Start a check. What it finds, subject_mismatches() tells when it is over. */
bool subject_check(bool repair, Error **errp);
uint64_t subject_mismatches(void);

/*
 * Another daemon opens the array of these disks while it is inactive, writes
 * to its start, and closes it.
 */
bool subject_lend(uint64_t disks, size_t bytes, const uint8_t *buf,
                  Error **errp);

/**
 * subject_plant_bad: let a disk's bad-block log name a place
 * @image: what it holds
 * @off:   in its data area; what is there becomes garbage
 *
 * Returns false when it has no room for a log.
 */
bool subject_plant_bad(uint8_t *image, uint64_t image_bytes, uint64_t off,
                       size_t bytes);

/* How much of all disks is bad. */
uint64_t subject_bad_bytes(void);

#endif /* OPUS_SIM_SUBJECT_ACTS_H */
