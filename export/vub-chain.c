/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Chain: one request's buffers as the guest queued them
 *
 * Owns: the order and number of buffers, and their translation.
 * Must not know: how a ring stores descriptors, what a request means.
 * Threads: any; a chain belongs to one.
 * Invariants: I14; every vector lies in one region of the snapshot.
 */

#include "vub-chain.h"

#include <string.h>

static bool make_room(VubChain *chain)
{
    unsigned nr = chain->nr_out + chain->nr_in;

    if (chain->iov == chain->short_iov) {
        if (nr < chain->short_max) {
            return true;
        }
        memcpy(chain->long_iov, chain->short_iov, nr * sizeof(*chain->iov));
        chain->iov = chain->long_iov;
    }
    return nr < VUB_CHAIN_MAX_IOV;
}

const char *vub_chain_append(VubChain *chain, const VubMemory *mem,
                             uint64_t guest_addr, uint32_t bytes, bool in,
                             unsigned *hint)
{
    if (bytes == 0) {
        return "a descriptor of zero bytes";
    }
    if (!in && chain->nr_in) {
        return "a readable descriptor behind a writable one";
    }
    if (in) {
        chain->in_bytes += bytes;
    } else {
        chain->out_bytes += bytes;
    }
    while (bytes) {
        uint64_t run_bytes;
        void *host = vub_memory_at(mem, guest_addr, &run_bytes, hint);

        if (!host) {
            return "a descriptor outside of the guest's memory";
        }
        if (!make_room(chain)) {
            return "a chain that is too long";
        }
        run_bytes = MIN(run_bytes, bytes);
        chain->iov[chain->nr_out + chain->nr_in] = (struct iovec) {
            .iov_base = host,
            .iov_len = run_bytes,
        };
        if (in) {
            chain->nr_in++;
        } else {
            chain->nr_out++;
        }
        guest_addr += run_bytes;
        bytes -= run_bytes;
    }
    return NULL;
}
