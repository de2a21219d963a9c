/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Medium: a disk with a volatile write cache
 *
 * What was written is durable once the write had FUA and is done, or a flush
 * that was submitted later is done. Of everything else that was submitted, a
 * power cut leaves all, nothing, or some of its atomic units.
 *
 * All functions: one thread.
 */
#ifndef OPUS_SIM_MEDIUM_H
#define OPUS_SIM_MEDIUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Medium Medium;
typedef struct MediumWrite MediumWrite;

/**
 * medium_new: a disk
 * @bytes: its size
 * @atom:  what is never torn: 512 or 4096 bytes
 * @image: what it holds durably; copied
 */
Medium *medium_new(size_t bytes, unsigned atom, const uint8_t *image);
void medium_free(Medium *m);

/* What a read gets. */
const uint8_t *medium_read(const Medium *m);

/**
 * medium_submit: a write is on its way
 * @data: copied; NULL when the bytes are not known yet: see medium_capture()
 */
MediumWrite *medium_submit(Medium *m, uint64_t off, size_t bytes,
                           const uint8_t *data, bool fua);
void medium_capture(MediumWrite *w, const uint8_t *data);
bool medium_captured(const MediumWrite *w);
size_t medium_write_bytes(const MediumWrite *w);

/* The write is done; @w must not be used any more. */
void medium_done(Medium *m, MediumWrite *w);

/**
 * medium_failed: the write ended in an error
 *
 * What the disk did of it is chosen; @w must not be used any more.
 */
void medium_failed(Medium *m, MediumWrite *w);

/* Returns what to give to medium_flush_done(). */
uint64_t medium_flush_submit(const Medium *m);
void medium_flush_done(Medium *m, uint64_t mark);

/* How a power cut treats what is not durable. */
typedef enum MediumCut {
    MEDIUM_CUT_KEEP,            /* all of it is there */
    MEDIUM_CUT_DROP,            /* nothing */
    MEDIUM_CUT_CHOOSE,          /* each write: all, nothing, or torn */
} MediumCut;

/* Write what a power cut at this moment leaves to @image. */
void medium_cut(const Medium *m, MediumCut how, uint8_t *image);

/* The number of writes that a cut has a say in. */
unsigned medium_volatile(const Medium *m);

#endif /* OPUS_SIM_MEDIUM_H */
