/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-ring*, split and packed: what the guest queues is taken
 * once, in order and as it was queued; what is given back comes back in that
 * order; another ring goes on from a base; what is written is logged.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ring-driver.h"

#define MAX_OUT VUB_RING_MAX_SIZE
#define LOG_BYTES 4096

typedef struct Kind {
    unsigned num;
    bool packed;
    bool event_idx;
} Kind;

/* A device that holds what it has taken, and remembers what it gave back. */
typedef struct Rig {
    RingDriver drv;
    VubRing ring;
    DriverChain *scratch;
    VubChain taken[MAX_OUT];
    unsigned nr_taken;
    unsigned nr_queued;         /* not taken yet */
    uint64_t next_serial;       /* of the next to be taken */
    uint16_t pushed_id[MAX_OUT];
    uint32_t pushed_bytes[MAX_OUT];
    unsigned nr_pushed;
    GRand *rand;
} Rig;

static Rig *rig_new(const Kind *kind)
{
    Rig *rig = g_new0(Rig, 1);

    driver_init(&rig->drv, kind->num, kind->packed, kind->event_idx);
    driver_start(&rig->drv, &rig->ring);
    rig->scratch = driver_chain_new();
    rig->rand = g_rand_new_with_seed(kind->num);
    return rig;
}

static void rig_free(Rig *rig)
{
    g_assert_cmpstr(rig->ring.broken, ==, NULL);
    vub_ring_destroy(&rig->ring);
    driver_destroy(&rig->drv);
    g_rand_free(rig->rand);
    g_free(rig->scratch);
    g_free(rig);
}

static unsigned roll(Rig *rig, unsigned below)
{
    return g_rand_int_range(rig->rand, 0, below);
}

static void queue_one(Rig *rig)
{
    unsigned nr_out = roll(rig, 4), nr_in = roll(rig, 4);
    bool indirect = roll(rig, 2);

    nr_in += nr_out + nr_in == 0;
    if (driver_has_room(&rig->drv, nr_out + nr_in, indirect)) {
        driver_queue_plain(&rig->drv, nr_out, nr_in, indirect);
        rig->nr_queued++;
    } else if (driver_has_room(&rig->drv, 1, false)) {
        driver_queue_plain(&rig->drv, 0, 1, false);
        rig->nr_queued++;
    }
}

/* The vectors are the slot's buffers, as this process sees them. */
static void check_vectors(Rig *rig, const VubChain *chain)
{
    const DriverSlot *slot = &rig->drv.slots[chain->id];
    const VubRegion *region = &rig->drv.mem->regions[0];

    g_assert_true(slot->busy);
    g_assert_cmpuint(slot->serial, ==, rig->next_serial);
    g_assert_cmpuint(chain->nr_out + chain->nr_in, ==, slot->nr_bufs);
    g_assert_cmpuint(chain->out_bytes, ==, chain->nr_out * DRIVER_BUF_BYTES);
    g_assert_cmpuint(chain->in_bytes, ==, chain->nr_in * DRIVER_BUF_BYTES);
    for (unsigned i = 0; i < slot->nr_bufs; i++) {
        uint64_t off = driver_buf_addr(&rig->drv, chain->id, i) -
                       DRIVER_GUEST_ADDR;

        g_assert_true(chain->iov[i].iov_base == region->host + off);
        g_assert_cmpuint(chain->iov[i].iov_len, ==, DRIVER_BUF_BYTES);
    }
}

static void take_one(Rig *rig)
{
    VubChain *chain = &rig->scratch->chain;

    g_assert_cmpint(vub_ring_empty(&rig->ring), ==, rig->nr_queued == 0);
    if (!vub_ring_pop(&rig->ring, chain)) {
        g_assert_cmpuint(rig->nr_queued, ==, 0);
        return;
    }
    g_assert_cmpuint(rig->nr_queued, >, 0);
    rig->nr_queued--;
    check_vectors(rig, chain);
    rig->next_serial++;
    rig->taken[rig->nr_taken++] = *chain;
}

/* In any order. */
static void push_one(Rig *rig)
{
    unsigned which;
    uint32_t bytes = roll(rig, 3) * 17;

    if (rig->nr_taken == 0) {
        return;
    }
    which = roll(rig, rig->nr_taken);
    vub_ring_push(&rig->ring, &rig->taken[which], bytes);
    rig->pushed_id[rig->nr_pushed] = rig->taken[which].id;
    rig->pushed_bytes[rig->nr_pushed++] = bytes;
    rig->taken[which] = rig->taken[--rig->nr_taken];
}

static void publish_all(Rig *rig)
{
    unsigned id;
    uint32_t bytes;

    g_assert_false(driver_collect(&rig->drv, &id, &bytes));
    vub_ring_publish(&rig->ring);
    for (unsigned i = 0; i < rig->nr_pushed; i++) {
        g_assert_true(driver_collect(&rig->drv, &id, &bytes));
        g_assert_cmpuint(id, ==, rig->pushed_id[i]);
        g_assert_cmpuint(bytes, ==, rig->pushed_bytes[i]);
    }
    g_assert_false(driver_collect(&rig->drv, &id, &bytes));
    rig->nr_pushed = 0;
}

/* Anything that may happen. */
static void step(Rig *rig)
{
    switch (roll(rig, 4)) {
    case 0:
        for (unsigned i = roll(rig, 4); i > 0; i--) {
            queue_one(rig);
        }
        break;
    case 1:
        take_one(rig);
        break;
    case 2:
        for (unsigned i = roll(rig, 4); i > 0; i--) {
            push_one(rig);
        }
        break;
    case 3:
        publish_all(rig);
    }
}

static void settle(Rig *rig)
{
    while (rig->nr_taken) {
        push_one(rig);
    }
    publish_all(rig);
}

static void restart(Rig *rig)
{
    VubRingSetup setup = driver_setup(&rig->drv);

    setup.config.base = vub_ring_base(&rig->ring);
    vub_ring_destroy(&rig->ring);
    g_assert_true(vub_ring_init(&rig->ring, &setup, NULL));
    g_assert_cmphex(vub_ring_base(&rig->ring), ==, setup.config.base);
}

/* Longer than all indexes. */
static void test_order(const void *data)
{
    Rig *rig = rig_new(data);

    while (rig->drv.next_serial < 70000) {
        step(rig);
    }
    while (rig->nr_queued) {
        take_one(rig);
    }
    settle(rig);
    g_assert_cmpuint(rig->drv.nr_out, ==, 0);
    rig_free(rig);
}

/* After each step, another ring takes over. */
static void test_base(const void *data)
{
    Rig *rig = rig_new(data);

    for (unsigned i = 0; i < 20000; i++) {
        step(rig);
        if (rig->nr_taken + rig->nr_pushed == 0 || i % 7 == 0) {
            settle(rig);
            restart(rig);
        }
    }
    rig_free(rig);
}

/* The guest's memory goes elsewhere, and its ring is found there. */
static void test_change(const void *data)
{
    Rig *rig = rig_new(data);

    for (unsigned i = 0; i < 2000; i++) {
        VubRingSetup setup = driver_setup(&rig->drv);
        VubMemory *none = vub_memory_new();
        uint64_t user_addr = DRIVER_USER_ADDR + (i % 5) * 4096;

        settle(rig);
        setup.mem = vub_memory_add(none, DRIVER_GUEST_ADDR, user_addr,
                                   rig->drv.ram_bytes, rig->drv.ram_off,
                                   rig->drv.fd, NULL);
        setup.config.desc_user_addr += (i % 5) * 4096;
        setup.config.avail_user_addr += (i % 5) * 4096;
        setup.config.used_user_addr += (i % 5) * 4096 + (i % 3 == 2);
        g_assert_cmpint(vub_ring_change(&rig->ring, &setup, NULL), ==,
                        i % 3 != 2);
        if (i % 3 != 2) {
            g_assert_true(rig->ring.mem == setup.mem);
            vub_memory_unref(rig->drv.mem);
            rig->drv.mem = vub_memory_ref(setup.mem);
        }
        vub_memory_unref(setup.mem);
        vub_memory_unref(none);
        for (unsigned j = 0; j < 10; j++) {
            step(rig);
        }
    }
    settle(rig);
    rig_free(rig);
}

/* --- the log of what is written --- */

typedef struct LogRig {
    uint8_t *bits;
    uint8_t *before;
} LogRig;

/*
 * Whatever differs from @before is on a page whose bit is set. The bits are
 * cleared then, as the front-end does who copies the pages now.
 */
static void check_log(Rig *rig, LogRig *log)
{
    for (size_t i = 0; i < rig->drv.ram_bytes; i++) {
        uint64_t page = (DRIVER_GUEST_ADDR + i) / VUB_LOG_PAGE_BYTES;

        if (rig->drv.ram[i] != log->before[i]) {
            g_assert_true(log->bits[page / 8] & 1 << page % 8);
        }
    }
    memset(log->bits, 0, LOG_BYTES);
    memcpy(log->before, rig->drv.ram, rig->drv.ram_bytes);
}

static void logged_step(Rig *rig, LogRig *log)
{
    queue_one(rig);
    memcpy(log->before, rig->drv.ram, rig->drv.ram_bytes);
    take_one(rig);
    check_log(rig, log);
    for (unsigned i = roll(rig, 3); i > 0; i--) {
        push_one(rig);
        check_log(rig, log);
    }
    vub_ring_publish(&rig->ring);
    check_log(rig, log);
    vub_ring_set_notify(&rig->ring, roll(rig, 2));
    check_log(rig, log);
    driver_collect_all(&rig->drv);
    rig->nr_pushed = 0;
}

static void test_log(const void *data)
{
    Rig *rig = rig_new(data);
    VubRingSetup setup = driver_setup(&rig->drv);
    int fd = memfd_create("log", MFD_CLOEXEC);
    LogRig log = { .before = g_malloc(rig->drv.ram_bytes) };

    g_assert_cmpint(ftruncate(fd, LOG_BYTES), ==, 0);
    log.bits = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                    0);
    setup.log = vub_log_map(fd, LOG_BYTES, 0, NULL);
    setup.log_used = true;
    setup.log_used_addr = DRIVER_GUEST_ADDR + rig->drv.used_off;
    g_assert_true(vub_ring_change(&rig->ring, &setup, NULL));
    /* All of the memory is looked at each time. */
    for (size_t i = 0; i < 50 + 4000000 / rig->drv.ram_bytes; i++) {
        logged_step(rig, &log);
    }
    /* With the used ring's log off nothing is marked, data aside. */
    setup.log_used = false;
    g_assert_true(vub_ring_change(&rig->ring, &setup, NULL));
    memset(log.bits, 0, LOG_BYTES);
    while (rig->nr_queued) {
        take_one(rig);
    }
    settle(rig);
    for (unsigned i = 0; i < LOG_BYTES; i++) {
        g_assert_cmphex(log.bits[i], ==, 0);
    }
    vub_log_unref(setup.log);
    munmap(log.bits, LOG_BYTES);
    close(fd);
    g_free(log.before);
    rig_free(rig);
}

/* Data: exactly the pages of the first bytes. */
static void test_log_chain(void)
{
    const Kind kind = { .num = 256 };
    Rig *rig = rig_new(&kind);
    VubRingSetup setup = driver_setup(&rig->drv);
    uint64_t first = DRIVER_GUEST_ADDR + 8192 - 16, next = first + 4096 * 2;
    const DriverBuf bufs[] = {
        { first, 32, true }, { next, 32, true },
    };
    int fd = memfd_create("log", MFD_CLOEXEC);
    uint8_t *bits;

    g_assert_cmpint(ftruncate(fd, LOG_BYTES), ==, 0);
    bits = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    setup.log = vub_log_map(fd, LOG_BYTES, 0, NULL);
    g_assert_true(vub_ring_change(&rig->ring, &setup, NULL));
    driver_queue(&rig->drv, bufs, 2, false);
    g_assert_true(vub_ring_pop(&rig->ring, &rig->scratch->chain));
    for (unsigned bytes = 0; bytes <= 64; bytes++) {
        memset(bits, 0, LOG_BYTES);
        vub_ring_log_chain(&rig->ring, &rig->scratch->chain, bytes);
        for (unsigned page = 0; page < LOG_BYTES * 8; page++) {
            unsigned off = page - DRIVER_GUEST_ADDR / 4096;
            bool set = (off == 1 && bytes > 0) || (off == 2 && bytes > 16) ||
                       (off == 3 && bytes > 32) || (off == 4 && bytes > 48);

            g_assert_cmpint(!!(bits[page / 8] & 1 << page % 8), ==, set);
        }
    }
    vub_log_unref(setup.log);
    munmap(bits, LOG_BYTES);
    close(fd);
    rig_free(rig);
}

/* --- what can't be started --- */

static void assert_refused(const VubRingSetup *setup, const char *why)
{
    g_autoptr(GError) err = NULL;
    VubRing ring;

    g_assert_false(vub_ring_init(&ring, setup, &err));
    g_assert_nonnull(strstr(err->message, why));
}

static void test_sizes(void)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        RingDriver drv;

        driver_init(&drv, 16, packed, false);
        for (unsigned num = 0; num <= 2000; num++) {
            VubRingSetup setup = driver_setup(&drv);
            bool legal = num > 0 && num <= 1024 &&
                         (packed || (num & (num - 1)) == 0);
            VubRing ring;

            setup.config.num = num;
            if (!legal) {
                assert_refused(&setup, "descriptors");
            } else if (num <= 16) {
                g_assert_true(vub_ring_init(&ring, &setup, NULL));
                vub_ring_destroy(&ring);
            }
        }
        driver_destroy(&drv);
    }
}

/* Each part, moved to each place around the memory's ends. */
static void test_parts(void)
{
    for (unsigned packed = 0; packed < 2; packed++) {
        const unsigned bytes[2][3] = {
            { 16 * 16, 6 + 2 * 16, 6 + 8 * 16 }, { 16 * 16, 4, 4 },
        };
        const unsigned align[2][3] = { { 16, 2, 4 }, { 16, 4, 4 } };
        RingDriver drv;

        driver_init(&drv, 16, packed, false);
        for (unsigned part = 0; part < 3; part++) {
            int64_t last = drv.ram_bytes - bytes[packed][part];

            for (int64_t off = -20; off < last + 20;
                 off = off == 20 ? last - 20 : off + 1) {
                VubRingSetup setup = driver_setup(&drv);
                uint64_t *addr = part == 0 ? &setup.config.desc_user_addr :
                                 part == 1 ? &setup.config.avail_user_addr :
                                             &setup.config.used_user_addr;
                VubRing ring;

                *addr = DRIVER_USER_ADDR + off;
                if (off < 0 || off > last || off % align[packed][part]) {
                    assert_refused(&setup, "not in memory");
                } else {
                    g_assert_true(vub_ring_init(&ring, &setup, NULL));
                    vub_ring_destroy(&ring);
                }
            }
        }
        driver_destroy(&drv);
    }
}

/* Every base of a packed ring of 3: places, wraps, and what is between. */
static void test_packed_bases(void)
{
    RingDriver drv;

    driver_init(&drv, 3, true, false);
    driver_packed(&drv, 0)->flags = GUINT16_TO_LE(
        1 << VRING_PACKED_DESC_F_USED);
    for (unsigned avail = 0; avail < 8; avail++) {
        for (unsigned used = 0; used < 8; used++) {
            VubRingSetup setup = driver_setup(&drv);
            unsigned a = avail & 3, u = used & 3;
            bool same_lap = !(avail & 4) == !(used & 4);
            bool legal = a < 3 && u < 3 && (same_lap ? a >= u : a <= u);
            VubRing ring;

            setup.config.base = a | (avail & 4) << 13 | u << 16 |
                                (used & 4) << 29;
            if (!legal) {
                assert_refused(&setup, "base");
                continue;
            }
            g_assert_true(vub_ring_init(&ring, &setup, NULL));
            g_assert_cmphex(vub_ring_base(&ring), ==, setup.config.base);
            g_assert_cmpuint(ring.in_pack.nr_free, ==,
                             same_lap ? 3 - (a - u) : u - a);
            vub_ring_destroy(&ring);
        }
    }
    driver_destroy(&drv);
}

/* A plain 0 is a new ring, unless the ring shows that it is in a second lap */
static void test_packed_base_0(void)
{
    const Kind kind = { .num = 4, .packed = true };
    Rig *rig = rig_new(&kind);
    VubRingSetup setup = driver_setup(&rig->drv);

    setup.config.base = 0;
    vub_ring_destroy(&rig->ring);
    g_assert_true(vub_ring_init(&rig->ring, &setup, NULL));
    g_assert_cmphex(vub_ring_base(&rig->ring), ==, 0x80008000);
    for (unsigned i = 0; i < 4; i++) {
        driver_queue_plain(&rig->drv, 1, 0, false);
        rig->nr_queued++;
        take_one(rig);
        settle(rig);
    }
    g_assert_cmphex(vub_ring_base(&rig->ring), ==, 0);
    restart(rig);
    driver_queue_plain(&rig->drv, 1, 0, false);
    rig->nr_queued++;
    take_one(rig);
    settle(rig);
    g_assert_cmphex(vub_ring_base(&rig->ring), ==, 0x00010001);
    rig_free(rig);
}

static void add_kinds(const char *name, void (*test)(const void *))
{
    static const unsigned nums[] = { 1, 2, 7, 8, 128, 1024 };

    for (unsigned i = 0; i < G_N_ELEMENTS(nums) * 4; i++) {
        Kind *kind = g_new(Kind, 1);
        g_autofree char *path = NULL;

        *kind = (Kind) { nums[i / 4], i & 1, i & 2 };
        if (kind->num == 7 && !kind->packed) {
            g_free(kind);
            continue;
        }
        path = g_strdup_printf("/export/vub-ring/%s/%s%s-%u", name,
                               kind->packed ? "packed" : "split",
                               kind->event_idx ? "-event-idx" : "", kind->num);
        g_test_add_data_func_full(path, kind, test, g_free);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_kinds("order", test_order);
    add_kinds("base", test_base);
    add_kinds("change", test_change);
    add_kinds("log", test_log);
    g_test_add_func("/export/vub-ring/log-chain", test_log_chain);
    g_test_add_func("/export/vub-ring/sizes", test_sizes);
    g_test_add_func("/export/vub-ring/parts", test_parts);
    g_test_add_func("/export/vub-ring/packed-bases", test_packed_bases);
    g_test_add_func("/export/vub-ring/packed-base-0", test_packed_base_0);
    return g_test_run();
}
