/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bus: the disks of a simulation, as QEMU's block layer sees them
 *
 * Owns: requests from submission to completion, their order, faults, the cut.
 * Must not know: arrays; how a cache works (medium.c).
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "block/aio.h"
#include "block/block_int.h"
#include "qapi/error.h"
#include "qemu/coroutine.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qemu/option.h"
#include "bus.h"
#include "choice.h"
#include "report.h"
#include "vclock.h"

/* Rounds of the event loop without a new request until one completes. */
#define QUIET_ROUNDS    2

typedef enum RequestKind {
    REQUEST_READ,
    REQUEST_WRITE,
    REQUEST_FLUSH,
} RequestKind;

typedef struct Request {
    Coroutine *co;
    unsigned disk;
    RequestKind kind;
    uint64_t off;
    size_t bytes;
    QEMUIOVector *qiov;         /* NULL: data are in the write already */
    size_t qiov_offset;
    MediumWrite *write;
    bool fua;
    uint64_t flush_mark;
    int ret;
} Request;

typedef struct Fault {
    uint64_t at;
    unsigned disk;
    BusFaultKind kind;
    bool over;
} Fault;

static struct {
    BusSpec spec;
    uint8_t *images[BUS_MAX_DISKS];
    Medium *media[BUS_MAX_DISKS];       /* NULL while the power is off */
    GPtrArray *waiting;                 /* Request, as submitted */
    QEMUBH *bh;
    unsigned quiet;
    uint64_t events;
    uint64_t cut_at;
    BusCutFn *cut;
    void *cut_opaque;
    BusWatchFn *watch;
    void *watch_opaque;
    uint8_t *scratch;
    GArray *faults;                     /* of Fault */
    uint64_t failed_disks;
    uint64_t gone_disks;
    bool lie;
} bus;

void bus_open(const BusSpec *spec)
{
    assert(spec->nr_disks <= BUS_MAX_DISKS);
    bus.spec = *spec;
    bus.lie = false;
    for (unsigned i = 0; i < spec->nr_disks; i++) {
        bus.images[i] = g_malloc0(spec->disk_bytes);
    }
    bus.scratch = g_malloc(spec->disk_bytes);
    bus.waiting = g_ptr_array_new();
    bus.faults = g_array_new(false, false, sizeof(Fault));
}

void bus_let_lie(bool lie)
{
    bus.lie = lie;
}

static void drop_media(void)
{
    for (unsigned i = 0; i < bus.spec.nr_disks; i++) {
        medium_free(bus.media[i]);
        bus.media[i] = NULL;
    }
}

void bus_close(void)
{
    assert(bus.waiting->len == 0);
    drop_media();
    for (unsigned i = 0; i < bus.spec.nr_disks; i++) {
        g_free(bus.images[i]);
        bus.images[i] = NULL;
    }
    g_free(bus.scratch);
    g_ptr_array_free(bus.waiting, true);
    g_array_free(bus.faults, true);
}

void bus_power_on(uint64_t cut_at, BusCutFn *cut, void *opaque)
{
    assert(bus.waiting->len == 0);
    drop_media();
    for (unsigned i = 0; i < bus.spec.nr_disks; i++) {
        bus.media[i] = medium_new(bus.spec.disk_bytes, bus.spec.atom,
                                  bus.images[i]);
    }
    bus.events = 0;
    bus.cut_at = cut_at;
    bus.cut = cut;
    bus.cut_opaque = opaque;
    bus.watch = NULL;
    bus.failed_disks = 0;
    bus.gone_disks = 0;
    g_array_set_size(bus.faults, 0);
}

bool bus_is_cut(void)
{
    return !bus.media[0];
}

uint64_t bus_events(void)
{
    return bus.events;
}

uint8_t *bus_image(unsigned disk)
{
    assert(bus_is_cut());
    return bus.images[disk];
}

void bus_replace(unsigned disk)
{
    memset(bus.images[disk], 0, bus.spec.disk_bytes);
    if (!bus_is_cut()) {
        medium_free(bus.media[disk]);
        bus.media[disk] = medium_new(bus.spec.disk_bytes, bus.spec.atom,
                                     bus.images[disk]);
    }
    bus.gone_disks &= ~(1ull << disk);
    bus.failed_disks &= ~(1ull << disk);
}

void bus_plan_fault(uint64_t at, unsigned disk, BusFaultKind kind)
{
    Fault fault = { .at = at, .disk = disk, .kind = kind };

    g_array_append_val(bus.faults, fault);
}

uint64_t bus_failed_disks(void)
{
    return bus.failed_disks;
}

/* The bytes of a write are taken at any time while it is in flight. */
static void capture(Request *r)
{
    if (r->kind == REQUEST_WRITE && !medium_captured(r->write)) {
        g_autofree uint8_t *data = g_malloc(r->bytes);

        qemu_iovec_to_buf(r->qiov, r->qiov_offset, data, r->bytes);
        medium_capture(r->write, data);
    }
}

void bus_cut(void)
{
    static const MediumCut moods[] = {
        MEDIUM_CUT_CHOOSE, MEDIUM_CUT_CHOOSE, MEDIUM_CUT_KEEP, MEDIUM_CUT_DROP,
    };
    bool same = choice(2);
    MediumCut how = moods[choice(ARRAY_SIZE(moods))];

    if (bus_is_cut()) {
        return;
    }
    for (guint i = 0; i < bus.waiting->len; i++) {
        capture(bus.waiting->pdata[i]);
    }
    for (unsigned i = 0; i < bus.spec.nr_disks; i++) {
        if (!same) {
            how = moods[choice(ARRAY_SIZE(moods))];
        }
        medium_cut(bus.media[i], how);
    }
    drop_media();
    if (bus.cut) {
        bus.cut(bus.cut_opaque);
    }
}

static void event(const char *what, const Request *r)
{
    static const char *const kinds[] = {
        [REQUEST_READ] = "read", [REQUEST_WRITE] = "write",
        [REQUEST_FLUSH] = "flush",
    };

    bus.events++;
    report_detail("# %4" PRIu64 " disk %u: %s %s%s, %zu at 0x%" PRIx64 "%s\n",
                  bus.events, r->disk, what, kinds[r->kind],
                  r->fua ? " FUA" : "", r->bytes, r->off,
                  r->ret < 0 ? " FAILED" : "");
    if (bus.events == bus.cut_at) {
        bus_cut();
    } else if (bus.watch) {
        bus.watch(bus.watch_opaque);
    }
}

void bus_watch(BusWatchFn *watch, void *opaque)
{
    bus.watch = watch;
    bus.watch_opaque = opaque;
}

uint64_t bus_hash(void)
{
    uint64_t h = bus.gone_disks;

    for (unsigned i = 0; i < bus.spec.nr_disks; i++) {
        h = h * 0x9e3779b97f4a7c15ull + medium_hash(bus.media[i]);
    }
    for (guint i = 0; i < bus.waiting->len; i++) {
        const Request *r = bus.waiting->pdata[i];
        uint64_t one = r->off * 64 + r->disk * 4 + r->kind;

        h += (one ^ r->bytes << 40) * 0xff51afd7ed558ccdull;
    }
    return h;
}

unsigned bus_volatile(unsigned disk)
{
    return medium_volatile(bus.media[disk]);
}

void bus_cut_pages(unsigned disk, uint64_t keep, MediumPageFn *fn,
                   void *opaque)
{
    medium_cut_exactly(bus.media[disk], keep, bus.scratch);
    medium_each_page(bus.media[disk], bus.scratch, fn, opaque);
}

/* Does the request fail? */
static bool meets_fault(const Request *r)
{
    static const RequestKind kinds[BUS_FAULT__MAX] = {
        [BUS_FAULT_WRITE] = REQUEST_WRITE, [BUS_FAULT_READ] = REQUEST_READ,
        [BUS_FAULT_FLUSH] = REQUEST_FLUSH,
    };

    for (guint i = 0; i < bus.faults->len; i++) {
        Fault *f = &g_array_index(bus.faults, Fault, i);

        if (f->over || f->disk != r->disk || bus.events < f->at) {
            continue;
        }
        if (f->kind == BUS_FAULT_GONE) {
            bus.gone_disks |= 1ull << r->disk;
            f->over = true;
        } else if (kinds[f->kind] == r->kind) {
            f->over = true;
            bus.failed_disks |= (uint64_t)(r->kind != REQUEST_READ) << r->disk;
            return true;
        }
    }
    bus.failed_disks |= bus.gone_disks;
    return bus.gone_disks & (1ull << r->disk);
}

static void carry_out(Request *r)
{
    Medium *m = bus.media[r->disk];
    bool fails = meets_fault(r);

    r->ret = fails ? -EIO : 0;
    switch (r->kind) {
    case REQUEST_READ:
        if (!fails) {
            qemu_iovec_from_buf(r->qiov, r->qiov_offset,
                                medium_read(m) + r->off, r->bytes);
        }
        break;
    case REQUEST_WRITE:
        capture(r);
        if (fails) {
            medium_failed(m, r->write);
        } else {
            medium_done(m, r->write);
        }
        break;
    case REQUEST_FLUSH:
        if (fails) {
            medium_flush_failed(m, r->flush_mark);
        } else if (!bus.lie) {
            medium_flush_done(m, r->flush_mark);
        }
        break;
    }
}

/* One request completes. */
static void complete_one(void)
{
    unsigned index = choice(bus.waiting->len);
    Request *r = g_ptr_array_remove_index(bus.waiting, index);

    if (!bus.spec.exact) {
        vclock_advance(choice_once_in(50) ? 1000000 * (1 + choice(300))
                                          : 1000 * (1 + choice(100)));
    }
    if (!bus_is_cut()) {
        carry_out(r);
        event("done", r);
    } else {
        r->ret = -EIO;
    }
    aio_co_wake(r->co);
}

static void bus_bh(void *opaque)
{
    if (bus.quiet++ >= QUIET_ROUNDS) {
        complete_one();
    }
    if (bus.waiting->len) {
        qemu_bh_schedule(bus.bh);
    }
}

static int coroutine_fn submit(Request *r)
{
    r->co = qemu_coroutine_self();
    g_ptr_array_add(bus.waiting, r);
    bus.quiet = 0;
    if (!bus.bh) {
        bus.bh = aio_bh_new(qemu_get_aio_context(), bus_bh, NULL);
    }
    qemu_bh_schedule(bus.bh);
    event("new", r);
    qemu_coroutine_yield();
    return r->ret;
}

/* --- the block driver ----------------------------------------------------- */

typedef struct SimDisk {
    unsigned index;
} SimDisk;

static QemuOptsList sim_opts = {
    .name = "opus-sim",
    .head = QTAILQ_HEAD_INITIALIZER(sim_opts.head),
    .desc = {
        {
            .name = "index",
            .type = QEMU_OPT_NUMBER,
            .help = "which disk it is",
        },
        { /* end of list */ }
    },
};

static const char *const sim_strong_opts[] = { "index", NULL };

static int sim_open(BlockDriverState *bs, QDict *options, int flags,
                    Error **errp)
{
    SimDisk *d = bs->opaque;
    QemuOpts *opts = qemu_opts_create(&sim_opts, NULL, 0, &error_abort);

    qemu_opts_absorb_qdict(opts, options, &error_abort);
    d->index = qemu_opt_get_number(opts, "index", 0);
    qemu_opts_del(opts);
    assert(d->index < bus.spec.nr_disks);
    bs->supported_write_flags = bus.spec.fua ? BDRV_REQ_FUA : 0;
    if (bus.spec.zeroes) {
        bs->supported_zero_flags = BDRV_REQ_MAY_UNMAP | BDRV_REQ_NO_FALLBACK |
                                   bs->supported_write_flags;
    }
    return 0;
}

/* Nothing to do: a disk takes writes from any parent that may write. */
static int sim_reopen_prepare(BDRVReopenState *state, BlockReopenQueue *queue,
                              Error **errp)
{
    return 0;
}

static void sim_refresh_limits(BlockDriverState *bs, Error **errp)
{
    bs->bl.request_alignment = bus.spec.atom;
}

static int coroutine_fn GRAPH_RDLOCK
sim_co_preadv(BlockDriverState *bs, int64_t offset, int64_t bytes,
              QEMUIOVector *qiov, size_t qiov_offset, BdrvRequestFlags flags)
{
    SimDisk *d = bs->opaque;
    Request r = {
        .disk = d->index, .kind = REQUEST_READ, .off = offset, .bytes = bytes,
        .qiov = qiov, .qiov_offset = qiov_offset,
    };

    return bus_is_cut() ? -EIO : submit(&r);
}

static int coroutine_fn submit_write(unsigned disk, Request *r,
                                     const uint8_t *data,
                                     BdrvRequestFlags flags)
{
    r->disk = disk;
    r->kind = REQUEST_WRITE;
    r->fua = flags & BDRV_REQ_FUA;
    r->write = medium_submit(bus.media[disk], r->off, r->bytes, data,
                             r->fua && !bus.lie);
    if (bus.spec.exact || choice(2)) {
        capture(r);
    }
    return submit(r);
}

static int coroutine_fn GRAPH_RDLOCK
sim_co_pwritev(BlockDriverState *bs, int64_t offset, int64_t bytes,
               QEMUIOVector *qiov, size_t qiov_offset, BdrvRequestFlags flags)
{
    SimDisk *d = bs->opaque;
    Request r = {
        .off = offset, .bytes = bytes, .qiov = qiov,
        .qiov_offset = qiov_offset,
    };

    return bus_is_cut() ? -EIO : submit_write(d->index, &r, NULL, flags);
}

static int coroutine_fn GRAPH_RDLOCK
sim_co_pwrite_zeroes(BlockDriverState *bs, int64_t offset, int64_t bytes,
                     BdrvRequestFlags flags)
{
    SimDisk *d = bs->opaque;
    Request r = { .off = offset, .bytes = bytes };
    g_autofree uint8_t *data = NULL;

    if (!bus.spec.zeroes) {
        return -ENOTSUP;
    }
    data = g_malloc0(bytes);
    return bus_is_cut() ? -EIO : submit_write(d->index, &r, data, flags);
}

static int coroutine_fn GRAPH_RDLOCK
sim_co_pdiscard(BlockDriverState *bs, int64_t offset, int64_t bytes)
{
    SimDisk *d = bs->opaque;
    Request r = { .off = offset, .bytes = bytes };
    g_autofree uint8_t *data = NULL;

    if (bus_is_cut()) {
        return -EIO;
    }
    data = g_malloc0(bytes);
    if (bus.spec.discard == BUS_DISCARD_OLD) {
        memcpy(data, medium_read(bus.media[d->index]) + offset, bytes);
    } else if (bus.spec.discard == BUS_DISCARD_RANDOM) {
        for (int64_t i = 0; i < bytes; i++) {
            data[i] = choice(256);
        }
    }
    return submit_write(d->index, &r, data, 0);
}

static int coroutine_fn GRAPH_RDLOCK sim_co_flush(BlockDriverState *bs)
{
    SimDisk *d = bs->opaque;
    Request r = { .disk = d->index, .kind = REQUEST_FLUSH };

    if (bus_is_cut()) {
        return -EIO;
    }
    r.flush_mark = medium_flush_submit(bus.media[d->index]);
    return submit(&r);
}

static int64_t coroutine_fn GRAPH_RDLOCK
sim_co_getlength(BlockDriverState *bs)
{
    return bus.spec.disk_bytes;
}

static BlockDriver bdrv_opus_sim = {
    .format_name            = "opus-sim",
    .protocol_name          = "opus-sim",
    .instance_size          = sizeof(SimDisk),
    .strong_runtime_opts    = sim_strong_opts,

    .bdrv_open              = sim_open,
    .bdrv_reopen_prepare    = sim_reopen_prepare,
    .bdrv_refresh_limits    = sim_refresh_limits,
    .bdrv_co_preadv_part    = sim_co_preadv,
    .bdrv_co_pwritev_part   = sim_co_pwritev,
    .bdrv_co_pwrite_zeroes  = sim_co_pwrite_zeroes,
    .bdrv_co_pdiscard       = sim_co_pdiscard,
    .bdrv_co_flush_to_disk  = sim_co_flush,
    .bdrv_co_getlength      = sim_co_getlength,
};

static void opus_sim_init(void)
{
    bdrv_register(&bdrv_opus_sim);
}

block_init(opus_sim_init);
