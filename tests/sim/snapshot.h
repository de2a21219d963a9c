/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Snapshot: what a power cut may leave on all disks, and what it may mean
 *
 * All functions: main loop.
 */
#ifndef OPUS_SIM_SNAPSHOT_H
#define OPUS_SIM_SNAPSHOT_H

#include "bus.h"
#include "oracle.h"

/* What disks held before; images are bus_image()'s. */
typedef struct SnapshotBase {
    unsigned nr_disks;
    uint64_t disk_bytes;
    uint8_t *images[BUS_MAX_DISKS];
} SnapshotBase;

void snapshot_base_take(SnapshotBase *base, const BusSpec *bus);
void snapshot_base_restore(const SnapshotBase *base);
void snapshot_base_free(SnapshotBase *base);

typedef struct Snapshot {
    Oracle *oracle;             /* of its own */
    unsigned depth;             /* cuts that led to it */
    uint64_t failed_disks;      /* when the first cut came */
    bool written;               /* had any write begun? */
    GArray *pages;              /* those that differ from the base */
} Snapshot;

/**
 * snapshot_take: what a cut at this moment leaves
 * @parent: what disks held at bus_power_on(), or NULL if it was the base
 * @keep: for each disk, which of the writes that a cut has a say in are kept
 *
 * The oracle and what else is known is up to the caller.
 */
Snapshot *snapshot_take(const SnapshotBase *base, const Snapshot *parent,
                        const uint64_t *keep);

/*
 * The same for one disk, hashed: those of all disks added make equal sums if
 * and only if the disks hold the same.
 */
uint64_t snapshot_hash_disk(const SnapshotBase *base, const Snapshot *parent,
                            unsigned disk, uint64_t keep);
void snapshot_restore(const SnapshotBase *base, const Snapshot *s);
void snapshot_free(Snapshot *s);

#endif /* OPUS_SIM_SNAPSHOT_H */
