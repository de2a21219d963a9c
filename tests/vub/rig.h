/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What most cases start from: a daemon, a front-end, a ring that runs, and
 * requests of a disk on it.
 */
#ifndef TESTS_VUB_RIG_H
#define TESTS_VUB_RIG_H

#include "daemon.h"
#include "front-ring.h"

typedef struct Rig {
    Daemon *daemon;
    Front *front;
    FrontRing *ring;            /* number 0 */
} Rig;

/* What to do without where a case cares for split rings only. */
#define SPLIT       FRONT_BIT(VIRTIO_F_RING_PACKED)

/* How chains are handed over; cases that run in each way get one as arg. */
typedef struct Way {
    const char *name;
    uint64_t without;           /* features not to negotiate */
    bool indirect;
} Way;

#define NR_WAYS     4
extern const Way ways[NR_WAYS];     /* split ones first */
#define WAY_SPLIT   (&ways[0])
#define WAY_PACKED  (&ways[2])

/* Add the case once for each way, with its name in brackets. */
void case_add_in_each_way(void (*fn)(const void *way), const char *name);

/* @options: see daemon_start; @without: as in Way. */
void rig_open(Rig *rig, DiskKind kind, const char *options, uint64_t without);
/* Ends the daemon too, which must end well. */
void rig_close(Rig *rig);
/* In-flight requests or not: hang up, connect again, and a new ring 0. */
void rig_reconnect(Rig *rig, uint64_t without);

typedef struct Request {
    FrontRing *ring;
    struct virtio_blk_outhdr *header;
    uint8_t *data;
    uint32_t bytes;             /* of data */
    uint8_t *status;
    uint16_t id;
} Request;

#define STATUS_NONE     0xff    /* nobody wrote it */

/* Memory for a request; its data is zero. */
Request request_make(FrontRing *ring, uint32_t type, uint64_t sector,
                     uint32_t bytes);
/* Chain of header, data and status; then kick. */
void request_send(Request *r, bool indirect);
/* Any chain, for a header, data and status that lie as the case likes. */
void request_send_as(Request *r, const RingBuf *buf, unsigned nr,
                     bool indirect);
/* Wait for it; returns the status, and checks what the used entry says. */
uint8_t request_wait(Request *r);
/* All of it. */
uint8_t request_run(Request *r, bool indirect);

/* A part of guest memory as a buffer of a chain. */
RingBuf buf_of(const Front *front, const void *ptr, uint32_t bytes,
               bool writable);

/* A write of @byte, and a read that must see it; the case fails if not. */
void expect_write_and_read(FrontRing *ring, uint64_t sector, uint8_t byte);
/* A read of one sector that must work. */
void expect_works(FrontRing *ring);

/* All bytes are @byte. */
bool filled_with(const uint8_t *data, size_t bytes, uint8_t byte);

#endif /* TESTS_VUB_RIG_H */
