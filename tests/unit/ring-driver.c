/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ring driver: the guest's side of one virtqueue, split or packed
 *
 * Owns:      where a ring lies in the memory, and virtio's rules for drivers.
 * Knows not: the device's code; it shares only the layout of the rings.
 */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring-driver.h"

#define GUARD_BYTES 4096
#define GUARD 0xa5
#define F_AVAIL (1 << VRING_PACKED_DESC_F_AVAIL)
#define F_USED (1 << VRING_PACKED_DESC_F_USED)
#define WRAP_BIT (1 << VRING_PACKED_EVENT_F_WRAP_CTR)

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* A guard in front, the memory, and a guard up to the end of the page. */
static void lay_out(RingDriver *drv)
{
    unsigned num = drv->num;

    drv->avail_off = 16 * num;
    drv->used_off = round_up(drv->avail_off + 6 + 2 * num, 4);
    drv->table_off = round_up(drv->used_off + 6 + 8 * num, 16);
    drv->data_off = drv->table_off + 16 * DRIVER_MAX_BUFS * num;
    drv->ram_bytes = drv->data_off + DRIVER_SLOT_BYTES * num;
    drv->ram_off = GUARD_BYTES;
    drv->file_bytes = round_up(drv->ram_off + drv->ram_bytes + 64, 4096);
    drv->fd = memfd_create("guest", MFD_CLOEXEC);
    g_assert_cmpint(ftruncate(drv->fd, drv->file_bytes), ==, 0);
    drv->file = mmap(NULL, drv->file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                     drv->fd, 0);
    g_assert_true(drv->file != MAP_FAILED);
    memset(drv->file, GUARD, drv->file_bytes);
    drv->ram = drv->file + drv->ram_off;
    memset(drv->ram, 0, drv->ram_bytes);
}

void driver_init(RingDriver *drv, unsigned num, bool packed, bool event_idx)
{
    VubMemory *none = vub_memory_new();

    memset(drv, 0, sizeof(*drv));
    drv->num = num;
    drv->packed = packed;
    drv->event_idx = event_idx;
    lay_out(drv);
    drv->mem = vub_memory_add(none, DRIVER_GUEST_ADDR, DRIVER_USER_ADDR,
                              drv->ram_bytes, drv->ram_off, drv->fd, NULL);
    g_assert_nonnull(drv->mem);
    vub_memory_unref(none);

    drv->avail_wrap = drv->used_wrap = true;
    drv->nr_free = num;
    for (unsigned i = 0; i < num; i++) {
        drv->free_ids[drv->nr_free_ids++] = num - 1 - i;
    }
    driver_set_interrupts(drv, true);
}

void driver_check_guards(const RingDriver *drv)
{
    for (size_t i = 0; i < drv->file_bytes; i++) {
        if (i == drv->ram_off) {
            i += drv->ram_bytes;
        }
        g_assert_cmphex(drv->file[i], ==, GUARD);
    }
}

void driver_destroy(RingDriver *drv)
{
    driver_check_guards(drv);
    vub_memory_unref(drv->mem);
    munmap(drv->file, drv->file_bytes);
    close(drv->fd);
}

VubRingSetup driver_setup(const RingDriver *drv)
{
    return (VubRingSetup) {
        .config = {
            .num = drv->num,
            .packed = drv->packed,
            .event_idx = drv->event_idx,
            .desc_user_addr = DRIVER_USER_ADDR,
            .avail_user_addr = DRIVER_USER_ADDR + drv->avail_off,
            .used_user_addr = DRIVER_USER_ADDR + drv->used_off,
            .base = drv->packed ? WRAP_BIT | (uint32_t)WRAP_BIT << 16 : 0,
        },
        .mem = drv->mem,
    };
}

uint64_t driver_buf_addr(const RingDriver *drv, unsigned id, unsigned buf)
{
    return DRIVER_GUEST_ADDR + drv->data_off + id * DRIVER_SLOT_BYTES +
           buf * DRIVER_BUF_BYTES;
}

bool driver_has_room(const RingDriver *drv, unsigned nr_bufs, bool indirect)
{
    unsigned needed = indirect ? 1 : nr_bufs;

    if (drv->packed) {
        return drv->nr_free_ids > 0 && drv->nr_free >= needed;
    }
    return drv->nr_free_ids >= needed;
}

/* The table is the same for both kinds, but for where the flags are. */
static void fill_table(RingDriver *drv, unsigned id, const DriverBuf *bufs,
                       unsigned nr)
{
    for (unsigned i = 0; i < nr; i++) {
        uint16_t flags = bufs[i].in ? VRING_DESC_F_WRITE : 0;
        struct vring_desc *desc = driver_table(drv, id) + i;

        desc->addr = GUINT64_TO_LE(bufs[i].guest_addr);
        desc->len = GUINT32_TO_LE(bufs[i].bytes);
        if (drv->packed) {
            desc->flags = GUINT16_TO_LE(0xdead);    /* the id: means nothing */
            desc->next = GUINT16_TO_LE(flags);
        } else {
            flags |= i + 1 < nr ? VRING_DESC_F_NEXT : 0;
            desc->flags = GUINT16_TO_LE(flags);
            desc->next = GUINT16_TO_LE(i + 1);
        }
    }
}

static DriverBuf table_buf(const RingDriver *drv, unsigned id, unsigned nr)
{
    return (DriverBuf) {
        .guest_addr = driver_guest_addr(drv, driver_table(drv, id)),
        .bytes = nr * sizeof(struct vring_desc),
    };
}

static void queue_split(RingDriver *drv, unsigned id, const DriverBuf *bufs,
                        unsigned nr, uint16_t more_flags)
{
    struct vring_avail *avail = driver_avail(drv);
    unsigned at = id;

    for (unsigned i = 0; i < nr; i++) {
        struct vring_desc *desc = driver_desc(drv, at);
        uint16_t flags = more_flags | (bufs[i].in ? VRING_DESC_F_WRITE : 0);

        desc->addr = GUINT64_TO_LE(bufs[i].guest_addr);
        desc->len = GUINT32_TO_LE(bufs[i].bytes);
        if (i + 1 < nr) {
            flags |= VRING_DESC_F_NEXT;
            at = drv->free_ids[--drv->nr_free_ids];
        }
        desc->flags = GUINT16_TO_LE(flags);
        desc->next = GUINT16_TO_LE(at);
    }
    avail->ring[drv->avail_idx % drv->num] = GUINT16_TO_LE(id);
    drv->avail_idx++;
    __atomic_store_n(&avail->idx, GUINT16_TO_LE(drv->avail_idx),
                     __ATOMIC_RELEASE);
}

static void queue_packed(RingDriver *drv, unsigned id, const DriverBuf *bufs,
                         unsigned nr, uint16_t more_flags)
{
    struct vring_packed_desc *head = driver_packed(drv, drv->avail_idx);
    uint16_t head_flags = 0;

    for (unsigned i = 0; i < nr; i++) {
        struct vring_packed_desc *desc = driver_packed(drv, drv->avail_idx);
        uint16_t flags = more_flags | (bufs[i].in ? VRING_DESC_F_WRITE : 0) |
                         (i + 1 < nr ? VRING_DESC_F_NEXT : 0) |
                         (drv->avail_wrap ? F_AVAIL : F_USED);

        desc->addr = GUINT64_TO_LE(bufs[i].guest_addr);
        desc->len = GUINT32_TO_LE(bufs[i].bytes);
        /* Only the last one's id counts. */
        desc->id = GUINT16_TO_LE(i + 1 < nr ? 0xbeef : id);
        if (i == 0) {
            head_flags = flags;
        } else {
            desc->flags = GUINT16_TO_LE(flags);
        }
        if (++drv->avail_idx == drv->num) {
            drv->avail_idx = 0;
            drv->avail_wrap = !drv->avail_wrap;
        }
    }
    drv->nr_free -= nr;
    __atomic_store_n(&head->flags, GUINT16_TO_LE(head_flags),
                     __ATOMIC_RELEASE);
}

static void queue(RingDriver *drv, unsigned id, const DriverBuf *bufs,
                  unsigned nr, bool indirect)
{
    DriverSlot *slot = &drv->slots[id];
    DriverBuf table = table_buf(drv, id, nr);
    uint16_t flags = indirect ? VRING_DESC_F_INDIRECT : 0;

    g_assert_false(slot->busy);
    *slot = (DriverSlot) {
        .busy = true,
        .indirect = indirect,
        .nr_descs = indirect ? 1 : nr,
        .nr_bufs = nr,
        .serial = drv->next_serial++,
    };
    drv->nr_out++;
    if (indirect) {
        fill_table(drv, id, bufs, nr);
        bufs = &table;
    }
    if (drv->packed) {
        queue_packed(drv, id, bufs, slot->nr_descs, flags);
    } else {
        queue_split(drv, id, bufs, slot->nr_descs, flags);
    }
}

unsigned driver_queue(RingDriver *drv, const DriverBuf *bufs, unsigned nr,
                      bool indirect)
{
    unsigned id;

    g_assert_true(driver_has_room(drv, nr, indirect));
    id = drv->free_ids[--drv->nr_free_ids];
    queue(drv, id, bufs, nr, indirect);
    return id;
}

unsigned driver_queue_plain(RingDriver *drv, unsigned nr_out, unsigned nr_in,
                            bool indirect)
{
    DriverBuf bufs[DRIVER_MAX_BUFS];
    unsigned nr = nr_out + nr_in;
    unsigned id;

    g_assert_cmpuint(nr, <=, DRIVER_MAX_BUFS);
    g_assert_true(driver_has_room(drv, nr, indirect));
    id = drv->free_ids[--drv->nr_free_ids];
    for (unsigned i = 0; i < nr; i++) {
        bufs[i] = (DriverBuf) {
            .guest_addr = driver_buf_addr(drv, id, i),
            .bytes = DRIVER_BUF_BYTES,
            .in = i >= nr_out,
        };
    }
    queue(drv, id, bufs, nr, indirect);
    return id;
}

static void release(RingDriver *drv, unsigned id)
{
    DriverSlot *slot = &drv->slots[id];
    unsigned at = id;

    for (unsigned i = 1; !drv->packed && i < slot->nr_descs; i++) {
        at = GUINT16_FROM_LE(driver_desc(drv, at)->next);
        drv->free_ids[drv->nr_free_ids++] = at;
    }
    drv->free_ids[drv->nr_free_ids++] = id;
    drv->nr_free += drv->packed ? slot->nr_descs : 0;
    drv->nr_out--;
    slot->busy = false;
}

static bool collect_split(RingDriver *drv, unsigned *id, uint32_t *bytes)
{
    struct vring_used *used = driver_used(drv);
    uint16_t idx = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);

    if (GUINT16_FROM_LE(idx) == drv->used_idx) {
        return false;
    }
    *id = GUINT32_FROM_LE(used->ring[drv->used_idx % drv->num].id);
    *bytes = GUINT32_FROM_LE(used->ring[drv->used_idx % drv->num].len);
    drv->used_idx++;
    return true;
}

static bool collect_packed(RingDriver *drv, unsigned *id, uint32_t *bytes)
{
    struct vring_packed_desc *desc = driver_packed(drv, drv->used_idx);
    uint16_t raw = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);
    uint16_t flags = GUINT16_FROM_LE(raw);

    if (!!(flags & F_AVAIL) != drv->used_wrap ||
        !!(flags & F_USED) != drv->used_wrap || drv->nr_out == 0) {
        return false;
    }
    *id = GUINT16_FROM_LE(desc->id);
    *bytes = GUINT32_FROM_LE(desc->len);
    g_assert_cmpuint(*id, <, drv->num);
    g_assert_cmpint(!!(flags & VRING_DESC_F_WRITE), ==, *bytes > 0);
    drv->used_idx += drv->slots[*id].nr_descs;
    if (drv->used_idx >= drv->num) {
        drv->used_idx -= drv->num;
        drv->used_wrap = !drv->used_wrap;
    }
    return true;
}

bool driver_collect(RingDriver *drv, unsigned *id, uint32_t *bytes)
{
    if (!(drv->packed ? collect_packed : collect_split)(drv, id, bytes)) {
        return false;
    }
    g_assert_cmpuint(*id, <, drv->num);
    g_assert_true(drv->slots[*id].busy);
    release(drv, *id);
    return true;
}

unsigned driver_collect_all(RingDriver *drv)
{
    unsigned nr = 0, id;
    uint32_t bytes;

    while (driver_collect(drv, &id, &bytes)) {
        nr++;
    }
    return nr;
}

static struct vring_packed_desc_event *event_of(const RingDriver *drv,
                                                size_t off)
{
    return (struct vring_packed_desc_event *)(drv->ram + off);
}

void driver_set_used_event(RingDriver *drv, uint16_t idx, bool wrap)
{
    struct vring_packed_desc_event *event = event_of(drv, drv->avail_off);

    if (drv->packed) {
        event->off_wrap = GUINT16_TO_LE(idx | (wrap ? WRAP_BIT : 0));
        event->flags = GUINT16_TO_LE(VRING_PACKED_EVENT_FLAG_DESC);
    } else {
        driver_avail(drv)->ring[drv->num] = GUINT16_TO_LE(idx);
    }
}

void driver_set_interrupts(RingDriver *drv, bool wanted)
{
    if (drv->packed) {
        event_of(drv, drv->avail_off)->flags = GUINT16_TO_LE(
            wanted ? VRING_PACKED_EVENT_FLAG_ENABLE
                   : VRING_PACKED_EVENT_FLAG_DISABLE);
    } else {
        driver_avail(drv)->flags = GUINT16_TO_LE(
            wanted ? 0 : VRING_AVAIL_F_NO_INTERRUPT);
    }
}

/* The places are looked at one by one: is it one of those just filled? */
static bool was_filled(const RingDriver *drv, uint16_t event, bool event_wrap,
                       uint16_t old_idx, bool old_wrap)
{
    while (old_idx != drv->avail_idx || old_wrap != drv->avail_wrap) {
        if (old_idx == event && old_wrap == event_wrap) {
            return true;
        }
        old_idx++;
        if (drv->packed && old_idx == drv->num) {
            old_idx = 0;
            old_wrap = !old_wrap;
        }
    }
    return false;
}

bool driver_must_kick(const RingDriver *drv, uint16_t old_idx, bool old_wrap)
{
    const struct vring_used *used = driver_used(drv);

    if (drv->packed) {
        const struct vring_packed_desc_event *event =
            event_of(drv, drv->used_off);
        uint16_t at = GUINT16_FROM_LE(event->off_wrap);

        if (GUINT16_FROM_LE(event->flags) != VRING_PACKED_EVENT_FLAG_DESC) {
            return GUINT16_FROM_LE(event->flags) ==
                   VRING_PACKED_EVENT_FLAG_ENABLE;
        }
        return was_filled(drv, at & (WRAP_BIT - 1), at & WRAP_BIT, old_idx,
                          old_wrap);
    }
    if (drv->event_idx) {
        uint16_t event;

        memcpy(&event, &used->ring[drv->num], sizeof(event));
        return was_filled(drv, GUINT16_FROM_LE(event), old_wrap, old_idx,
                          old_wrap);
    }
    return !(GUINT16_FROM_LE(used->flags) & VRING_USED_F_NO_NOTIFY);
}

DriverChain *driver_chain_new(void)
{
    DriverChain *dc = g_new0(DriverChain, 1);

    dc->chain.short_iov = dc->short_iov;
    dc->chain.short_max = G_N_ELEMENTS(dc->short_iov);
    dc->chain.long_iov = dc->long_iov;
    return dc;
}

void driver_start(const RingDriver *drv, VubRing *ring)
{
    VubRingSetup setup = driver_setup(drv);
    g_autoptr(GError) err = NULL;
    bool good = vub_ring_init(ring, &setup, &err);

    g_assert_no_error(err);
    g_assert_true(good);
}
