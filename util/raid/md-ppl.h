/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * md-ppl: the Partial Parity Log of Linux md, for RAID5
 *
 * The log of a member holds writes to the stripes whose parity is on it. A
 * unit is what is written to it at once, before any of its stripes: a header
 * (struct ppl_header of <linux/raid/md_p.h>) and, entry after entry, the
 * partial parity: the XOR of the data that the write leaves alone. After a
 * crash, parity = partial parity ^ what the written chunks hold now, whichever
 * of the writes arrived. So data that was not written stays recoverable,
 * also when its member is missing.
 *
 * Next to each other, members hold units that are all over but for the last:
 * the next is written when every stripe of the one before is done and flushed.
 *
 *     0          4 KiB                                            space
 *     | anchor   | unit | unit | newest | zeros | older ... .......  |
 *
 * md finds the newest by walking from the start, from the end of one unit to
 * the next, until a header is invalid or older than the one before. It lets
 * units begin at 0. Ours begin behind an anchor: a header without entries that
 * is written only when the array is started. A unit whose header was torn ends
 * the walk, but never before the anchor; so a valid log with nothing in it can
 * be told from one that is damaged. The zeros keep old partial parity, which
 * is made of the guest's bytes, from being taken for a header.
 *
 * Bytes count from the start of the log's space. Pure, no allocation; any
 * thread.
 */
#ifndef UTIL_RAID_MD_PPL_H
#define UTIL_RAID_MD_PPL_H

#include "geometry.h"

#define MD_PPL_HEADER_BYTES     4096
#define MD_PPL_MAX_ENTRIES      148
#define MD_PPL_MAX_BANDS        3

/* Partial parity that one unit may have. */
#define MD_PPL_UNIT_BYTES       (128u << 10)

/* What mdadm sets aside when it creates an array. */
#define MD_PPL_DEFAULT_SECTORS  2048

typedef struct MdPplEntry {
    uint64_t data_sector;           /* of the array: first one written */
    uint32_t pp_bytes;              /* partial parity; 0: all data written */
    uint32_t data_bytes;            /* written, of all chunks together */
    uint32_t parity_slot;
    uint32_t checksum;              /* of the partial parity */
} MdPplEntry;

typedef struct MdPplHeader {
    uint32_t signature;
    uint64_t generation;            /* grows from unit to unit */
    unsigned nr_entries;
    MdPplEntry entries[MD_PPL_MAX_ENTRIES];
} MdPplHeader;

typedef enum MdPplError {
    MD_PPL_OK,
    MD_PPL_BAD_CHECKSUM,            /* torn, or never written */
    MD_PPL_BAD_SIGNATURE,           /* that of another array */
    MD_PPL_BAD_ENTRY,               /* makes no sense for this array */
    MD_PPL__MAX,
} MdPplError;

/* A sentence part for messages, e.g. "log checksum is wrong". Never NULL. */
const char *md_ppl_error_text(MdPplError err);

/* What headers of an array begin with. */
uint32_t md_ppl_signature(const uint8_t uuid[16]);

/* Where mdadm puts a log of @sectors, relative to the superblock. */
int16_t md_ppl_default_offset(unsigned minor, uint16_t sectors);

/**
 * md_ppl_decode: read and validate a header
 * @buf: MD_PPL_HEADER_BYTES
 * @header: filled on MD_PPL_OK, unspecified otherwise
 *
 * What the entries say is looked at by md_ppl_check() only.
 */
MdPplError md_ppl_decode(const void *buf, uint32_t signature,
                         MdPplHeader *header);

/* Writes MD_PPL_HEADER_BYTES with the checksum. */
void md_ppl_encode(const MdPplHeader *header, void *buf);

/**
 * md_ppl_check: do all entries make sense?
 * @slot: whose log it is
 * @room: bytes between the end of the header and the end of the space
 *
 * One may lie behind the end of the array: it was about to grow, and was cut
 * before its superblocks said so. There is nothing to be replayed there.
 * Returns MD_PPL_OK or MD_PPL_BAD_ENTRY.
 */
MdPplError md_ppl_check(const RaidGeometry *geom, unsigned slot,
                        const MdPplHeader *header, uint32_t room);

/* Partial parity of all entries together. */
uint64_t md_ppl_unit_bytes(const MdPplHeader *header);

/*
 * Writing
 */

typedef struct MdPplRing {
    uint32_t signature;
    uint32_t space_bytes;
    uint32_t next;                  /* where the next unit begins */
    uint64_t generation;            /* of the last unit */
} MdPplRing;

/**
 * md_ppl_ring_init: begin anew behind an anchor
 * @space_sectors: of the log, from the superblock
 * @newest:        highest generation found in any log, 0 if there is none
 * @anchor:        MD_PPL_HEADER_BYTES to be written at 0, durably, before the
 *                 array is marked dirty
 *
 * The superblock's feature bit must be MULTIPLE_PPLS: kernels that know only
 * the other one do not look behind the first header.
 * Returns false when there is no room for the smallest unit.
 */
bool md_ppl_ring_init(MdPplRing *ring, uint16_t space_sectors,
                      uint32_t signature, uint64_t newest, void *anchor);

/* Partial parity that fits one unit. */
uint32_t md_ppl_ring_capacity(const MdPplRing *ring);

/* An empty unit for this ring. */
void md_ppl_begin(const MdPplRing *ring, MdPplHeader *header);

/* Rows of one stripe that are written on the same chunks. */
typedef struct MdPplWrite {
    uint64_t stripe;
    uint32_t lo;                    /* chunk-relative bytes, whole sectors */
    uint32_t hi;
    RaidMask roles;                 /* data roles written, without a gap */
} MdPplWrite;

/* Bytes of partial parity that it needs. */
uint32_t md_ppl_write_bytes(const RaidGeometry *geom, const MdPplWrite *write);

/**
 * md_ppl_add: append an entry to a unit
 * @pp: partial parity of the rows: the XOR of all data roles not written
 *
 * Returns false, having changed nothing, when the unit is full.
 */
bool md_ppl_add(const MdPplRing *ring, const RaidGeometry *geom,
                MdPplHeader *header, const MdPplWrite *write, const void *pp);

/**
 * md_ppl_place: give the unit its place and its generation
 * @zero_bytes: to be written as zeros directly behind the partial parity, in
 *              the same write
 *
 * Returns where the header goes; the partial parity follows it. The whole
 * write must be durable before any stripe of the unit is written.
 */
uint32_t md_ppl_place(MdPplRing *ring, MdPplHeader *header,
                      uint32_t *zero_bytes);

/*
 * Reading
 */

typedef struct MdPplScan {
    uint32_t signature;
    uint32_t space_bytes;
    uint32_t at;                    /* header to read next */
    bool done;
    bool found;                     /* the log is valid */
    uint32_t newest_at;
    MdPplHeader newest;
} MdPplScan;

/* Look for the newest unit of a log. */
void md_ppl_scan_start(MdPplScan *scan, uint16_t space_sectors,
                       uint32_t signature);

/* Returns true when the header at *@at is to be read and fed. */
bool md_ppl_scan_next(const MdPplScan *scan, uint32_t *at);

/* @buf: MD_PPL_HEADER_BYTES as read; NULL when they could not be. */
void md_ppl_scan_feed(MdPplScan *scan, const void *buf);

/* Was the log used since the array was started, or is it ours? */
static inline bool md_ppl_scan_used(const MdPplScan *scan)
{
    return scan->found &&
           (scan->newest.nr_entries || scan->newest.generation);
}

/* Is it the partial parity that belongs to the entry, or was it torn? */
bool md_ppl_pp_is_whole(const MdPplEntry *entry, const void *pp);

typedef enum MdPplAction {
    MD_PPL_FROM_LOG,                /* P = partial parity ^ roles to read */
    MD_PPL_FROM_DATA,               /* P = roles to read, which are all */
    MD_PPL_LEAVE,                   /* nothing to write */
} MdPplAction;

/* Rows of a stripe that an entry treats alike. */
typedef struct MdPplBand {
    uint64_t stripe;
    uint32_t lo;                    /* chunk-relative bytes */
    uint32_t hi;
    uint32_t pp_off;                /* in the entry's partial parity */
    RaidMask roles;                 /* that were written */
    /* The decision */
    MdPplAction action;
    RaidMask read;                  /* roles */
    RaidMask undefined;             /* role whose bytes can't be known */
} MdPplBand;

/**
 * md_ppl_replay: what to do for one entry
 * @entry:         one that md_ppl_check() let through
 * @pp_is_whole:   see above; without partial parity it is
 * @missing_slots: of the array, at most one; not the one whose log this is
 *
 * Partial parity that is torn means that no stripe of the unit was begun:
 * parity is what it was. While all members are there it is made from the data
 * nevertheless, in case it was not torn but rotted.
 *
 * Where one chunk was written and its member is missing, it reads as before
 * or after the write, sector by sector. Where several were, parity and the
 * others may be of different times. What the missing one then reads as is not
 * known; but no write to it was acknowledged.
 *
 * Returns the number of bands, up to MD_PPL_MAX_BANDS; none for an entry that
 * lies behind the end of the array.
 */
unsigned md_ppl_replay(const RaidGeometry *geom, const MdPplEntry *entry,
                       bool pp_is_whole, RaidMask missing_slots,
                       MdPplBand bands[MD_PPL_MAX_BANDS]);

#endif /* UTIL_RAID_MD_PPL_H */
