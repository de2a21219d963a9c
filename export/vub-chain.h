/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chain: one request's buffers as the guest queued them
 *
 * First the buffers that the device reads ("out"), then those that it writes
 * ("in"), translated to our addresses. The caller lends the vectors, so that
 * nothing is allocated for a request.
 */

#ifndef OPUS_VUB_CHAIN_H
#define OPUS_VUB_CHAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vub-memory.h"

/* No chain may have more buffers; IOV_MAX, and virtio's largest queue. */
#define VUB_CHAIN_MAX_IOV 1024

typedef struct VubChain {
    struct iovec *iov;          /* nr_out, then nr_in of them */
    unsigned nr_out;
    unsigned nr_in;
    uint64_t out_bytes;
    uint64_t in_bytes;

    /* The caller's: @iov points to the first; the second is for long chains */
    struct iovec *short_iov;
    unsigned short_max;
    struct iovec *long_iov;     /* VUB_CHAIN_MAX_IOV */

    /* The ring's */
    uint16_t id;                /* split: first descriptor; packed: buffer id */
    uint16_t nr_descs;          /* packed: places taken in the ring */
    uint16_t track;             /* packed: its entry in the in-flight region */
} VubChain;

/* Forgets the buffers. */
static inline void vub_chain_reset(VubChain *chain)
{
    chain->iov = chain->short_iov;
    chain->nr_out = chain->nr_in = 0;
    chain->out_bytes = chain->in_bytes = 0;
}

/*
 * Adds the @bytes at @guest_addr, which may become several vectors if they lie
 * in several regions. @in: the device writes them. *@hint: see vub_memory_at().
 *
 * Returns NULL, or what is wrong with them: a constant text.
 */
const char *vub_chain_append(VubChain *chain, const VubMemory *mem,
                             uint64_t guest_addr, uint32_t bytes, bool in,
                             unsigned *hint);

#endif /* OPUS_VUB_CHAIN_H */
