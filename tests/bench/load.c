/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Load: keep nodes busy for a time, and count
 *
 * Owns: the threads, the coroutines that send requests, the clock.
 * Must not know: what the nodes are.
 * Threads: the main thread starts and stops a load and sleeps in between. Each
 * counter is written by one thread only.
 *
 * What a request costs here is the same for all nodes: a random number, a
 * counter, and one call of the BlockBackend.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "qemu/coroutine.h"
#include "qemu/host-utils.h"
#include "qemu/memalign.h"
#include "system/block-backend.h"
#include "tests/unit/iothread.h"
#include "load.h"

typedef struct Load Load;

typedef struct LoadThread {
    Load *load;
    AioContext *ctx;
    uint64_t requests;          /* atomic, written by this thread */
} QEMU_ALIGNED(64) LoadThread;

/* One coroutine. */
typedef struct LoadSlot {
    Load *load;
    LoadThread *thread;
    unsigned node;
    uint64_t random;
    uint8_t *buffers;
    unsigned next_buffer;
} LoadSlot;

struct Load {
    const LoadSpec *spec;
    const LoadTarget *target;
    uint64_t nr_blocks;         /* requests that fit the used part of a node */
    LoadThread *threads;
    LoadSlot *slots;
    uint64_t cursors[LOAD_MAX_NODES];   /* atomic: next block of each node */
    bool stop;                  /* atomic */
    int ret;                    /* atomic: first error */
    unsigned running;           /* atomic: coroutines and starts to wait for */
};

/* A moment of a load. */
typedef struct LoadMoment {
    uint64_t requests;
    double seconds;
    double cpu_seconds;
} LoadMoment;

static IOThread *iothreads[LOAD_MAX_THREADS];
static unsigned nr_iothreads;

void load_start_threads(unsigned nr)
{
    assert(nr >= 1 && nr <= LOAD_MAX_THREADS && !nr_iothreads);
    while (nr_iothreads < nr) {
        iothreads[nr_iothreads++] = iothread_new();
    }
}

void load_stop_threads(void)
{
    while (nr_iothreads) {
        iothread_join(iothreads[--nr_iothreads]);
    }
}

unsigned load_nr_threads(void)
{
    return nr_iothreads;
}

AioContext *load_home(void)
{
    return iothread_get_aio_context(iothreads[0]);
}

/* xorshift64*, by Marsaglia and Vigna. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

static inline uint64_t random_block(LoadSlot *slot)
{
    uint64_t low, high;

    mulu64(&low, &high, next_random(&slot->random), slot->load->nr_blocks);
    return high;
}

static inline uint64_t sequential_block(LoadSlot *slot)
{
    return qatomic_fetch_inc(&slot->load->cursors[slot->node]) %
           slot->load->nr_blocks;
}

static inline BlockBackend *next_node(LoadSlot *slot)
{
    const LoadTarget *target = slot->load->target;

    if (!target->one_each && ++slot->node >= target->nr_blks) {
        slot->node = 0;
    }
    return target->blks[slot->node];
}

static inline void *next_buffer(LoadSlot *slot)
{
    const LoadSpec *spec = slot->load->spec;

    if (++slot->next_buffer >= spec->buffers) {
        slot->next_buffer = 0;
    }
    return slot->buffers + (size_t)slot->next_buffer * spec->bytes;
}

static inline int coroutine_fn slot_request(LoadSlot *slot)
{
    const LoadTarget *target = slot->load->target;
    uint32_t bytes = slot->load->spec->bytes;
    void *buf = next_buffer(slot);
    BlockBackend *blk;

    if (target->stand_in) {
        target->stand_in(target->opaque, buf);
        return 0;
    }
    blk = next_node(slot);
    switch (slot->load->spec->pattern) {
    case LOAD_RANDOM_READ:
        return blk_co_pread(blk, target->start + random_block(slot) * bytes,
                            bytes, buf, 0);
    case LOAD_RANDOM_WRITE:
        return blk_co_pwrite(blk, target->start + random_block(slot) * bytes,
                             bytes, buf, 0);
    case LOAD_SEQUENTIAL_WRITE:
        return blk_co_pwrite(blk,
                             target->start + sequential_block(slot) * bytes,
                             bytes, buf, 0);
    }
    g_assert_not_reached();
}

/* The last one of these lets load_run() free all. */
static void load_leave(Load *load)
{
    qatomic_dec(&load->running);
    aio_wait_kick();
}

static void coroutine_fn slot_run(void *opaque)
{
    LoadSlot *slot = opaque;
    Load *load = slot->load;
    LoadThread *thread = slot->thread;

    while (!qatomic_read(&load->stop)) {
        int ret = slot_request(slot);

        if (unlikely(ret < 0)) {
            qatomic_cmpxchg(&load->ret, 0, ret);
            break;
        }
        qatomic_set(&thread->requests, thread->requests + 1);
    }
    load_leave(load);
}

static void thread_start_bh(void *opaque)
{
    LoadThread *thread = opaque;
    Load *load = thread->load;

    for (unsigned i = 0; i < load->spec->depth; i++) {
        if (load->slots[i].thread == thread) {
            qemu_coroutine_enter(qemu_coroutine_create(slot_run,
                                                       &load->slots[i]));
        }
    }
    load_leave(load);
}

static void slot_init(LoadSlot *slot, Load *load, unsigned index)
{
    const LoadSpec *spec = load->spec;
    const LoadTarget *target = load->target;
    size_t buffer_bytes = (size_t)spec->bytes * MAX(spec->buffers, 1);

    slot->load = load;
    slot->thread = &load->threads[index % spec->threads];
    if (target->nr_blks) {
        /* Each thread uses all nodes, and starts with another one. */
        slot->node = (index / spec->threads + index % spec->threads) %
                     target->nr_blks;
    }
    slot->random = 0x9e3779b97f4a7c15ull * (index + 1);
    slot->buffers = qemu_memalign(4096, buffer_bytes);
    memset(slot->buffers, 0x40 + index % 64, buffer_bytes);
}

static void load_init(Load *load, const LoadSpec *spec,
                      const LoadTarget *target)
{
    assert(spec->threads >= 1 && spec->threads <= nr_iothreads &&
           spec->depth >= spec->threads);
    *load = (Load) {
        .spec = spec,
        .target = target,
        .nr_blocks = target->bytes / spec->bytes,
        .running = spec->depth + spec->threads,
    };
    load->threads = qemu_memalign(__alignof__(LoadThread),
                                  spec->threads * sizeof(LoadThread));
    for (unsigned i = 0; i < spec->threads; i++) {
        load->threads[i] = (LoadThread) {
            .load = load,
            .ctx = iothread_get_aio_context(iothreads[i]),
        };
    }
    load->slots = g_new0(LoadSlot, spec->depth);
    for (unsigned i = 0; i < spec->depth; i++) {
        slot_init(&load->slots[i], load, i);
    }
}

static void load_free(Load *load)
{
    for (unsigned i = 0; i < load->spec->depth; i++) {
        qemu_vfree(load->slots[i].buffers);
    }
    g_free(load->slots);
    qemu_vfree(load->threads);
}

static double clock_seconds(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

static LoadMoment load_look(const Load *load)
{
    LoadMoment now = { .requests = 0 };

    for (unsigned i = 0; i < load->spec->threads; i++) {
        now.requests += qatomic_read(&load->threads[i].requests);
    }
    now.seconds = clock_seconds(CLOCK_MONOTONIC);
    now.cpu_seconds = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    return now;
}

int load_run(const LoadSpec *spec, const LoadTarget *target,
             LoadResult *result)
{
    Load load;
    LoadMoment begin, end;

    load_init(&load, spec, target);
    for (unsigned i = 0; i < spec->threads; i++) {
        aio_bh_schedule_oneshot(load.threads[i].ctx, thread_start_bh,
                                &load.threads[i]);
    }
    g_usleep(spec->settle_seconds * G_USEC_PER_SEC);
    begin = load_look(&load);
    g_usleep(spec->seconds * G_USEC_PER_SEC);
    end = load_look(&load);
    qatomic_set(&load.stop, true);
    AIO_WAIT_WHILE_UNLOCKED(NULL, qatomic_read(&load.running));

    *result = (LoadResult) {
        .requests = end.requests - begin.requests,
        .seconds = end.seconds - begin.seconds,
        .cpu_seconds = end.cpu_seconds - begin.cpu_seconds,
    };
    load_free(&load);
    return load.ret;
}
