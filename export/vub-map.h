/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Map: a part of a client's file in our address space
 *
 * The files of guest memory, of the dirty log and of the in-flight region are
 * the clients', of any size and kind. No more of one is mapped than is asked
 * for, but whole pages; all mappings together are held to what the process can
 * bear, so that only the client that asked for too much is refused.
 */

#ifndef OPUS_VUB_MAP_H
#define OPUS_VUB_MAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Of all clients together: of 128 TiB, or of 65530 mappings. */
#define VUB_MAP_MAX_BYTES (96ull << 40)
#define VUB_MAP_MAX_MAPS 32768

typedef struct VubMap VubMap;

/*
 * Maps @bytes of @fd's file from @file_off; the caller keeps @fd. @what is it,
 * for messages. Fails if it is empty, if a file on a disk or in memory is
 * shorter, if it can't be mapped, or if there would be too much.
 */
VubMap *vub_map_file(int fd, uint64_t file_off, uint64_t bytes,
                     const char *what, GError **errp);
/* @map may be NULL. */
void vub_map_free(VubMap *map);

/* Where @file_off is */
uint8_t *vub_map_data(const VubMap *map);
/* How much of the address space it takes */
uint64_t vub_map_bytes(const VubMap *map);
/* True once it was replaced by zeroes, see vub-guard.h */
bool vub_map_lost(const VubMap *map);

#endif /* OPUS_VUB_MAP_H */
