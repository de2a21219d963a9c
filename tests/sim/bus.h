/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bus: the disks of a simulation, as QEMU's block layer sees them
 *
 * There is one bus. Its disks are nodes of the driver opus-sim, whose option
 * "index" says which disk it is. Requests wait on the bus until all that can
 * be submitted is; then one of them, of any disk, is chosen and completes.
 *
 * Each submission and each completion is an event. At any of them the power
 * may be cut: that fixes what the disks hold, and every request fails from
 * then on.
 *
 * All functions: main loop.
 */
#ifndef OPUS_SIM_BUS_H
#define OPUS_SIM_BUS_H

#include "block/block_int.h"
#include "medium.h"

#define BUS_MAX_DISKS   12

/* What a disk does. */
typedef enum BusDiscard {
    BUS_DISCARD_ZERO,           /* discarded blocks read as zeroes */
    BUS_DISCARD_OLD,            /* as before */
    BUS_DISCARD_RANDOM,
    BUS_DISCARD__MAX,
} BusDiscard;

typedef struct BusSpec {
    unsigned nr_disks;
    uint64_t disk_bytes;
    unsigned atom;              /* see medium_new() */
    BusDiscard discard;
    bool fua;                   /* the disks know FUA */
    bool zeroes;                /* they know write-zeroes and unmap */
    bool exact;                 /* only the order of requests is chosen */
} BusSpec;

typedef enum BusFaultKind {
    BUS_FAULT_GONE,             /* all requests fail from now on */
    BUS_FAULT_WRITE,            /* the next write, and only that */
    BUS_FAULT_READ,
    BUS_FAULT_FLUSH,
    BUS_FAULT__MAX,
} BusFaultKind;

typedef void BusCutFn(void *opaque);

/* From now on flushes and FUA do nothing. */
void bus_let_lie(bool lie);

/* Disks that hold zeroes. Undone by bus_close(). */
void bus_open(const BusSpec *spec);
void bus_close(void);

/**
 * bus_power_on: the disks start to work
 * @cut_at: the event at which the power is cut; 0: never
 * @cut:    called then
 */
void bus_power_on(uint64_t cut_at, BusCutFn *cut, void *opaque);

/* Cut the power now, unless it is. */
void bus_cut(void);
bool bus_is_cut(void);

/* Since the power is on. */
uint64_t bus_events(void);

/*
 * To look at all that a cut at this moment could leave. The watcher is called
 * at each event; see below for what it may call. Forgotten by bus_power_on().
 */
typedef void BusWatchFn(void *opaque);
void bus_watch(BusWatchFn *watch, void *opaque);

/* Equal for equal content of the disks and equal requests in flight. */
uint64_t bus_hash(void);

/* How many writes to a disk a cut has a say in. */
unsigned bus_volatile(unsigned disk);

/*
 * What a cut would leave on a disk that keeps the writes of @keep: the pages
 * that may differ from those at bus_power_on().
 */
void bus_cut_pages(unsigned disk, uint64_t keep, MediumPageFn *fn,
                   void *opaque);

/* At event @at, disk @disk fails in some way. Forgotten by bus_power_on(). */
void bus_plan_fault(uint64_t at, unsigned disk, BusFaultKind kind);

/* Disks that have failed a write or a flush, or all, since the power is on. */
uint64_t bus_failed_disks(void);

/* What a disk holds durably; only while the power is off. */
uint8_t *bus_image(unsigned disk);

/* Put another, blank disk in the place of one; only while nobody uses it. */
void bus_replace(unsigned disk);

#endif /* OPUS_SIM_BUS_H */
