/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log: the bitmap of guest pages that we wrote while the guest migrates
 *
 * Owns: the mapping of the log.
 * Must not know: what is written, and when.
 * Threads: any; several may mark at once.
 */

#include "vub-log.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vub-error.h"
#include "vub-guard.h"

struct VubLog {
    unsigned refs;              /* atomic */
    uint8_t *bits;
    uint64_t size_bytes;
};

VubLog *vub_log_map(int fd, uint64_t size_bytes, uint64_t file_off,
                    GError **errp)
{
    struct stat info;
    VubLog *log;
    void *bits;

    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
        ((uint64_t)info.st_size < file_off ||
         (uint64_t)info.st_size - file_off < size_bytes)) {
        vub_error_set(errp,
                      "dirty log of 0x%" PRIx64 " bytes at 0x%" PRIx64 " of a "
                      "file of 0x%" PRIx64 " bytes", size_bytes, file_off,
                      (uint64_t)info.st_size);
        return NULL;
    }
    bits = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                file_off);
    if (bits == MAP_FAILED) {
        vub_error_set(errp, "dirty log can't be mapped: %s", g_strerror(errno));
        return NULL;
    }
    vub_guard_add(bits, size_bytes);
    log = g_new(VubLog, 1);
    *log = (VubLog) { .refs = 1, .bits = bits, .size_bytes = size_bytes };
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
        vub_guard_remove(log->bits);
        munmap(log->bits, log->size_bytes);
        g_free(log);
    }
}

void vub_log_mark(VubLog *log, uint64_t guest_addr, uint64_t bytes)
{
    uint64_t page = guest_addr / VUB_LOG_PAGE_BYTES;
    uint64_t last;

    if (bytes == 0 || guest_addr > UINT64_MAX - (bytes - 1)) {
        return;
    }
    last = MIN((guest_addr + bytes - 1) / VUB_LOG_PAGE_BYTES,
               log->size_bytes * 8 - 1);
    for (; page <= last; page++) {
        /* Whoever sees the bit must see what was written before. */
        __atomic_fetch_or(&log->bits[page / 8], 1 << page % 8,
                          __ATOMIC_RELEASE);
    }
}
