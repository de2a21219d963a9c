/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log: the bitmap of guest pages that we wrote while the guest migrates
 *
 * One bit stands for VUB_LOG_PAGE_BYTES of the guest's memory, lowest bit of
 * the lowest byte first (vhost-user, "Migration"). The front-end gives the
 * memory and reads and clears bits while we set others.
 */

#ifndef OPUS_VUB_LOG_H
#define OPUS_VUB_LOG_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define VUB_LOG_PAGE_BYTES 4096

/* Processors' addresses have 52 bits at most. */
#define VUB_LOG_MAX_BYTES ((1ull << 52) / VUB_LOG_PAGE_BYTES / 8)

typedef struct VubLog VubLog;

/*
 * Maps @size_bytes of @fd's file from @file_off, which must be a multiple of
 * the page size; what no guest can need of it is left out. The caller keeps
 * @fd. One reference; any thread may take and drop more.
 */
VubLog *vub_log_map(int fd, uint64_t size_bytes, uint64_t file_off,
                    GError **errp);
VubLog *vub_log_ref(VubLog *log);
/* @log may be NULL. */
void vub_log_unref(VubLog *log);

/* True once it vanished under us, see vub-guard.h. */
bool vub_log_lost(const VubLog *log);

/*
 * Marks the pages of @bytes at @guest_addr as written; any thread. What lies
 * beyond the log is left out: the guest chose the address, and harms only
 * itself by it.
 */
void vub_log_mark(VubLog *log, uint64_t guest_addr, uint64_t bytes);

#endif /* OPUS_VUB_LOG_H */
