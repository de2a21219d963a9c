/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Packed ring: one ring of descriptors that both sides write
 *
 * Owns: virtio 1.x "Packed Virtqueues" from the device's side. The in-flight
 * region of one is in vub-inflight-packed.c.
 * Must not know: as vub-ring.c.
 * Threads: one at a time for each ring.
 * Invariants: I14, I15. Places between used_idx and last_avail are ours.
 */

#include "vub-ring.h"


#include "vub-inflight-packed.h"
#include "vub-le.h"
#include "vub-error.h"

#define F_AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED (1 << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT (1 << VRING_PACKED_EVENT_F_WRAP_CTR)

/* What the flags of a place say when the guest filled it in this lap. */
static bool is_available(uint16_t flags, bool wrap)
{
    return !!(flags & F_AVAIL) == wrap && !!(flags & F_USED) != wrap;
}

static void advance(const VubRing *ring, uint16_t *place, bool *wrap,
                    unsigned by)
{
    unsigned next = *place + by;

    if (next >= ring->num) {
        next -= ring->num;
        *wrap = !*wrap;
    }
    *place = next;
}

/*
 * There is no used ring whose address the front-end could give for the log:
 * what is written is the ring itself and the event suppression beside it.
 */
static void log_written(VubRing *ring, const void *host, unsigned bytes)
{
    if (ring->log && ring->log_used) {
        vub_ring_log(ring, host, bytes);
    }
}

bool vub_packed_map(VubRing *ring, const VubRingConfig *config, GError **errp)
{
    VubPackedRing *pack = &ring->in_pack;

    pack->desc = vub_memory_at_user(ring->mem, config->desc_user_addr,
                                    sizeof(*pack->desc) * ring->num);
    pack->driver = vub_memory_at_user(ring->mem, config->avail_user_addr,
                                      sizeof(*pack->driver));
    pack->device = vub_memory_at_user(ring->mem, config->used_user_addr,
                                      sizeof(*pack->device));
    if (!pack->desc || !pack->driver || !pack->device ||
        (uintptr_t)pack->desc % VRING_DESC_ALIGN_SIZE ||
        (uintptr_t)pack->driver % sizeof(uint32_t) ||
        (uintptr_t)pack->device % sizeof(uint32_t)) {
        vub_error_set(errp,
                      "a packed ring of %u descriptors at 0x%" PRIx64 ", 0x%"
                      PRIx64 " and 0x%" PRIx64 " is not in memory, or not "
                      "aligned", ring->num, config->desc_user_addr,
                      config->avail_user_addr, config->used_user_addr);
        return false;
    }
    return true;
}

/*
 * A new ring's wrap counters are 1, but Linux's virtio_uml asks for a base of
 * plain 0, which is the second lap or a later even one. Those can be told by
 * the places: each chain of the lap before has left its first one marked as
 * used, and what the guest fills in an even lap is marked so too. Any place
 * may be the only such: the others were in the middle of chains.
 */
static uint32_t sane_base(VubRing *ring, uint32_t base)
{
    if (base != 0) {
        return base;
    }
    for (unsigned i = 0; i < ring->num; i++) {
        if (vub_le16_load(&ring->in_pack.desc[i].flags) & F_USED) {
            return base;
        }
    }
    return WRAP_BIT | (uint32_t)WRAP_BIT << 16;
}

/*
 * What a predecessor pushed but didn't live to publish looks used, all but the
 * batch's first place. The guest would believe that as soon as it gets there:
 * make it what it was.
 */
static void take_back_unpublished(VubRing *ring)
{
    VubPackedRing *pack = &ring->in_pack;
    uint16_t place = ring->used_idx;
    bool wrap = pack->used_wrap;

    for (unsigned left = ring->num - pack->nr_free; left > 0; left--) {
        struct vring_packed_desc *desc = &pack->desc[place];
        uint16_t flags = vub_le16_load(&desc->flags);

        if (!!(flags & F_AVAIL) == wrap && !!(flags & F_USED) == wrap) {
            vub_le16_store(&desc->flags, wrap ? F_AVAIL : F_USED);
            log_written(ring, desc, sizeof(*desc));
        }
        advance(ring, &place, &wrap, 1);
    }
}

bool vub_packed_start(VubRing *ring, const VubRingConfig *config,
                      GError **errp)
{
    VubPackedRing *pack = &ring->in_pack;
    uint32_t base = sane_base(ring, config->base);
    unsigned ours;

    ring->last_avail = base & (WRAP_BIT - 1);
    pack->avail_wrap = base & WRAP_BIT;
    ring->used_idx = base >> 16 & (WRAP_BIT - 1);
    pack->used_wrap = base >> 16 & WRAP_BIT;
    if (ring->last_avail >= ring->num || ring->used_idx >= ring->num) {
        vub_error_set(errp, "a base of 0x%08" PRIx32 " for a packed ring of %u "
                      "descriptors", config->base, ring->num);
        return false;
    }
    ours = ring->last_avail + (pack->avail_wrap != pack->used_wrap) * ring->num;
    if (ours < ring->used_idx || ours - ring->used_idx > ring->num) {
        vub_error_set(errp,
                      "a base of 0x%08" PRIx32 " goes backwards", config->base);
        return false;
    }
    pack->nr_free = ring->num - (ours - ring->used_idx);
    if (config->inflight) {
        pack->track = vub_inflight_queue(config->inflight, config->index);
        if (!vub_inflight_packed_recover(ring, errp)) {
            return false;
        }
        ring->last_avail = ring->used_idx;
        pack->avail_wrap = pack->used_wrap;
        advance(ring, &ring->last_avail, &pack->avail_wrap,
                ring->num - pack->nr_free);
        take_back_unpublished(ring);
    }
    return true;
}

uint32_t vub_packed_base(const VubRing *ring)
{
    const VubPackedRing *pack = &ring->in_pack;

    return ring->last_avail | (pack->avail_wrap ? WRAP_BIT : 0) |
           (uint32_t)(ring->used_idx | (pack->used_wrap ? WRAP_BIT : 0)) << 16;
}

bool vub_packed_empty(VubRing *ring)
{
    const VubPackedRing *pack = &ring->in_pack;

    return !is_available(vub_le16_load(&pack->desc[ring->last_avail].flags),
                         pack->avail_wrap);
}

static bool add_desc(VubRing *ring, VubChain *chain,
                     const VubPackedDesc *desc, bool alone)
{
    const char *why;

    if (desc->flags & VRING_DESC_F_INDIRECT) {
        if (!alone) {
            vub_ring_break(ring, "an indirect descriptor inside of a chain");
            return false;
        }
        return vub_ring_read_indirect(ring, chain, desc->addr, desc->len);
    }
    why = vub_chain_append(chain, ring->mem, desc->addr, desc->len,
                           desc->flags & VRING_DESC_F_WRITE, &ring->hint);
    if (why) {
        vub_ring_break(ring, why);
        return false;
    }
    return true;
}

static bool resubmit(VubRing *ring, VubChain *chain)
{
    uint16_t entry = ring->resubmit[ring->next_resubmit++];
    unsigned nr = vub_inflight_packed_chain(ring, entry);

    chain->track = entry;
    chain->nr_descs = nr;
    for (unsigned i = 0; i < nr; i++) {
        VubPackedDesc desc;

        entry = vub_inflight_packed_get(ring, entry, &desc);
        chain->id = desc.id;
        if (!add_desc(ring, chain, &desc, nr == 1)) {
            return false;
        }
    }
    return true;
}

bool vub_packed_pop(VubRing *ring, VubChain *chain)
{
    VubPackedRing *pack = &ring->in_pack;
    uint16_t place = ring->last_avail;
    bool wrap = pack->avail_wrap;
    uint16_t entry = pack->free_head;
    unsigned nr = 0;
    uint16_t flags;

    if (G_UNLIKELY(ring->next_resubmit < ring->nr_resubmit)) {
        return resubmit(ring, chain);
    }
    flags = vub_le16_load_acquire(&pack->desc[place].flags);
    if (!is_available(flags, wrap)) {
        return false;
    }
    for (;;) {
        const struct vring_packed_desc *shared = &pack->desc[place];
        VubPackedDesc desc = {
            .addr = vub_le64_load(&shared->addr),
            .len = vub_le32_load(&shared->len),
            .id = vub_le16_load(&shared->id),
            .flags = flags,
        };
        bool more = flags & VRING_DESC_F_NEXT;

        if (nr == pack->nr_free) {
            vub_ring_break(ring, "a chain longer than what is free");
            return false;
        }
        if (!add_desc(ring, chain, &desc, nr == 0 && !more)) {
            return false;
        }
        if (pack->track) {
            entry = vub_inflight_packed_put(ring, entry, &desc, nr == 0);
        }
        nr++;
        advance(ring, &place, &wrap, 1);
        if (!more) {
            chain->id = desc.id;
            break;
        }
        flags = vub_le16_load(&pack->desc[place].flags);
    }
    chain->nr_descs = nr;
    if (pack->track) {
        chain->track = pack->free_head;
        vub_inflight_packed_take(ring, nr, entry);
    }
    pack->nr_free -= nr;
    ring->last_avail = place;
    pack->avail_wrap = wrap;
    return true;
}

void vub_packed_push(VubRing *ring, const VubChain *chain, uint32_t bytes)
{
    VubPackedRing *pack = &ring->in_pack;
    struct vring_packed_desc *desc = &pack->desc[ring->used_idx];
    uint16_t flags = (pack->used_wrap ? F_AVAIL | F_USED : 0) |
                     (bytes ? VRING_DESC_F_WRITE : 0);

    vub_le16_store(&desc->id, chain->id);
    vub_le32_store(&desc->len, bytes);
    if (ring->nr_pushed == 0) {
        pack->batch_place = ring->used_idx;
        pack->batch_flags = flags;
        pack->batch_descs = 0;
    } else {
        /* Out of the guest's sight: it stops at the batch's first place. */
        vub_le16_store(&desc->flags, flags);
    }
    log_written(ring, desc, sizeof(*desc));
    if (pack->track) {
        pack->pushed[ring->nr_pushed] = chain->track;
    }
    pack->batch_descs += chain->nr_descs;
    advance(ring, &ring->used_idx, &pack->used_wrap, chain->nr_descs);
}

static bool wants_interrupt(VubRing *ring)
{
    VubPackedRing *pack = &ring->in_pack;
    uint16_t flags = vub_le16_load(&pack->driver->flags) & 3;
    uint16_t old = ring->signalled_used;
    bool was_valid = ring->signalled_valid;
    bool wrapped = pack->signalled_wrap != pack->used_wrap;
    uint16_t off_wrap, event;

    ring->signalled_used = ring->used_idx;
    ring->signalled_valid = true;
    pack->signalled_wrap = pack->used_wrap;
    if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->event_idx) {
        return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
    }
    off_wrap = vub_le16_load(&pack->driver->off_wrap);
    event = off_wrap & (WRAP_BIT - 1);
    if (!!(off_wrap & WRAP_BIT) != pack->used_wrap) {
        event -= ring->num;
    }
    if (wrapped) {
        old -= ring->num;
    }
    return !was_valid || vring_need_event(event, ring->used_idx, old);
}

bool vub_packed_publish(VubRing *ring)
{
    VubPackedRing *pack = &ring->in_pack;

    if (pack->track) {
        vub_inflight_packed_before_publish(ring);
    }
    vub_le16_store_release(&pack->desc[pack->batch_place].flags,
                           pack->batch_flags);
    /* Again: it may have been copied since it was pushed. */
    log_written(ring, &pack->desc[pack->batch_place], sizeof(*pack->desc));
    if (G_UNLIKELY(vub_ring_lost(ring))) {
        /* The guest has not seen the flags: all of it stays in flight. */
        return false;
    }
    if (pack->track) {
        vub_inflight_packed_after_publish(ring);
    }
    pack->nr_free += pack->batch_descs;
    ring->nr_pushed = 0;
    vub_full_barrier();
    return wants_interrupt(ring);
}

void vub_packed_set_notify(VubRing *ring, bool notify)
{
    VubPackedRing *pack = &ring->in_pack;
    uint16_t flags = VRING_PACKED_EVENT_FLAG_DISABLE;

    if (notify && ring->event_idx) {
        vub_le16_store(&pack->device->off_wrap, ring->last_avail |
                       (pack->avail_wrap ? WRAP_BIT : 0));
        flags = VRING_PACKED_EVENT_FLAG_DESC;
    } else if (notify) {
        flags = VRING_PACKED_EVENT_FLAG_ENABLE;
    }
    vub_le16_store_release(&pack->device->flags, flags);
    log_written(ring, pack->device, sizeof(*pack->device));
}
