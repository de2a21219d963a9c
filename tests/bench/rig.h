/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rig: members, and what a load can be put on: an array of them, the members
 * themselves, or a raw node over one of them
 *
 * One of these at a time, so that each has the members for itself.
 * All functions: main loop only; those that return bool set @errp on false.
 */
#ifndef OPUS_BENCH_RIG_H
#define OPUS_BENCH_RIG_H

#include "block/block_int.h"
#include "qapi/qapi-types-opus-raid-types.h"
#include "load.h"

typedef enum RigBackend {
    RIG_NULL,                   /* opus-null */
    RIG_RAM,                    /* opus-ram */
    RIG_FILE,                   /* files with aio=io_uring, on a tmpfs */
} RigBackend;

typedef struct RigSpec {
    RigBackend backend;
    OpusRaidLevel level;
    OpusRaidConsistencyPolicy policy;
    uint32_t bitmap_chunk_bytes;    /* 0: the default */
    unsigned nr_members;
    uint32_t chunk_bytes;
    uint64_t member_bytes;
    int64_t latency_ns;         /* opus-ram only */
    const char *limit;          /* throttle-group property, e.g. x-iops-read */
    uint64_t limit_per_second;  /* of each member */
} RigSpec;

typedef struct Rig {
    const RigSpec *spec;
    unsigned nr_open;
    BlockDriverState *members[LOAD_MAX_NODES];
    Object *throttles[LOAD_MAX_NODES];
    char *files[LOAD_MAX_NODES];
} Rig;

/* Where RIG_FILE puts its files. */
extern const char *rig_directory;

/* Open the members and make an array of them, of the policy that @spec has. */
bool rig_open(Rig *rig, const RigSpec *spec, Error **errp);
void rig_close(Rig *rig);

/* Make another array of the members. Their parity is right, so it is clean. */
bool rig_create_array(Rig *rig, OpusRaidConsistencyPolicy policy,
                      Error **errp);

/* The array without the first @nr_missing of its members. */
bool rig_open_array(Rig *rig, bool writable, unsigned nr_missing,
                    LoadTarget *target, Error **errp);

/* Each member by itself; their metadata is left out. */
bool rig_open_members(Rig *rig, bool writable, LoadTarget *target,
                      Error **errp);

/* QEMU's raw format over one member. */
bool rig_open_raw(Rig *rig, LoadTarget *target, Error **errp);

void rig_close_target(LoadTarget *target);

#endif /* OPUS_BENCH_RIG_H */
