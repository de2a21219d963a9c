/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory: an immutable snapshot of a guest's memory table
 *
 * Owns: which mappings make the guest's memory, and the arithmetic of
 * addresses.
 * Must not know: messages, rings, requests.
 * Threads: a snapshot may be read by any number of them, without a lock.
 * Invariants: I14. Regions are sorted and overlap neither for the guest nor
 * for the front-end; no region's end wraps around.
 */

#include "vub-memory.h"

#include "vub-error.h"
#include "vub-map.h"

struct VubMapping {
    unsigned refs;              /* atomic */
    VubMap *map;
};

static void mapping_unref(VubMapping *mapping)
{
    if (__atomic_sub_fetch(&mapping->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        vub_map_free(mapping->map);
        g_free(mapping);
    }
}

static VubMemory *memory_alloc(unsigned nr_regions)
{
    VubMemory *mem = g_new0(VubMemory, 1);

    mem->refs = 1;
    /* One more than needed: a hint may be looked at before it is checked. */
    mem->regions = g_new0(VubRegion, nr_regions + 1);
    mem->mappings = g_new0(VubMapping *, nr_regions + 1);
    return mem;
}

static void memory_append(VubMemory *mem, const VubRegion *region,
                          VubMapping *mapping)
{
    __atomic_fetch_add(&mapping->refs, 1, __ATOMIC_RELAXED);
    mem->regions[mem->nr_regions] = *region;
    mem->mappings[mem->nr_regions++] = mapping;
}

VubMemory *vub_memory_new(void)
{
    return memory_alloc(0);
}

VubMemory *vub_memory_ref(VubMemory *mem)
{
    __atomic_fetch_add(&mem->refs, 1, __ATOMIC_RELAXED);
    return mem;
}

void vub_memory_unref(VubMemory *mem)
{
    if (!mem || __atomic_sub_fetch(&mem->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return;
    }
    for (unsigned i = 0; i < mem->nr_regions; i++) {
        mapping_unref(mem->mappings[i]);
    }
    g_free(mem->regions);
    g_free(mem->mappings);
    g_free(mem);
}

static bool ranges_overlap(uint64_t a, uint64_t a_bytes,
                           uint64_t b, uint64_t b_bytes)
{
    /* Neither wraps around, so neither difference needs more than 64 bits. */
    return a < b ? b - a < a_bytes : a - b < b_bytes;
}

static bool region_is_sane(const VubMemory *mem, const VubRegion *region,
                           uint64_t file_off, GError **errp)
{
    const char *why = NULL;

    if (region->size_bytes == 0) {
        why = "is empty";
    } else if (region->guest_addr > UINT64_MAX - region->size_bytes ||
               region->user_addr > UINT64_MAX - region->size_bytes ||
               file_off > INT64_MAX ||
               region->size_bytes > INT64_MAX - file_off) {
        why = "wraps around";
    } else if (mem->nr_regions == VUB_MEMORY_MAX_REGIONS) {
        why = "is one too many";
    }
    for (unsigned i = 0; !why && i < mem->nr_regions; i++) {
        const VubRegion *other = &mem->regions[i];

        if (ranges_overlap(region->guest_addr, region->size_bytes,
                           other->guest_addr, other->size_bytes) ||
            ranges_overlap(region->user_addr, region->size_bytes,
                           other->user_addr, other->size_bytes)) {
            why = "overlaps another one";
        }
    }
    if (why) {
        vub_error_set(errp,
                      "memory region of 0x%" PRIx64 " bytes at guest address "
                      "0x%" PRIx64 " %s", region->size_bytes,
                      region->guest_addr, why);
    }
    return !why;
}

uint64_t vub_memory_bytes(const VubMemory *mem)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < mem->nr_regions; i++) {
        bytes += vub_map_bytes(mem->mappings[i]->map);
    }
    return bytes;
}

static VubMapping *map_region(const VubMemory *mem, uint64_t size_bytes,
                              uint64_t file_off, int fd, GError **errp)
{
    uint64_t have_bytes = vub_memory_bytes(mem);
    VubMapping *mapping;
    VubMap *map;

    if (have_bytes > VUB_MEMORY_MAX_BYTES ||
        size_bytes > VUB_MEMORY_MAX_BYTES - have_bytes) {
        vub_error_set(errp, "memory region of 0x%" PRIx64 " bytes beside "
                      "0x%" PRIx64 " of others is more than one client may "
                      "have, 0x%llx", size_bytes, have_bytes,
                      VUB_MEMORY_MAX_BYTES);
        return NULL;
    }
    map = vub_map_file(fd, file_off, size_bytes, "memory region", errp);
    if (!map) {
        return NULL;
    }
    mapping = g_new(VubMapping, 1);
    *mapping = (VubMapping) { .refs = 1, .map = map };
    return mapping;
}

VubMemory *vub_memory_add(const VubMemory *mem, uint64_t guest_addr,
                          uint64_t user_addr, uint64_t size_bytes,
                          uint64_t file_off, int fd, GError **errp)
{
    VubRegion region = {
        .guest_addr = guest_addr,
        .user_addr = user_addr,
        .size_bytes = size_bytes,
    };
    VubMapping *mapping;
    VubMemory *more;
    unsigned i;

    if (!region_is_sane(mem, &region, file_off, errp)) {
        return NULL;
    }
    mapping = map_region(mem, size_bytes, file_off, fd, errp);
    if (!mapping) {
        return NULL;
    }
    region.host = vub_map_data(mapping->map);

    more = memory_alloc(mem->nr_regions + 1);
    for (i = 0; i < mem->nr_regions &&
                mem->regions[i].guest_addr < guest_addr; i++) {
        memory_append(more, &mem->regions[i], mem->mappings[i]);
    }
    memory_append(more, &region, mapping);
    mapping_unref(mapping);
    for (; i < mem->nr_regions; i++) {
        memory_append(more, &mem->regions[i], mem->mappings[i]);
    }
    return more;
}

VubMemory *vub_memory_remove(const VubMemory *mem, uint64_t guest_addr,
                             uint64_t user_addr, uint64_t size_bytes,
                             GError **errp)
{
    VubMemory *less = memory_alloc(mem->nr_regions);

    for (unsigned i = 0; i < mem->nr_regions; i++) {
        const VubRegion *region = &mem->regions[i];

        if (region->guest_addr != guest_addr ||
            region->user_addr != user_addr ||
            region->size_bytes != size_bytes) {
            memory_append(less, region, mem->mappings[i]);
        }
    }
    if (less->nr_regions == mem->nr_regions) {
        vub_error_set(errp, "no memory region has 0x%" PRIx64 " bytes at guest "
                      "address 0x%" PRIx64, size_bytes, guest_addr);
        vub_memory_unref(less);
        return NULL;
    }
    return less;
}

bool vub_memory_lost(const VubMemory *mem)
{
    for (unsigned i = 0; i < mem->nr_regions; i++) {
        if (vub_map_lost(mem->mappings[i]->map)) {
            return true;
        }
    }
    return false;
}

int vub_memory_find(const VubMemory *mem, uint64_t guest_addr)
{
    unsigned low = 0, high = mem->nr_regions;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        const VubRegion *region = &mem->regions[mid];

        if (guest_addr < region->guest_addr) {
            high = mid;
        } else if (guest_addr - region->guest_addr >= region->size_bytes) {
            low = mid + 1;
        } else {
            return mid;
        }
    }
    return -1;
}

void *vub_memory_at_user(const VubMemory *mem, uint64_t user_addr,
                         uint64_t size_bytes)
{
    for (unsigned i = 0; i < mem->nr_regions; i++) {
        const VubRegion *region = &mem->regions[i];
        uint64_t off = user_addr - region->user_addr;

        if (off < region->size_bytes &&
            size_bytes <= region->size_bytes - off) {
            return region->host + off;
        }
    }
    return NULL;
}

bool vub_memory_guest_addr(const VubMemory *mem, const void *host,
                           uint64_t *guest_addr, uint64_t *run_bytes)
{
    for (unsigned i = 0; i < mem->nr_regions; i++) {
        const VubRegion *region = &mem->regions[i];
        uint64_t off = (uintptr_t)host - (uintptr_t)region->host;

        if (off < region->size_bytes) {
            *guest_addr = region->guest_addr + off;
            *run_bytes = region->size_bytes - off;
            return true;
        }
    }
    return false;
}
