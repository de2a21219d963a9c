/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log: the bitmap of guest pages that we wrote while the guest migrates
 *
 * Owns: the mapping of the log.
 * Must not know: what is written, and when.
 * Threads: any; several may mark at once.
 */

#include "vub-log.h"

#include "vub-error.h"
#include "vub-map.h"

struct VubLog {
    unsigned refs;              /* atomic */
    VubMap *map;
    uint8_t *bits;
    uint64_t size_bytes;
};

VubLog *vub_log_map(int fd, uint64_t size_bytes, uint64_t file_off,
                    GError **errp)
{
    VubLog *log;
    VubMap *map;

    if (file_off % VUB_LOG_PAGE_BYTES) {
        vub_error_set(errp, "dirty log can't be mapped: 0x%" PRIx64 " of its "
                      "file is no multiple of a page", file_off);
        return NULL;
    }
    /* No guest has an address that is beyond this; a file may be larger. */
    size_bytes = MIN(size_bytes, VUB_LOG_MAX_BYTES);
    map = vub_map_file(fd, file_off, size_bytes, "dirty log", errp);
    if (!map) {
        return NULL;
    }
    log = g_new(VubLog, 1);
    *log = (VubLog) {
        .refs = 1,
        .map = map,
        .bits = vub_map_data(map),
        .size_bytes = size_bytes,
    };
    return log;
}

VubLog *vub_log_ref(VubLog *log)
{
    __atomic_fetch_add(&log->refs, 1, __ATOMIC_RELAXED);
    return log;
}

void vub_log_unref(VubLog *log)
{
    if (log && __atomic_sub_fetch(&log->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        vub_map_free(log->map);
        g_free(log);
    }
}

bool vub_log_lost(const VubLog *log)
{
    return vub_map_lost(log->map);
}

/* A reader that sees a bit must see what was written before it was set. */
static void set_byte(VubLog *log, uint64_t byte, uint8_t mask)
{
    __atomic_fetch_or(&log->bits[byte], mask, __ATOMIC_RELEASE);
}

/* The pages from @first to @last, which both have their bit in @byte */
static uint8_t mask_of(uint64_t first, uint64_t last)
{
    return 0xff << first % 8 & 0xff >> (7 - last % 8);
}

void vub_log_mark(VubLog *log, uint64_t guest_addr, uint64_t bytes)
{
    uint64_t first = guest_addr / VUB_LOG_PAGE_BYTES;
    uint64_t last, byte, last_byte;

    if (bytes == 0 || guest_addr > UINT64_MAX - (bytes - 1)) {
        return;
    }
    last = MIN((guest_addr + bytes - 1) / VUB_LOG_PAGE_BYTES,
               log->size_bytes * 8 - 1);
    if (first > last) {
        return;
    }
    byte = first / 8;
    last_byte = last / 8;
    if (byte == last_byte) {
        set_byte(log, byte, mask_of(first, last));
        return;
    }
    set_byte(log, byte++, mask_of(first, 7));
    while (byte < last_byte) {
        if (byte % 8 == 0 && last_byte - byte >= 8) {
            /* The log begins at a page, so its words are aligned. */
            __atomic_fetch_or((uint64_t *)&log->bits[byte], UINT64_MAX,
                              __ATOMIC_RELEASE);
            byte += 8;
        } else {
            set_byte(log, byte++, 0xff);
        }
    }
    set_byte(log, last_byte, mask_of(0, last));
}
