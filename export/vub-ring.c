/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring: the device's side of one virtqueue, split or packed
 *
 * Owns: what both kinds share.
 * Must not know: what a request means, who kicks, threads.
 * Threads: one at a time for each ring.
 * Invariants: I14, I15.
 */

#include "vub-ring.h"

#include <stdlib.h>
#include <string.h>

#include "vub-le.h"
#include "vub-error.h"

void vub_ring_break(VubRing *ring, const char *why)
{
    if (!ring->broken) {
        ring->broken = why;
    }
}

bool vub_ring_look_lost(VubRing *ring)
{
    /* Before we look: one more that is lost meanwhile has us look again. */
    ring->losses_seen = vub_guard_losses();
    ring->lost = ring->lost || vub_memory_lost(ring->mem) ||
                 (ring->log && vub_log_lost(ring->log)) ||
                 (ring->inflight && vub_inflight_lost(ring->inflight));
    if (ring->lost) {
        vub_ring_break(ring, "memory that is gone");
    }
    return ring->lost;
}

static bool map_parts(VubRing *ring, const VubRingConfig *config,
                      GError **errp)
{
    return ring->packed ? vub_packed_map(ring, config, errp)
                        : vub_split_map(ring, config, errp);
}

static bool config_is_sane(const VubRingConfig *config, GError **errp)
{
    if (config->num == 0 || config->num > VUB_RING_MAX_SIZE ||
        (!config->packed && (config->num & (config->num - 1)))) {
        vub_error_set(errp, "a ring can't have %u descriptors", config->num);
        return false;
    }
    if (config->inflight &&
        (vub_inflight_packed(config->inflight) != config->packed ||
         vub_inflight_queue_size(config->inflight) < config->num ||
         !vub_inflight_queue(config->inflight, config->index))) {
        vub_error_set(errp, "the in-flight region is not for ring %u of %u "
                      "descriptors", config->index, config->num);
        return false;
    }
    return true;
}

static void use_setup(VubRing *ring, const VubRingSetup *setup)
{
    ring->mem = vub_memory_ref(setup->mem);
    ring->log = setup->log ? vub_log_ref(setup->log) : NULL;
    ring->log_used = setup->log_used;
    ring->log_used_addr = setup->log_used_addr;
}

bool vub_ring_init(VubRing *ring, const VubRingSetup *setup, GError **errp)
{
    const VubRingConfig *config = &setup->config;

    *ring = (VubRing) {
        .num = config->num,
        .packed = config->packed,
        .event_idx = config->event_idx,
        .mem = setup->mem,
        .log = setup->log,
        .log_used = setup->log_used,
        .log_used_addr = setup->log_used_addr,
        .notify = true,
    };
    if (!config_is_sane(config, errp) || !map_parts(ring, config, errp)) {
        return false;
    }
    if (!(config->packed ? vub_packed_start(ring, config, errp)
                         : vub_split_start(ring, config, errp))) {
        g_free(ring->resubmit);
        if (ring->packed) {
            g_free(ring->in_pack.next);
        }
        return false;
    }
    use_setup(ring, setup);
    if (config->inflight) {
        ring->inflight = vub_inflight_ref(config->inflight);
    }
    return true;
}

void vub_ring_destroy(VubRing *ring)
{
    if (ring->packed) {
        g_free(ring->in_pack.next);
    }
    g_free(ring->resubmit);
    vub_memory_unref(ring->mem);
    vub_log_unref(ring->log);
    vub_inflight_unref(ring->inflight);
    memset(ring, 0, sizeof(*ring));
}

bool vub_ring_change(VubRing *ring, const VubRingSetup *setup, GError **errp)
{
    VubRing changed;

    if (vub_ring_lost(ring)) {
        vub_error_set(errp, "memory of a ring is gone");
        return false;
    }
    changed = *ring;
    changed.losses_seen = 0;
    changed.mem = setup->mem;
    changed.hint = 0;
    if (!map_parts(&changed, &setup->config, errp)) {
        return false;
    }
    use_setup(&changed, setup);
    vub_memory_unref(ring->mem);
    vub_log_unref(ring->log);
    *ring = changed;
    return true;
}

uint32_t vub_ring_base(const VubRing *ring)
{
    return ring->packed ? vub_packed_base(ring) : ring->last_avail;
}

bool vub_ring_pop(VubRing *ring, VubChain *chain)
{
    bool found;

    if (G_UNLIKELY(ring->broken)) {
        return false;
    }
    vub_chain_reset(chain);
    found = ring->packed ? vub_packed_pop(ring, chain)
                         : vub_split_pop(ring, chain);
    ring->nr_taken += found;
    if (G_UNLIKELY(vub_ring_lost(ring))) {
        return false;
    }
    return found;
}

void vub_ring_push(VubRing *ring, const VubChain *chain,
                   uint32_t written_bytes)
{
    if (G_UNLIKELY(vub_ring_lost(ring))) {
        return;
    }
    if (ring->packed) {
        vub_packed_push(ring, chain, written_bytes);
    } else {
        vub_split_push(ring, chain, written_bytes);
    }
    ring->nr_pushed++;
}

bool vub_ring_publish(VubRing *ring)
{
    if (ring->nr_pushed == 0 || G_UNLIKELY(vub_ring_lost(ring))) {
        return false;
    }
    ring->nr_taken -= ring->nr_pushed;
    return ring->packed ? vub_packed_publish(ring) : vub_split_publish(ring);
}

bool vub_ring_empty(VubRing *ring)
{
    if (G_UNLIKELY(ring->broken)) {
        return true;
    }
    if (G_UNLIKELY(ring->next_resubmit < ring->nr_resubmit)) {
        return false;
    }
    return ring->packed ? vub_packed_empty(ring) : vub_split_empty(ring);
}

void vub_ring_set_notify(VubRing *ring, bool notify)
{
    ring->notify = notify;
    if (ring->packed) {
        vub_packed_set_notify(ring, notify);
    } else {
        vub_split_set_notify(ring, notify);
    }
    if (notify) {
        vub_full_barrier();
    }
}

bool vub_ring_read_indirect(VubRing *ring, VubChain *chain,
                            uint64_t guest_addr, uint32_t bytes)
{
    unsigned nr = bytes / sizeof(struct vring_desc);
    unsigned at = 0;

    if (bytes == 0 || bytes % sizeof(struct vring_desc)) {
        vub_ring_break(ring, "an indirect table of odd size");
        return false;
    }
    /* A loop would have more steps than there are descriptors. */
    for (unsigned steps = 0; steps < nr; steps++) {
        uint64_t addr = guest_addr + (uint64_t)at * sizeof(struct vring_desc);
        uint64_t run_bytes;
        const struct vring_desc *desc;
        uint16_t flags;
        const char *why;

        desc = vub_memory_at(ring->mem, addr, &run_bytes, &ring->hint);
        if (!desc || run_bytes < sizeof(*desc) ||
            (uintptr_t)desc % __alignof__(*desc)) {
            vub_ring_break(ring, "an indirect table outside of memory");
            return false;
        }
        /* The two kinds differ only in where the flags are. */
        flags = vub_le16_load(ring->packed ? &desc->next : &desc->flags);
        if (flags & VRING_DESC_F_INDIRECT) {
            vub_ring_break(ring, "an indirect table inside of another");
            return false;
        }
        why = vub_chain_append(chain, ring->mem, vub_le64_load(&desc->addr),
                               vub_le32_load(&desc->len),
                               flags & VRING_DESC_F_WRITE, &ring->hint);
        if (why) {
            vub_ring_break(ring, why);
            return false;
        }
        /* A packed ring's tables have no links: all entries count, in order */
        if (ring->packed) {
            at++;
            continue;
        }
        if (!(flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        at = vub_le16_load(&desc->next);
        if (at >= nr) {
            vub_ring_break(ring, "a link out of an indirect table");
            return false;
        }
    }
    if (!ring->packed) {
        vub_ring_break(ring, "a chain that has no end");
        return false;
    }
    return true;
}

void vub_ring_log(VubRing *ring, const void *host, uint64_t bytes)
{
    uint64_t guest_addr, run_bytes;

    if (vub_memory_guest_addr(ring->mem, host, &guest_addr, &run_bytes)) {
        vub_log_mark(ring->log, guest_addr, MIN(bytes, run_bytes));
    }
}

void vub_ring_log_chain(VubRing *ring, const VubChain *chain, uint64_t bytes)
{
    if (G_LIKELY(!ring->log)) {
        return;
    }
    for (unsigned i = 0; i < chain->nr_in && bytes; i++) {
        const struct iovec *iov = &chain->iov[chain->nr_out + i];
        uint64_t part_bytes = MIN(bytes, iov->iov_len);

        vub_ring_log(ring, iov->iov_base, part_bytes);
        bytes -= part_bytes;
    }
}

static int compare_counters(const void *a, const void *b, void *key)
{
    uint64_t first = ((const uint64_t *)key)[*(const uint16_t *)a];
    uint64_t second = ((const uint64_t *)key)[*(const uint16_t *)b];

    return first < second ? -1 : first > second;
}

void vub_ring_sort_resubmit(VubRing *ring, const uint64_t *key)
{
    qsort_r(ring->resubmit, ring->nr_resubmit, sizeof(*ring->resubmit),
            compare_counters, (void *)key);
}
