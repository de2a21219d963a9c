/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In-flight region of a packed ring
 *
 * Owns: the order of stores that lets a successor tell what was in flight.
 * Must not know: the guest's memory.
 * Threads: the ring's.
 * Invariants: an entry is on the free list or in one chain. What is read back
 * from the region is checked once, by recover; our own copy of the lists is
 * what is followed afterwards.
 */

#include "vub-inflight-packed.h"

#include <string.h>

#include "vub-error.h"
#include "vub-le.h"

/* The 8 bytes that start with used_idx; the last 2 are padding. */
#define USED_WORD_OFF offsetof(VubInflightPacked, used_idx)
typedef uint64_t __attribute__((may_alias)) VubUsedWord;
G_STATIC_ASSERT(USED_WORD_OFF % sizeof(VubUsedWord) == 0);

static void store_fence(void)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

/* What is shared may change while it is checked: so that is done to a copy. */
static void read_header(VubInflightPacked *header,
                        const VubInflightPacked *track)
{
    *header = *track;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/*
 * used_idx, old_used_idx and their wrap counters, in one store: after half of
 * it there would be no telling which lap an index belongs to.
 */
static void store_used(VubInflightPacked *track, uint16_t used_idx,
                       uint16_t old_used_idx, bool used_wrap,
                       bool old_used_wrap)
{
    const VubInflightPacked header = {
        .used_idx = used_idx,
        .old_used_idx = old_used_idx,
        .used_wrap_counter = used_wrap,
        .old_used_wrap_counter = old_used_wrap,
    };
    VubUsedWord word;

    memcpy(&word, (const uint8_t *)&header + USED_WORD_OFF, sizeof(word));
    __atomic_store_n((VubUsedWord *)((uint8_t *)track + USED_WORD_OFF), word,
                     __ATOMIC_RELEASE);
}

static void set_up(VubRing *ring)
{
    VubPackedRing *pack = &ring->in_pack;
    VubInflightPacked *track = pack->track;

    for (unsigned i = 0; i < ring->num; i++) {
        track->desc[i].inflight = 0;
        track->desc[i].next = pack->next[i] = i + 1;
    }
    track->desc_num = ring->num;
    track->free_head = track->old_free_head = 0;
    store_used(track, ring->used_idx, ring->used_idx, pack->used_wrap,
               pack->used_wrap);
    store_fence();
    track->version = VUB_INFLIGHT_VERSION;
    pack->nr_free = ring->num;
}

/*
 * The last batch counts if the guest can see it: then its first place no
 * longer looks as the guest had filled it.
 */
static void settle_last_batch(VubRing *ring, VubInflightPacked *header)
{
    VubPackedRing *pack = &ring->in_pack;
    VubInflightPacked *track = pack->track;
    bool wrap = header->old_used_wrap_counter;

    if (header->used_idx != header->old_used_idx ||
        header->used_wrap_counter != header->old_used_wrap_counter) {
        uint16_t flags = vub_le16_load(
            &pack->desc[header->old_used_idx].flags);
        bool avail = flags & 1 << VRING_PACKED_DESC_F_AVAIL;
        bool used = flags & 1 << VRING_PACKED_DESC_F_USED;

        if (avail != wrap || used == wrap) {
            header->old_free_head = header->free_head;
            header->old_used_idx = header->used_idx;
            wrap = header->used_wrap_counter;
        }
    }
    /* If this is cut short too, the next one comes to the same end. */
    track->free_head = track->old_free_head = header->old_free_head;
    store_used(track, header->old_used_idx, header->old_used_idx, wrap, wrap);
    header->free_head = header->old_free_head;
    ring->used_idx = header->old_used_idx;
    pack->used_wrap = wrap;
}

/* Marks the entries of the list that starts at @entry; false if it's none. */
static bool walk(const VubRing *ring, unsigned entry, unsigned max,
                 uint8_t *seen, unsigned *nr, uint16_t *last)
{
    const VubInflightPacked *track = ring->in_pack.track;

    for (*nr = 0; *nr < max && entry < ring->num; (*nr)++) {
        if (seen[entry]) {
            return false;
        }
        seen[entry] = 1;
        *last = entry;
        entry = __atomic_load_n(&track->desc[entry].next, __ATOMIC_RELAXED);
        ring->in_pack.next[*last] = entry;
    }
    return true;
}

static bool read_lists(VubRing *ring, uint16_t free_head, uint64_t *counter,
                       uint8_t *seen)
{
    VubPackedRing *pack = &ring->in_pack;
    VubInflightPacked *track = pack->track;
    unsigned nr, total = 0;
    uint16_t last = 0;

    if (!walk(ring, free_head, ring->num, seen, &nr, &last)) {
        return false;
    }
    pack->free_head = nr ? free_head : ring->num;
    pack->nr_free = nr;
    if (nr) {
        pack->next[last] = ring->num;
    }
    for (unsigned i = 0; i < ring->num; i++) {
        if (seen[i]) {
            track->desc[i].inflight = 0;
        }
    }
    total = nr;
    for (unsigned i = 0; i < ring->num; i++) {
        const VubInflightPackedDesc *head = &track->desc[i];
        uint16_t num = __atomic_load_n(&head->num, __ATOMIC_RELAXED);

        if (!head->inflight) {
            continue;
        }
        if (!walk(ring, i, num, seen, &nr, &last) || nr == 0 || nr != num) {
            return false;
        }
        pack->last[i] = last;
        counter[i] = head->counter;
        ring->counter = MAX(ring->counter, counter[i] + 1);
        ring->resubmit[ring->nr_resubmit++] = i;
        total += nr;
    }
    /* An entry on no list would be lost for ever. */
    return total == ring->num;
}

bool vub_inflight_packed_recover(VubRing *ring, GError **errp)
{
    VubPackedRing *pack = &ring->in_pack;
    VubInflightPacked *track = pack->track;
    g_autofree uint64_t *counter = g_new0(uint64_t, ring->num);
    g_autofree uint8_t *seen = g_new0(uint8_t, ring->num);
    VubInflightPacked header;

    pack->next = g_new0(uint16_t, 3 * ring->num);
    pack->last = pack->next + ring->num;
    pack->pushed = pack->last + ring->num;
    read_header(&header, track);
    if (header.version == 0) {
        set_up(ring);
        return true;
    }
    if (header.version != VUB_INFLIGHT_VERSION ||
        header.desc_num != ring->num || header.used_idx >= ring->num ||
        header.old_used_idx >= ring->num) {
        vub_error_set(errp,
                      "an in-flight region of version %u for %u descriptors, "
                      "not of %u for %u", header.version, header.desc_num,
                      VUB_INFLIGHT_VERSION, ring->num);
        return false;
    }
    settle_last_batch(ring, &header);
    ring->resubmit = g_new(uint16_t, ring->num);
    if (!read_lists(ring, header.free_head, counter, seen)) {
        vub_error_set(errp, "the in-flight region's lists are in disorder");
        return false;
    }
    vub_ring_sort_resubmit(ring, counter);
    return true;
}

uint16_t vub_inflight_packed_put(VubRing *ring, uint16_t entry,
                                 const VubPackedDesc *desc, bool head)
{
    VubInflightPackedDesc *kept = &ring->in_pack.track->desc[entry];

    if (head) {
        kept->num = 0;
        kept->counter = ring->counter++;
    }
    kept->addr = desc->addr;
    kept->len = desc->len;
    kept->flags = desc->flags;
    kept->id = desc->id;
    ring->in_pack.last[ring->in_pack.free_head] = entry;
    return ring->in_pack.next[entry];
}

void vub_inflight_packed_take(VubRing *ring, unsigned nr, uint16_t rest)
{
    VubPackedRing *pack = &ring->in_pack;
    VubInflightPacked *track = pack->track;
    VubInflightPackedDesc *head = &track->desc[pack->free_head];

    /* Until the old head moves, all this is on the free list, thus nothing. */
    head->num = nr;
    head->last = pack->last[pack->free_head];
    head->inflight = 1;
    track->free_head = rest;
    store_fence();
    track->old_free_head = rest;
    pack->free_head = rest;
}

unsigned vub_inflight_packed_chain(const VubRing *ring, uint16_t entry)
{
    const VubPackedRing *pack = &ring->in_pack;
    uint16_t last = pack->last[entry];
    unsigned nr = 1;

    for (; entry != last; nr++) {
        entry = pack->next[entry];
    }
    return nr;
}

uint16_t vub_inflight_packed_get(const VubRing *ring, uint16_t entry,
                                 VubPackedDesc *desc)
{
    const VubInflightPackedDesc *kept = &ring->in_pack.track->desc[entry];

    *desc = (VubPackedDesc) {
        .addr = kept->addr,
        .len = kept->len,
        .id = kept->id,
        .flags = kept->flags,
    };
    return ring->in_pack.next[entry];
}

void vub_inflight_packed_before_publish(VubRing *ring)
{
    VubPackedRing *pack = &ring->in_pack;
    VubInflightPacked *track = pack->track;

    for (unsigned i = 0; i < ring->nr_pushed; i++) {
        uint16_t head = pack->pushed[i], last = pack->last[head];

        track->desc[last].next = pack->next[last] = pack->free_head;
        pack->free_head = head;
    }
    track->free_head = pack->free_head;
    /* The batch's first place is where the index was. */
    store_used(track, ring->used_idx, pack->batch_place, pack->used_wrap,
               pack->batch_flags & 1 << VRING_PACKED_DESC_F_AVAIL);
    store_fence();
}

void vub_inflight_packed_after_publish(VubRing *ring)
{
    VubPackedRing *pack = &ring->in_pack;
    VubInflightPacked *track = pack->track;

    store_fence();
    for (unsigned i = 0; i < ring->nr_pushed; i++) {
        track->desc[pack->pushed[i]].inflight = 0;
    }
    track->old_free_head = pack->free_head;
    store_used(track, ring->used_idx, ring->used_idx, pack->used_wrap,
               pack->used_wrap);
}
