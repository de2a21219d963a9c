/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory: an immutable snapshot of a guest's memory table
 *
 * A snapshot never changes once made: a change of the table makes another one.
 * Mappings are shared between snapshots and go with the last one that has them.
 * References may be taken and dropped in any thread.
 */

#ifndef OPUS_VUB_MEMORY_H
#define OPUS_VUB_MEMORY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* The front-end may have this many (vhost-user: GET_MAX_MEM_SLOTS). */
#define VUB_MEMORY_MAX_REGIONS 509

/* And its mappings may take this much, together; more than any guest has. */
#define VUB_MEMORY_MAX_BYTES (32ull << 40)

/* A region as the front-end describes it; all in bytes. */
typedef struct VubRegion {
    uint64_t guest_addr;        /* where the guest sees it */
    uint64_t user_addr;         /* where the front-end sees it */
    uint64_t size_bytes;
    uint8_t *host;              /* where we see it */
} VubRegion;

typedef struct VubMapping VubMapping;

typedef struct VubMemory {
    unsigned refs;              /* atomic */
    unsigned nr_regions;
    VubRegion *regions;         /* ascending guest_addr, none overlaps */
    VubMapping **mappings;      /* of the region with the same index */
} VubMemory;

/* A snapshot without regions, with one reference. */
VubMemory *vub_memory_new(void);
VubMemory *vub_memory_ref(VubMemory *mem);
/* @mem may be NULL. */
void vub_memory_unref(VubMemory *mem);

/* What the mappings of @mem take of our address space */
uint64_t vub_memory_bytes(const VubMemory *mem);

/*
 * A new snapshot: that of @mem and one more region, @size_bytes of @fd's file
 * from @file_off. The caller keeps @fd and @mem.
 *
 * Fails if the region is empty, wraps around, overlaps another one, is one too
 * many, if the file is shorter or can't be mapped, or if the regions together
 * would take more than VUB_MEMORY_MAX_BYTES.
 */
VubMemory *vub_memory_add(const VubMemory *mem, uint64_t guest_addr,
                          uint64_t user_addr, uint64_t size_bytes,
                          uint64_t file_off, int fd, GError **errp);

/*
 * A new snapshot: that of @mem without the region that has exactly these
 * addresses and this size. Fails if there is none.
 */
VubMemory *vub_memory_remove(const VubMemory *mem, uint64_t guest_addr,
                             uint64_t user_addr, uint64_t size_bytes,
                             GError **errp);

/*
 * True once any of it vanished under us, see vub-guard.h: what was done with
 * this memory may be wrong.
 */
bool vub_memory_lost(const VubMemory *mem);

/* The index of the region that holds @guest_addr, or -1. */
int vub_memory_find(const VubMemory *mem, uint64_t guest_addr);

/*
 * Where we see @guest_addr, NULL if nowhere. *@run_bytes (> 0) is how many
 * bytes follow there without a gap. *@hint is the caller's memory of the last
 * region it hit; any value will do at first.
 */
static inline void *vub_memory_at(const VubMemory *mem, uint64_t guest_addr,
                                  uint64_t *run_bytes, unsigned *hint)
{
    const VubRegion *region = &mem->regions[*hint];

    if (*hint >= mem->nr_regions ||
        guest_addr - region->guest_addr >= region->size_bytes) {
        int index = vub_memory_find(mem, guest_addr);

        if (index < 0) {
            return NULL;
        }
        *hint = index;
        region = &mem->regions[index];
    }
    *run_bytes = region->size_bytes - (guest_addr - region->guest_addr);
    return region->host + (guest_addr - region->guest_addr);
}

/*
 * Where we see the @size_bytes that the front-end sees at @user_addr; NULL if
 * they don't lie in one region.
 */
void *vub_memory_at_user(const VubMemory *mem, uint64_t user_addr,
                         uint64_t size_bytes);

/*
 * The inverse: the guest's address of @host, which lies in a region, and in
 * *@run_bytes how many follow. False if @host lies in none.
 */
bool vub_memory_guest_addr(const VubMemory *mem, const void *host,
                           uint64_t *guest_addr, uint64_t *run_bytes);

#endif /* OPUS_VUB_MEMORY_H */
