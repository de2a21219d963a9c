/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In-flight: what survives us, so that our successor knows what we had taken
 *
 * Owns: the file's mapping and where each queue's region is in it.
 * Must not know: rings; they keep their own regions.
 * Threads: references in any; a region belongs to its ring.
 */

#include "vub-inflight.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vub-error.h"
#include "vub-map.h"

/* Each region starts on a line of its own: queues have different threads. */
#define REGION_ALIGN 64

/* What our files are made for, at most; that of a ring, which includes us. */
#define MAX_QUEUE_SIZE 1024

static const char trailer_magic[8] = "opusvub";

/*
 * Ours alone, at the end, behind what vhost-user defines. A front-end passes
 * the file on, but not all that we know of it.
 */
typedef struct InflightTrailer {
    char magic[8];
    uint16_t queue_size;
    uint8_t cache_on;
} InflightTrailer;

struct VubInflight {
    unsigned refs;              /* atomic */
    unsigned num_queues;
    unsigned queue_size;
    bool packed;
    VubMap *map;
    uint8_t *base;
    InflightTrailer *trailer;   /* NULL: another program made the file */
};

static uint64_t region_bytes(unsigned queue_size, bool packed)
{
    uint64_t bytes;

    if (packed) {
        bytes = sizeof(VubInflightPacked) +
                sizeof(VubInflightPackedDesc) * (uint64_t)queue_size;
    } else {
        bytes = sizeof(VubInflightSplit) +
                sizeof(VubInflightSplitDesc) * (uint64_t)queue_size;
    }
    return (bytes + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;
}

static uint64_t regions_bytes(unsigned num_queues, unsigned queue_size,
                              bool packed)
{
    return region_bytes(queue_size, packed) * num_queues;
}

uint64_t vub_inflight_bytes(unsigned num_queues, unsigned queue_size,
                            bool packed)
{
    return regions_bytes(num_queues, queue_size, packed) + REGION_ALIGN;
}

static VubInflight *map_file(int fd, uint64_t size_bytes, uint64_t file_off,
                             unsigned num_queues, unsigned queue_size,
                             bool packed, GError **errp)
{
    uint64_t needed = regions_bytes(num_queues, queue_size, packed);
    VubInflight *inflight;
    struct stat info;
    VubMap *map;

    if (size_bytes < needed || fstat(fd, &info) < 0 ||
        !S_ISREG(info.st_mode) || file_off > (uint64_t)info.st_size ||
        size_bytes > (uint64_t)info.st_size - file_off ||
        file_off % REGION_ALIGN) {
        vub_error_set(errp,
                      "in-flight region of %" PRIu64 " bytes; %u queues of %u "
                      "need %" PRIu64 ", inside of a file in memory",
                      size_bytes, num_queues, queue_size, needed);
        return NULL;
    }
    /* Larger than any of ours: there is nothing for us behind the queues. */
    if (size_bytes > vub_inflight_bytes(num_queues, MAX_QUEUE_SIZE, packed)) {
        size_bytes = needed;
    }
    map = vub_map_file(fd, file_off, size_bytes, "in-flight region", errp);
    if (!map) {
        return NULL;
    }
    inflight = g_new(VubInflight, 1);
    *inflight = (VubInflight) {
        .refs = 1,
        .num_queues = num_queues,
        .queue_size = queue_size,
        .packed = packed,
        .map = map,
        .base = vub_map_data(map),
    };
    if (size_bytes - needed >= REGION_ALIGN) {
        inflight->trailer = (InflightTrailer *)(inflight->base + size_bytes -
                                                REGION_ALIGN);
    }
    return inflight;
}

VubInflight *vub_inflight_map(int fd, uint64_t size_bytes, uint64_t file_off,
                              unsigned num_queues, unsigned queue_size,
                              bool packed, GError **errp)
{
    VubInflight *inflight = map_file(fd, size_bytes, file_off, num_queues,
                                     queue_size, packed, errp);
    uint16_t made_for;

    if (!inflight || !inflight->trailer) {
        return inflight;
    }
    made_for = inflight->trailer->queue_size;
    if (memcmp(inflight->trailer->magic, trailer_magic,
               sizeof(trailer_magic)) ||
        made_for < queue_size ||
        vub_inflight_bytes(num_queues, made_for, packed) != size_bytes) {
        inflight->trailer = NULL;
    } else {
        inflight->queue_size = made_for;
    }
    return inflight;
}

VubInflight *vub_inflight_create(unsigned num_queues, unsigned queue_size,
                                 bool packed, int *fd, GError **errp)
{
    uint64_t bytes = vub_inflight_bytes(num_queues, queue_size, packed);
    VubInflight *inflight = NULL;

    *fd = memfd_create("vhost-inflight", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || ftruncate(*fd, bytes) < 0) {
        vub_error_set(errp,
                      "no in-flight region of %" PRIu64 " bytes: %s", bytes,
                      g_strerror(errno));
    } else {
        /* No process that shares the file can make it shorter. */
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
        inflight = map_file(*fd, bytes, 0, num_queues, queue_size, packed,
                            errp);
    }
    if (inflight) {
        inflight->trailer->queue_size = queue_size;
        memcpy(inflight->trailer->magic, trailer_magic, sizeof(trailer_magic));
    }
    if (!inflight && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return inflight;
}

VubInflight *vub_inflight_ref(VubInflight *inflight)
{
    __atomic_fetch_add(&inflight->refs, 1, __ATOMIC_RELAXED);
    return inflight;
}

void vub_inflight_unref(VubInflight *inflight)
{
    if (inflight &&
        __atomic_sub_fetch(&inflight->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        vub_map_free(inflight->map);
        g_free(inflight);
    }
}

bool vub_inflight_lost(const VubInflight *inflight)
{
    return vub_map_lost(inflight->map);
}

void vub_inflight_note_cache(VubInflight *inflight, bool on)
{
    if (inflight->trailer) {
        inflight->trailer->cache_on = on;
    }
}

bool vub_inflight_read_cache(const VubInflight *inflight, bool *on)
{
    if (!inflight->trailer) {
        return false;
    }
    *on = inflight->trailer->cache_on;
    return true;
}

bool vub_inflight_packed(const VubInflight *inflight)
{
    return inflight->packed;
}

unsigned vub_inflight_queue_size(const VubInflight *inflight)
{
    return inflight->queue_size;
}

void *vub_inflight_queue(VubInflight *inflight, unsigned index)
{
    if (index >= inflight->num_queues) {
        return NULL;
    }
    return inflight->base + index * region_bytes(inflight->queue_size,
                                                 inflight->packed);
}
