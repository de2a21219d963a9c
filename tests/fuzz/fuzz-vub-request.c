/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz export/vub-ring, vub-inflight and vub-request: whatever a guest has in
 * its ring, and whatever it changes there meanwhile, each vector lies in its
 * memory, each request in the disk, and each chain is given back once.
 *
 * Input: flags (bits below), the ring's size, then steps of a byte each with
 * what they need. What isn't there is 0.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "export/vub-request.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/ring-driver.h"

#define FLAG_PACKED 1
#define FLAG_EVENT_IDX 2
#define FLAG_TRACKED 4
#define FLAG_RACE 8

#define MAX_WRITES 16
#define MAX_NUM 32

/* Words that the other thread writes, over and over. */
typedef struct Race {
    uint8_t *ram;
    struct {
        uint16_t off;
        uint16_t value;
    } writes[MAX_WRITES];
    unsigned nr_writes;         /* atomic */
    bool stop;                  /* atomic */
    pthread_t thread;
} Race;

typedef struct Fuzz {
    const uint8_t *data;
    size_t bytes;
    unsigned flags;
    RingDriver drv;
    VubInflight *inflight;
    VubRing ring;
    DriverChain *scratch;
    VubChain held[MAX_NUM * 2];
    unsigned nr_held;
    Race race;
} Fuzz;

static uint8_t next8(Fuzz *fuzz)
{
    if (fuzz->bytes == 0) {
        return 0;
    }
    fuzz->bytes--;
    return *fuzz->data++;
}

static uint16_t next16(Fuzz *fuzz)
{
    unsigned low = next8(fuzz);

    return low | next8(fuzz) << 8;
}

static void store16(uint8_t *where, uint16_t value)
{
    __atomic_store_n((uint16_t *)where, value, __ATOMIC_RELAXED);
}

static void *race_run(void *opaque)
{
    Race *race = opaque;

    while (!__atomic_load_n(&race->stop, __ATOMIC_ACQUIRE)) {
        unsigned nr = __atomic_load_n(&race->nr_writes, __ATOMIC_ACQUIRE);

        for (unsigned i = 0; i < nr; i++) {
            uint8_t *where = race->ram + race->writes[i].off;
            uint16_t was = __atomic_load_n((uint16_t *)where,
                                           __ATOMIC_RELAXED);

            store16(where, race->writes[i].value);
            store16(where, was);
        }
    }
    return NULL;
}

/* --- steps --- */

static uint16_t next_offset(Fuzz *fuzz)
{
    return next16(fuzz) % (fuzz->drv.ram_bytes / 2) * 2;
}

static void step_queue(Fuzz *fuzz)
{
    unsigned shape = next8(fuzz), kind = next8(fuzz);
    unsigned nr_out = shape & 3, nr_in = shape >> 2 & 3;
    bool indirect = shape & 16;
    struct virtio_blk_outhdr header = {
        .type = GUINT32_TO_LE(kind % 16),
        .sector = GUINT64_TO_LE(kind >> 4),
    };
    unsigned id;

    if (nr_out + nr_in > 0 &&
        driver_has_room(&fuzz->drv, nr_out + nr_in, indirect)) {
        id = driver_queue_plain(&fuzz->drv, nr_out, nr_in, indirect);
        memcpy(fuzz->drv.ram + (driver_buf_addr(&fuzz->drv, id, 0) -
                                DRIVER_GUEST_ADDR), &header, sizeof(header));
    }
}

static void step_scribble(Fuzz *fuzz, bool race)
{
    unsigned nr = fuzz->race.nr_writes;
    uint16_t off = next_offset(fuzz), value = next16(fuzz);

    if (!race) {
        store16(fuzz->drv.ram + off, value);
    } else if (nr < MAX_WRITES) {
        fuzz->race.writes[nr].off = off;
        fuzz->race.writes[nr].value = value;
        __atomic_store_n(&fuzz->race.nr_writes, nr + 1, __ATOMIC_RELEASE);
    }
}

static void step_scribble_region(Fuzz *fuzz)
{
    uint16_t off = next16(fuzz), value = next16(fuzz);

    if (fuzz->inflight) {
        off %= vub_inflight_bytes(1, fuzz->drv.num, fuzz->drv.packed) / 2;
        store16((uint8_t *)vub_inflight_queue(fuzz->inflight, 0) + off * 2,
                value);
    }
}

static void check_inside(const Fuzz *fuzz, const void *start, size_t bytes)
{
    const VubRegion *region = &fuzz->drv.mem->regions[0];
    size_t off = (const uint8_t *)start - region->host;

    g_assert_cmpuint(off, <, region->size_bytes);
    g_assert_cmpuint(bytes, <=, region->size_bytes - off);
}

static void check_request(const Fuzz *fuzz, const VubRequest *req,
                          const VubDisk *disk)
{
    uint64_t bytes = 0;

    check_inside(fuzz, req->status, 1);
    *req->status = req->answer;
    if (req->op == VUB_OP_DONE || req->op == VUB_OP_FLUSH) {
        return;
    }
    g_assert_cmpuint(req->bytes, >, 0);
    g_assert_cmpuint(req->bytes % disk->block_bytes, ==, 0);
    g_assert_cmpuint(req->off_bytes % disk->block_bytes, ==, 0);
    g_assert_cmpuint(req->off_bytes, <=, disk->capacity_bytes);
    g_assert_cmpuint(req->bytes, <=, disk->capacity_bytes - req->off_bytes);
    if (req->op == VUB_OP_READ || req->op == VUB_OP_WRITE) {
        for (unsigned i = 0; i < req->nr_iov; i++) {
            check_inside(fuzz, req->iov[i].iov_base, req->iov[i].iov_len);
            bytes += req->iov[i].iov_len;
            if (req->op == VUB_OP_READ) {
                memset(req->iov[i].iov_base, 0x5a, req->iov[i].iov_len);
            }
        }
        g_assert_cmpuint(bytes, ==, req->bytes);
    }
}

static void step_pop(Fuzz *fuzz)
{
    const VubDisk disk = {
        .capacity_bytes = 8 * 512,
        .block_bytes = fuzz->flags & 16 ? 1024 : 512,
        .max_bytes = 4 * 512,
        .max_discard_sectors = 4,
        .max_zeroes_sectors = 4,
        .writable = !(fuzz->flags & 32),
    };
    VubChain *chain = &fuzz->scratch->chain;
    uint16_t taken = fuzz->ring.nr_taken;
    VubRequest req;

    if (fuzz->nr_held == G_N_ELEMENTS(fuzz->held) ||
        !vub_ring_pop(&fuzz->ring, chain)) {
        return;
    }
    g_assert_cmpuint(fuzz->ring.nr_taken, ==, taken + 1);
    g_assert_cmpuint(chain->nr_out + chain->nr_in, >, 0);
    g_assert_cmpuint(chain->nr_out + chain->nr_in, <=, VUB_CHAIN_MAX_IOV);
    for (unsigned i = 0; i < chain->nr_out + chain->nr_in; i++) {
        check_inside(fuzz, chain->iov[i].iov_base, chain->iov[i].iov_len);
    }
    fuzz->held[fuzz->nr_held++] = *chain;
    if (vub_request_decode(&req, chain, &disk)) {
        check_request(fuzz, &req, &disk);
    }
}

static void step_push(Fuzz *fuzz)
{
    unsigned which;

    if (fuzz->nr_held) {
        which = next8(fuzz) % fuzz->nr_held;
        vub_ring_push(&fuzz->ring, &fuzz->held[which], which);
        fuzz->held[which] = fuzz->held[--fuzz->nr_held];
    }
}

static void step_publish(Fuzz *fuzz)
{
    vub_ring_publish(&fuzz->ring);
    g_assert_cmpuint(fuzz->ring.nr_pushed, ==, 0);
    g_assert_cmpuint(fuzz->ring.nr_taken, ==, fuzz->nr_held);
}

static bool start(Fuzz *fuzz, uint32_t base)
{
    VubRingSetup setup = driver_setup(&fuzz->drv);

    setup.config.inflight = fuzz->inflight;
    if (base) {
        setup.config.base = base;
    }
    return vub_ring_init(&fuzz->ring, &setup, NULL);
}

/* Well, or as if killed. False: there is no way to go on. */
static bool step_restart(Fuzz *fuzz)
{
    uint32_t base = next16(fuzz);

    base |= (uint32_t)next16(fuzz) << 16;
    if (base & 1) {
        while (fuzz->nr_held) {
            step_push(fuzz);
        }
        step_publish(fuzz);
        base = vub_ring_base(&fuzz->ring);
    }
    fuzz->nr_held = 0;
    vub_ring_destroy(&fuzz->ring);
    return start(fuzz, base) || start(fuzz, 0);
}

static bool step(Fuzz *fuzz)
{
    switch (next8(fuzz) % 12) {
    case 0:
    case 1:
        step_queue(fuzz);
        break;
    case 2:
        step_scribble(fuzz, false);
        break;
    case 3:
        step_scribble(fuzz, true);
        break;
    case 4:
        step_scribble_region(fuzz);
        break;
    case 5:
    case 6:
    case 7:
        step_pop(fuzz);
        break;
    case 8:
        step_push(fuzz);
        break;
    case 9:
        step_publish(fuzz);
        break;
    case 10:
        vub_ring_set_notify(&fuzz->ring, next8(fuzz) & 1);
        vub_ring_empty(&fuzz->ring);
        break;
    case 11:
        return step_restart(fuzz);
    }
    return true;
}

static void run(Fuzz *fuzz)
{
    bool alive = start(fuzz, 0);

    g_assert_true(alive);
    while (alive && fuzz->bytes) {
        alive = step(fuzz);
    }
    if (alive) {
        for (unsigned i = 0; i < MAX_NUM; i++) {
            step_pop(fuzz);
        }
        while (fuzz->nr_held) {
            step_push(fuzz);
        }
        step_publish(fuzz);
        vub_ring_destroy(&fuzz->ring);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static Fuzz fuzz;
    unsigned num;
    int fd = -1;

    memset(&fuzz, 0, sizeof(fuzz));
    fuzz.data = data;
    fuzz.bytes = bytes;
    fuzz.flags = next8(&fuzz);
    num = next8(&fuzz) % MAX_NUM + 1;
    if (!(fuzz.flags & FLAG_PACKED)) {
        num = 1 << num % 6;
    }
    driver_init(&fuzz.drv, num, fuzz.flags & FLAG_PACKED,
                fuzz.flags & FLAG_EVENT_IDX);
    if (fuzz.flags & FLAG_TRACKED) {
        fuzz.inflight = vub_inflight_create(1, num, fuzz.drv.packed, &fd,
                                            NULL);
        close(fd);
    }
    fuzz.scratch = driver_chain_new();
    fuzz.race.ram = fuzz.drv.ram;
    if (fuzz.flags & FLAG_RACE) {
        pthread_create(&fuzz.race.thread, NULL, race_run, &fuzz.race);
    }
    run(&fuzz);
    if (fuzz.flags & FLAG_RACE) {
        __atomic_store_n(&fuzz.race.stop, true, __ATOMIC_RELEASE);
        pthread_join(fuzz.race.thread, NULL);
    }
    vub_inflight_unref(fuzz.inflight);
    driver_destroy(&fuzz.drv);
    g_free(fuzz.scratch);
    return 0;
}
