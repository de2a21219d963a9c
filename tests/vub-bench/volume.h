/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volume: what is exported: a node named "volume"
 */
#ifndef VUB_BENCH_VOLUME_H
#define VUB_BENCH_VOLUME_H

#include "qmp.h"

typedef enum VolumeKind {
    VOLUME_NULL,                /* null-co: no data is touched */
    VOLUME_RAW,                 /* format raw over null-co */
    VOLUME_TMPFS,               /* a file, io_uring */
    VOLUME_DIRECT,              /* a file, io_uring, past the page cache */
    VOLUME_RAID5,               /* opus-raid over five of VOLUME_RAW */
} VolumeKind;

typedef struct VolumePlaces {
    const char *tmpfs;          /* directory for files in memory */
    const char *disk;           /* directory for files on a disk */
} VolumePlaces;

/* Open it in the daemon behind @qmp. False and @errp on failure. */
bool volume_open(VolumeKind kind, const VolumePlaces *places, Qmp *qmp,
                 GError **errp);

/* Remove the files that volumes have left. */
void volume_remove_files(const VolumePlaces *places);

#endif /* VUB_BENCH_VOLUME_H */
