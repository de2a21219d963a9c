/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Map: a part of a client's file in our address space
 *
 * Owns: mmap and munmap of what clients share, and their sum.
 * Must not know: what it is mapped for.
 * Threads: any.
 * Invariants: what was mapped is unmapped with the same, rounded length; what
 * can't be unmapped goes on counting.
 */

#include "vub-map.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vub-error.h"
#include "vub-guard.h"

struct VubMap {
    uint8_t *base;
    size_t bytes;
    uint8_t *data;
    VubGuard *guard;
};

static uint64_t sum_bytes;      /* atomic */
static unsigned nr_maps;        /* atomic */

static bool take_room(uint64_t bytes)
{
    if (__atomic_add_fetch(&nr_maps, 1, __ATOMIC_RELAXED) > VUB_MAP_MAX_MAPS) {
        __atomic_sub_fetch(&nr_maps, 1, __ATOMIC_RELAXED);
        return false;
    }
    if (__atomic_add_fetch(&sum_bytes, bytes, __ATOMIC_RELAXED) >
        VUB_MAP_MAX_BYTES) {
        __atomic_sub_fetch(&sum_bytes, bytes, __ATOMIC_RELAXED);
        __atomic_sub_fetch(&nr_maps, 1, __ATOMIC_RELAXED);
        return false;
    }
    return true;
}

static void give_room(uint64_t bytes)
{
    __atomic_sub_fetch(&sum_bytes, bytes, __ATOMIC_RELAXED);
    __atomic_sub_fetch(&nr_maps, 1, __ATOMIC_RELAXED);
}

/*
 * What offsets and lengths are to be multiples of. Files of huge pages give
 * their page as the block size, and take no other: munmap refuses a length
 * that mmap has rounded up. What others say is no harm, but need not be right.
 */
static uint64_t page_of(const struct stat *info)
{
    uint64_t page = sysconf(_SC_PAGE_SIZE);
    uint64_t block = info->st_blksize;

    return block > page && (block & (block - 1)) == 0 ? block : page;
}

static bool is_sane(const struct stat *info, uint64_t file_off,
                    uint64_t bytes, const char *what, GError **errp)
{
    if (bytes == 0 || file_off > INT64_MAX / 2 || bytes > INT64_MAX / 2) {
        vub_error_set(errp, "%s of 0x%" PRIx64 " bytes at 0x%" PRIx64
                      " of a file can't be mapped: it is empty or wraps around",
                      what, bytes, file_off);
        return false;
    }
    /* A device's size isn't known here; the kernel checks that. */
    if (S_ISREG(info->st_mode) &&
        (uint64_t)info->st_size < file_off + bytes) {
        vub_error_set(errp, "%s of 0x%" PRIx64 " bytes at 0x%" PRIx64 " of a "
                      "file of 0x%" PRIx64 " bytes", what, bytes, file_off,
                      (uint64_t)info->st_size);
        return false;
    }
    return true;
}

VubMap *vub_map_file(int fd, uint64_t file_off, uint64_t bytes,
                     const char *what, GError **errp)
{
    uint64_t page, before, all;
    struct stat info;
    VubMap *map;
    void *base;

    if (fstat(fd, &info) < 0) {
        vub_error_set(errp, "%s can't be mapped: %s", what, g_strerror(errno));
        return NULL;
    }
    if (!is_sane(&info, file_off, bytes, what, errp)) {
        return NULL;
    }
    page = page_of(&info);
    before = file_off & (page - 1);
    all = (before + bytes + page - 1) & ~(page - 1);
    if (all > SIZE_MAX / 2 || !take_room(all)) {
        vub_error_set(errp, "%s of 0x%" PRIx64 " bytes is more than can be "
                      "mapped beside what clients have mapped already", what,
                      bytes);
        return NULL;
    }
    base = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE,
                fd, file_off - before);
    if (base == MAP_FAILED) {
        vub_error_set(errp, "%s can't be mapped: %s", what, g_strerror(errno));
        give_room(all);
        return NULL;
    }
    /* A child (the debugger's, a helper's) has no use for it. */
    madvise(base, all, MADV_DONTFORK);

    map = g_new(VubMap, 1);
    *map = (VubMap) {
        .base = base,
        .bytes = all,
        .data = (uint8_t *)base + before,
        .guard = vub_guard_add(base, all),
    };
    return map;
}

void vub_map_free(VubMap *map)
{
    if (!map) {
        return;
    }
    vub_guard_remove(map->guard);
    if (munmap(map->base, map->bytes) == 0) {
        give_room(map->bytes);
    } else {
        g_warning("0x%zx bytes of a client can't be unmapped: %s", map->bytes,
                  g_strerror(errno));
    }
    g_free(map);
}

uint8_t *vub_map_data(const VubMap *map)
{
    return map->data;
}

uint64_t vub_map_bytes(const VubMap *map)
{
    return map->bytes;
}

bool vub_map_lost(const VubMap *map)
{
    return vub_guard_lost(map->guard);
}
