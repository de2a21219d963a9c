/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split ring: descriptor table, avail ring and used ring apart
 *
 * Owns: virtio 1.x "Split Virtqueues" from the device's side.
 * Must not know: as vub-ring.c.
 * Threads: one at a time for each ring.
 * Invariants: I14, I15.
 */

#include "vub-ring.h"


#include "vub-le.h"
#include "vub-error.h"

/* With EVENT_IDX each ring has one more field behind its last entry. */
static const uint16_t *used_event(const VubRing *ring)
{
    return &ring->split.avail->ring[ring->num];
}

static uint16_t *avail_event(const VubRing *ring)
{
    return (uint16_t *)&ring->split.used->ring[ring->num];
}

static uint64_t used_bytes(const VubRing *ring)
{
    return sizeof(struct vring_used) +
           sizeof(struct vring_used_elem) * ring->num + sizeof(uint16_t);
}

bool vub_split_map(VubRing *ring, const VubRingConfig *config, GError **errp)
{
    VubSplitRing *split = &ring->split;

    split->desc = vub_memory_at_user(ring->mem, config->desc_user_addr,
                                     sizeof(*split->desc) * ring->num);
    split->avail = vub_memory_at_user(ring->mem, config->avail_user_addr,
                                      sizeof(*split->avail) +
                                      sizeof(uint16_t) * (ring->num + 1));
    split->used = vub_memory_at_user(ring->mem, config->used_user_addr,
                                     used_bytes(ring));
    if (!split->desc || !split->avail || !split->used ||
        (uintptr_t)split->desc % VRING_DESC_ALIGN_SIZE ||
        (uintptr_t)split->avail % VRING_AVAIL_ALIGN_SIZE ||
        (uintptr_t)split->used % VRING_USED_ALIGN_SIZE) {
        vub_error_set(errp,
                      "a ring of %u descriptors at 0x%" PRIx64 ", 0x%" PRIx64
                      " and 0x%" PRIx64 " is not in memory, or not aligned",
                      ring->num, config->desc_user_addr,
                      config->avail_user_addr, config->used_user_addr);
        return false;
    }
    return true;
}

/*
 * The last batch may have reached the used ring, but not all of the region:
 * those heads are no longer in flight.
 */
static bool settle_last_batch(VubRing *ring, GError **errp)
{
    VubInflightSplit *track = ring->split.track;
    uint16_t batch = ring->used_idx - track->used_idx;
    uint16_t head = track->last_batch_head;

    if (batch > ring->num) {
        vub_error_set(errp,
                      "the in-flight region is %u chains behind a ring of %u",
                      batch, ring->num);
        return false;
    }
    for (unsigned i = 0; i < batch; i++) {
        if (head >= ring->num) {
            vub_error_set(errp,
                          "the in-flight region names descriptor %u of %u",
                          head, ring->num);
            return false;
        }
        track->desc[head].inflight = 0;
        head = track->desc[head].next;
    }
    track->used_idx = ring->used_idx;
    return true;
}

static bool recover_inflight(VubRing *ring, GError **errp)
{
    VubInflightSplit *track = ring->split.track;
    g_autofree uint64_t *counter = g_new0(uint64_t, ring->num);

    if (track->version == 0) {
        track->desc_num = ring->num;
        track->used_idx = ring->used_idx;
        /* Last: a region that has a version is believed. */
        __atomic_store_n(&track->version, VUB_INFLIGHT_VERSION,
                         __ATOMIC_RELEASE);
        return true;
    }
    if (track->version != VUB_INFLIGHT_VERSION ||
        track->desc_num != ring->num) {
        vub_error_set(errp,
                      "an in-flight region of version %u for %u descriptors, "
                      "not of %u for %u", track->version, track->desc_num,
                      VUB_INFLIGHT_VERSION, ring->num);
        return false;
    }
    if (!settle_last_batch(ring, errp)) {
        return false;
    }
    ring->resubmit = g_new(uint16_t, ring->num);
    for (unsigned i = 0; i < ring->num; i++) {
        if (track->desc[i].inflight) {
            ring->resubmit[ring->nr_resubmit++] = i;
            counter[i] = track->desc[i].counter;
            ring->counter = MAX(ring->counter, counter[i] + 1);
        }
    }
    vub_ring_sort_resubmit(ring, counter);
    /* All that was taken was either given back or is in flight. */
    ring->last_avail = ring->used_idx + ring->nr_resubmit;
    return true;
}

bool vub_split_start(VubRing *ring, const VubRingConfig *config, GError **errp)
{
    ring->used_idx = vub_le16_load(&ring->split.used->idx);
    ring->last_avail = config->base;
    if (config->inflight) {
        ring->split.track = vub_inflight_queue(config->inflight,
                                               config->index);
        if (!recover_inflight(ring, errp)) {
            return false;
        }
    }
    ring->shadow_avail = ring->last_avail;
    return true;
}

bool vub_split_empty(VubRing *ring)
{
    return ring->shadow_avail == ring->last_avail &&
           vub_le16_load(&ring->split.avail->idx) == ring->last_avail;
}

/*
 * True if there was a head to take, which is in flight now; sees the
 * descriptors behind it then.
 */
static bool next_head(VubRing *ring, uint16_t *head)
{
    VubInflightSplit *track = ring->split.track;

    if (G_UNLIKELY(ring->next_resubmit < ring->nr_resubmit)) {
        *head = ring->resubmit[ring->next_resubmit++];
        return true;
    }
    if (ring->shadow_avail == ring->last_avail) {
        uint16_t idx = vub_le16_load_acquire(&ring->split.avail->idx);

        if (idx == ring->last_avail) {
            return false;
        }
        if ((uint16_t)(idx - ring->last_avail) > ring->num) {
            vub_ring_break(ring, "an avail index that jumped");
            return false;
        }
        ring->shadow_avail = idx;
    }
    *head = vub_le16_load(&ring->split.avail->ring[ring->last_avail &
                                                   (ring->num - 1)]);
    if (*head >= ring->num) {
        vub_ring_break(ring, "a head out of the descriptor table");
        return false;
    }
    if (ring->nr_taken >= ring->num ||
        (track && track->desc[*head].inflight)) {
        vub_ring_break(ring, "a chain that is queued twice");
        return false;
    }
    ring->last_avail++;
    if (track) {
        /* One that is resubmitted keeps its place in the order. */
        track->desc[*head].counter = ring->counter++;
        __atomic_store_n(&track->desc[*head].inflight, 1, __ATOMIC_RELEASE);
    }
    return true;
}

static bool read_chain(VubRing *ring, VubChain *chain, uint16_t head)
{
    unsigned at = head;

    /* A loop would have more steps than there are descriptors. */
    for (unsigned steps = 0; steps < ring->num; steps++) {
        const struct vring_desc *desc = &ring->split.desc[at];
        uint16_t flags = vub_le16_load(&desc->flags);
        uint64_t addr = vub_le64_load(&desc->addr);
        uint32_t bytes = vub_le32_load(&desc->len);

        if (flags & VRING_DESC_F_INDIRECT) {
            if (flags & VRING_DESC_F_NEXT) {
                vub_ring_break(ring, "an indirect descriptor with a successor");
                return false;
            }
            return vub_ring_read_indirect(ring, chain, addr, bytes);
        } else {
            const char *why = vub_chain_append(chain, ring->mem, addr, bytes,
                                               flags & VRING_DESC_F_WRITE,
                                               &ring->hint);
            if (why) {
                vub_ring_break(ring, why);
                return false;
            }
        }
        if (!(flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        at = vub_le16_load(&desc->next);
        if (at >= ring->num) {
            vub_ring_break(ring, "a link out of the descriptor table");
            return false;
        }
    }
    vub_ring_break(ring, "a chain that has no end");
    return false;
}

bool vub_split_pop(VubRing *ring, VubChain *chain)
{
    uint16_t before = ring->last_avail;
    uint16_t head;

    if (!next_head(ring, &head)) {
        return false;
    }
    chain->id = head;
    if (!read_chain(ring, chain, head)) {
        /* It was not taken: a ring that is started again meets it again. */
        ring->last_avail = before;
        return false;
    }
    return true;
}

void vub_split_push(VubRing *ring, const VubChain *chain, uint32_t bytes)
{
    VubInflightSplit *track = ring->split.track;
    uint16_t place = (uint16_t)(ring->used_idx + ring->nr_pushed) &
                     (ring->num - 1);
    struct vring_used_elem *elem = &ring->split.used->ring[place];

    if (track) {
        track->desc[chain->id].next = track->last_batch_head;
        /* The list is whole before the used index can say so. */
        __atomic_store_n(&track->last_batch_head, chain->id, __ATOMIC_RELEASE);
    }
    vub_le32_store(&elem->id, chain->id);
    vub_le32_store(&elem->len, bytes);
    vub_ring_log_used(ring, (uint8_t *)elem - (uint8_t *)ring->split.used,
                      sizeof(*elem));
}

static bool wants_interrupt(VubRing *ring)
{
    uint16_t old = ring->signalled_used;
    bool was_valid = ring->signalled_valid;

    if (!ring->event_idx) {
        return !(vub_le16_load(&ring->split.avail->flags) &
                 VRING_AVAIL_F_NO_INTERRUPT);
    }
    ring->signalled_used = ring->used_idx;
    ring->signalled_valid = true;
    return !was_valid || vring_need_event(vub_le16_load(used_event(ring)),
                                          ring->used_idx, old);
}

bool vub_split_publish(VubRing *ring)
{
    VubInflightSplit *track = ring->split.track;
    uint16_t batch = ring->nr_pushed;

    ring->used_idx += batch;
    ring->nr_pushed = 0;
    vub_le16_store_release(&ring->split.used->idx, ring->used_idx);
    vub_ring_log_used(ring, offsetof(struct vring_used, idx),
                      sizeof(ring->split.used->idx));
    if (G_UNLIKELY(vub_ring_lost(ring))) {
        /* The guest has not seen the index: all of it stays in flight. */
        return false;
    }
    if (track) {
        uint16_t head = track->last_batch_head;

        /* Not before the index: else a crash would forget the chain. */
        __atomic_thread_fence(__ATOMIC_RELEASE);
        for (unsigned i = 0; i < batch && head < ring->num; i++) {
            track->desc[head].inflight = 0;
            head = track->desc[head].next;
        }
        __atomic_store_n(&track->used_idx, ring->used_idx, __ATOMIC_RELEASE);
    }
    vub_full_barrier();
    return wants_interrupt(ring);
}

void vub_split_set_notify(VubRing *ring, bool notify)
{
    if (ring->event_idx) {
        /* An event that has passed never comes: that is "don't". */
        if (notify) {
            vub_le16_store(avail_event(ring), ring->last_avail);
            vub_ring_log_used(ring, (uint8_t *)avail_event(ring) -
                                    (uint8_t *)ring->split.used,
                              sizeof(uint16_t));
        }
        return;
    }
    vub_le16_store(&ring->split.used->flags,
                   notify ? 0 : VRING_USED_F_NO_NOTIFY);
    vub_ring_log_used(ring, offsetof(struct vring_used, flags),
                      sizeof(uint16_t));
}
