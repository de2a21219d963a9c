/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In-flight: what survives us, so that our successor knows what we had taken
 *
 * A file in memory that the front-end keeps while the daemon is gone, one
 * region per queue, laid out as docs/interop/vhost-user.rst of QEMU has it
 * ("Inflight I/O tracking"). It is in the machine's own byte order.
 *
 * The front-end can write it too: what is read from it is checked.
 */

#ifndef OPUS_VUB_INFLIGHT_H
#define OPUS_VUB_INFLIGHT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define VUB_INFLIGHT_VERSION 1

/* A head's state in a split ring; index: the head's descriptor. */
typedef struct VubInflightSplitDesc {
    uint8_t inflight;
    uint8_t padding[5];
    uint16_t next;              /* the one pushed before, in the last batch */
    uint64_t counter;           /* order of taking */
} VubInflightSplitDesc;

typedef struct VubInflightSplit {
    uint64_t features;
    uint16_t version;           /* 0: nothing is here yet */
    uint16_t desc_num;
    uint16_t last_batch_head;
    uint16_t used_idx;
    VubInflightSplitDesc desc[];
} VubInflightSplit;

/* A descriptor of a packed ring; the free ones are a list through @next. */
typedef struct VubInflightPackedDesc {
    uint8_t inflight;           /* of the chain that starts here */
    uint8_t padding;
    uint16_t next;
    uint16_t last;              /* heads: the chain's last entry */
    uint16_t num;               /* heads: how many entries */
    uint64_t counter;           /* heads: order of taking */
    uint16_t id;
    uint16_t flags;
    uint32_t len;
    uint64_t addr;
} VubInflightPackedDesc;

typedef struct VubInflightPacked {
    uint64_t features;
    uint16_t version;           /* 0: nothing is here yet */
    uint16_t desc_num;
    uint16_t free_head;
    uint16_t old_free_head;
    uint16_t used_idx;
    uint16_t old_used_idx;
    uint8_t used_wrap_counter;
    uint8_t old_used_wrap_counter;
    uint8_t padding[7];
    VubInflightPackedDesc desc[];
} VubInflightPacked;

typedef struct VubInflight VubInflight;

/*
 * What an in-flight file of ours takes for @num_queues queues of @queue_size
 * descriptors, in bytes.
 */
uint64_t vub_inflight_bytes(unsigned num_queues, unsigned queue_size,
                            bool packed);

/*
 * A new file of that size, all zero, and its mapping; *@fd becomes the
 * caller's. NULL and @errp if the system has no memory for it.
 */
VubInflight *vub_inflight_create(unsigned num_queues, unsigned queue_size,
                                 bool packed, int *fd, GError **errp);

/*
 * The mapping of a file that was made by vub_inflight_create() in this or in
 * an earlier process: @size_bytes from @file_off of @fd, which stays the
 * caller's. Fails if that doesn't suit the queues. If it was made for larger
 * queues than @queue_size, they may be as large.
 */
VubInflight *vub_inflight_map(int fd, uint64_t size_bytes, uint64_t file_off,
                              unsigned num_queues, unsigned queue_size,
                              bool packed, GError **errp);

VubInflight *vub_inflight_ref(VubInflight *inflight);
/* @inflight may be NULL. */
void vub_inflight_unref(VubInflight *inflight);

/* True once it vanished under us, see vub-guard.h. */
bool vub_inflight_lost(const VubInflight *inflight);

bool vub_inflight_packed(const VubInflight *inflight);
unsigned vub_inflight_queue_size(const VubInflight *inflight);

/*
 * The driver's choice of a write cache, kept behind the queues' regions: our
 * successor isn't told, and if it held back writes that the guest believes to
 * be safe they could be lost. False: another program made the file, and did
 * not note it.
 */
void vub_inflight_note_cache(VubInflight *inflight, bool on);
bool vub_inflight_read_cache(const VubInflight *inflight, bool *on);

/*
 * A queue's region: a VubInflightSplit or a VubInflightPacked with
 * vub_inflight_queue_size() descriptors. NULL if @index has none.
 */
void *vub_inflight_queue(VubInflight *inflight, unsigned index);

#endif /* OPUS_VUB_INFLIGHT_H */
