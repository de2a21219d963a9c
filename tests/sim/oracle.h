/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Oracle: what a disk may hold, after all that was done to it
 *
 * Works by sectors of 512 bytes. Each write has a number, and each of its
 * sectors is filled with what this number and the sector's own say, so that
 * what is read tells which write it is from. Number 0 is zeroes.
 *
 * All functions: one thread. Offsets and sizes are in bytes, multiples of 512.
 */
#ifndef OPUS_SIM_ORACLE_H
#define OPUS_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ORACLE_SECTOR   512

typedef struct Oracle Oracle;

typedef struct OracleWrite {
    uint32_t number;
    uint64_t begun;             /* unlike the number, each has its own */
} OracleWrite;

/* A disk of zeroes. */
Oracle *oracle_new(uint64_t bytes);
void oracle_free(Oracle *o);

/* The disk becomes larger: what is new is zero. */
void oracle_grow(Oracle *o, uint64_t bytes);
uint64_t oracle_bytes(const Oracle *o);

/**
 * oracle_write_begin: a write is submitted
 * @alternatives: 2 when the buffer may change to what the next number says
 *                while the write is in flight; else 1
 * @zero: it is one of zeroes
 *
 * oracle_fill() makes the content.
 */
OracleWrite oracle_write_begin(Oracle *o, uint64_t off, uint64_t bytes,
                               unsigned alternatives, bool zero);
void oracle_fill(uint32_t number, uint64_t off, uint64_t bytes, uint8_t *buf);

/**
 * oracle_write_end: a write is done
 * @binding: no sector may be as it was before; false after an error, and for
 *           a discard
 * @durable: it had FUA
 */
void oracle_write_end(Oracle *o, uint64_t off, uint64_t bytes, OracleWrite w,
                      bool binding, bool durable);

/* Around a flush that succeeds. */
uint64_t oracle_flush_begin(Oracle *o);
void oracle_flush_end(Oracle *o, uint64_t begun);

/* The power is cut at this moment. */
void oracle_cut(Oracle *o);

/* Around a read; the second is left out when the power is cut. */
uint64_t oracle_read_begin(Oracle *o);
void oracle_read_end(Oracle *o);

/**
 * oracle_check: may the disk hold this?
 * @begun: of the read; 0 when nothing else goes on
 *
 * Returns -1, or the offset of the first sector that is wrong.
 */
int64_t oracle_check(Oracle *o, uint64_t off, uint64_t bytes,
                     const uint8_t *buf, uint64_t begun);

/*
 * A block with a sector that more than one write may be in may also hold a
 * mixture of these from now on, and once it is settled what was found there.
 * 0: no block may.
 */
void oracle_let_mix(Oracle *o, uint64_t block_bytes);

/* What was read just now, while nothing else went on, does not change. */
void oracle_settle(Oracle *o, uint64_t off, uint64_t bytes,
                   const uint8_t *buf);

Oracle *oracle_copy(const Oracle *o);

/* Equal if the same things may be found later. */
uint64_t oracle_hash(const Oracle *o);

/* Print what a sector may hold, and what was found there. */
void oracle_explain(Oracle *o, uint64_t off, const uint8_t *buf);

#endif /* OPUS_SIM_ORACLE_H */
