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
 * @image: what it holds durably, from now on, too; not to be touched
 *         meanwhile
 */
Medium *medium_new(size_t bytes, unsigned atom, uint8_t *image);
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

/*
 * The flush ended in an error. What it was to make durable can still be read,
 * but may never become so.
 */
void medium_flush_failed(Medium *m, uint64_t mark);

/* How a power cut treats what is not durable. */
typedef enum MediumCut {
    MEDIUM_CUT_KEEP,            /* all of it is there */
    MEDIUM_CUT_DROP,            /* nothing */
    MEDIUM_CUT_CHOOSE,          /* each write: all, nothing, or torn */
} MediumCut;

/* A power cut at this moment: its image holds what is left. */
void medium_cut(Medium *m, MediumCut how);

/* The number of writes that a cut has a say in. */
unsigned medium_volatile(const Medium *m);

/*
 * What a cut would leave, where bit i of @keep decides on the i-th of these
 * writes. Sets those pages of @image that medium_each_page() calls for.
 */
void medium_cut_exactly(const Medium *m, uint64_t keep, uint8_t *image);

/* Equal for equal content, durable and not, and equal writes in flight. */
uint64_t medium_hash(const Medium *m);

/* Of any bytes, a multiple of 8. */
uint64_t medium_hash_bytes(const uint8_t *bytes, size_t nr, uint64_t start);

/* Call @fn for each page of @image that may not be as in the first one. */
#define MEDIUM_PAGE 4096
typedef void MediumPageFn(void *opaque, uint64_t off, const uint8_t *page);
void medium_each_page(const Medium *m, const uint8_t *image, MediumPageFn *fn,
                      void *opaque);

#endif /* OPUS_SIM_MEDIUM_H */
