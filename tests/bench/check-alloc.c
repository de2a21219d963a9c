/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check-alloc: a healthy array's reads take nothing from the heap
 *
 * Owns: the test's cases.
 * Must not know: how allocations are counted.
 * Threads: requests are sent from the first thread of the load, which counts
 * its own allocations.
 *
 * Each case reads what lies in one chunk, after a while in which pools fill.
 * The same reads of QEMU's raw node over a member show what would be counted
 * if the block layer itself allocated.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/memalign.h"
#include "qemu/thread.h"
#include "qemu/units.h"
#include "system/block-backend.h"
#include "alloc-count.h"
#include "check-alloc.h"
#include "rig.h"

#define READ_BYTES  4096
#define NR_WARM     2000
#define NR_READS    20000

typedef struct AllocCase {
    OpusRaidLevel level;
    unsigned nr_members;
} AllocCase;

static const AllocCase cases[] = {
    { OPUS_RAID_LEVEL_RAID0, 4 },
    { OPUS_RAID_LEVEL_RAID1, 2 },
    { OPUS_RAID_LEVEL_RAID5, 5 },
    { OPUS_RAID_LEVEL_RAID6, 6 },
    { OPUS_RAID_LEVEL_RAID10, 4 },
};

/* Members that complete at once, and members that make a request wait. */
static const RigSpec backends[] = {
    { .backend = RIG_NULL, .member_bytes = 64 * MiB },
    { .backend = RIG_RAM, .member_bytes = 8 * MiB, .latency_ns = 1 },
};

typedef struct CountedReads {
    const LoadTarget *target;
    unsigned nr;
    uint64_t allocations;
    int ret;
    QemuEvent done;
} CountedReads;

/* Far apart and over the whole node; never across the end of a chunk. */
static uint64_t read_offset(const LoadTarget *target, unsigned i)
{
    uint64_t nr_blocks = target->bytes / READ_BYTES;

    return target->start + i * 7919ull % nr_blocks * READ_BYTES;
}

static int coroutine_fn read_all(const LoadTarget *target, unsigned nr,
                                 void *buf)
{
    for (unsigned i = 0; i < nr; i++) {
        int ret = blk_co_pread(target->blks[0], read_offset(target, i),
                               READ_BYTES, buf, 0);

        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

static void coroutine_fn counted_reads_co(void *opaque)
{
    CountedReads *run = opaque;
    void *buf = qemu_memalign(READ_BYTES, READ_BYTES);
    uint64_t before;

    run->ret = read_all(run->target, NR_WARM, buf);
    before = alloc_count();
    if (run->ret == 0) {
        run->ret = read_all(run->target, run->nr, buf);
    }
    run->allocations = alloc_count() - before;
    qemu_vfree(buf);
    qemu_event_set(&run->done);
}

static bool count_reads(const LoadTarget *target, uint64_t *allocations,
                        Error **errp)
{
    CountedReads run = { .target = target, .nr = NR_READS };

    qemu_event_init(&run.done, false);
    aio_co_enter(load_home(), qemu_coroutine_create(counted_reads_co, &run));
    /* Not in the event loop: nodes would wake that at each request's end. */
    qemu_event_wait(&run.done);
    qemu_event_destroy(&run.done);
    *allocations = run.allocations;
    if (run.ret < 0) {
        error_setg_errno(errp, -run.ret, "A read failed");
    }
    return run.ret == 0;
}

static bool count_both(Rig *rig, uint64_t *array, uint64_t *raw, Error **errp)
{
    LoadTarget target;
    bool ok;

    ok = rig_open_array(rig, false, 0, &target, errp) &&
         count_reads(&target, array, errp);
    rig_close_target(&target);
    if (ok) {
        ok = rig_open_raw(rig, &target, errp) &&
             count_reads(&target, raw, errp);
        rig_close_target(&target);
    }
    return ok;
}

/* Returns whether the case passed. */
static bool run_case(unsigned number, const AllocCase *c,
                     const RigSpec *backend)
{
    const char *level = OpusRaidLevel_str(c->level);
    const char *kind = backend->latency_ns ? "waiting" : "instant";
    RigSpec spec = *backend;
    Rig rig;
    Error *err = NULL;
    uint64_t array = 0;
    uint64_t raw = 0;
    bool ok;

    spec.level = c->level;
    spec.nr_members = c->nr_members;
    spec.chunk_bytes = 64 * KiB;
    ok = rig_open(&rig, &spec, &err) && count_both(&rig, &array, &raw, &err);
    rig_close(&rig);
    if (!ok) {
        printf("# %s\n", error_get_pretty(err));
        error_free(err);
    }
    ok = ok && array == 0;
    printf("%s %u - %s, %s members: %" PRIu64 " allocations in %u reads "
           "(raw node: %" PRIu64 ")\n", ok ? "ok" : "not ok", number, level,
           kind, array, NR_READS, raw);
    return ok;
}

/* Does each way to get memory count? */
static bool check_counter(void)
{
    uint64_t before = alloc_count();
    g_autofree void *a = g_malloc(100);
    g_autofree void *b = g_malloc0(100);
    g_autofree void *c = g_realloc(NULL, 100);
    void *d = qemu_memalign(64, 64);
    void *e = g_slice_alloc(64);
    uint64_t calls = alloc_count() - before;
    bool ok = calls == 5;

    printf("%s 1 - the counter sees malloc, calloc, realloc, posix_memalign "
           "and g_slice_alloc (%" PRIu64 " of 5)\n", ok ? "ok" : "not ok",
           calls);
    g_slice_free1(64, e);
    qemu_vfree(d);
    return ok;
}

int check_alloc_run(char **argv)
{
    unsigned number = 1;
    bool ok;

    if (!alloc_count_works()) {
        printf("1..0 # SKIP a sanitizer has the heap for itself\n");
        return 0;
    }
    /* GLib's slices, where it still has them, hide allocations. */
    if (!getenv("G_SLICE")) {
        setenv("G_SLICE", "always-malloc", true);
        execv("/proc/self/exe", argv);
        perror("cannot start anew");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("1..%zu\n", 1 + ARRAY_SIZE(cases) * ARRAY_SIZE(backends));
    ok = check_counter();
    for (unsigned i = 0; i < ARRAY_SIZE(backends); i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(cases); j++) {
            ok &= run_case(++number, &cases[j], &backends[i]);
        }
    }
    return ok ? 0 : 1;
}
