/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest: random requests to the array, and whether they did what they should
 *
 * Owns: the workers and their buffers.
 * Must not know: disks, crashes, what the array is made of.
 * Threads: main loop; a worker is a coroutine.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "qemu/coroutine.h"
#include "qemu/timer.h"
#include "bus.h"
#include "choice.h"
#include "guest.h"
#include "report.h"
#include "subject.h"

/* A request is never larger than this. */
#define MAX_BYTES   (64 * 1024)

static struct {
    GuestSpec spec;
    Oracle *oracle;
    uint64_t bytes;
    uint64_t hot_off;           /* most requests go here */
    uint64_t hot_bytes;
    int64_t idle_ns;            /* all workers pause once; 0: they don't */
    unsigned busy;
    unsigned requests;
    bool saw_errors;
} guest;

typedef struct Extent {
    uint64_t off;
    uint64_t bytes;
} Extent;

static Extent choose_extent(void)
{
    bool hot = !choice_once_in(4);
    uint64_t base = hot ? guest.hot_off : 0;
    uint64_t units = (hot ? guest.hot_bytes : guest.bytes) / guest.spec.align;
    uint64_t first = choice(units);
    uint64_t most = MIN(units - first, MAX_BYTES / guest.spec.align);

    if (choice(3)) {
        most = MIN(most, 16);
    }
    return (Extent) {
        .off = base + first * guest.spec.align,
        .bytes = (1 + choice(most)) * guest.spec.align,
    };
}

/* An error that nothing explains breaks a promise. */
static void check_error(const char *what, Extent e, int ret)
{
    if (ret >= 0 || bus_is_cut()) {
        return;
    }
    report_note("# %s of %" PRIu64 " bytes at %" PRIu64 " failed: %s\n", what,
                e.bytes, e.off, strerror(-ret));
    guest.saw_errors = true;
    if (!guest.spec.may_fail(guest.spec.opaque)) {
        report_broken("a %s failed though enough members work", what);
    }
}

static void coroutine_fn do_read(uint8_t *buf)
{
    Extent e = choose_extent();
    uint64_t begun = oracle_read_begin(guest.oracle);
    int ret;

    report_detail("# guest: read %" PRIu64 " at %" PRIu64 "\n", e.bytes, e.off);
    ret = blk_co_pread(subject_blk(), e.off, e.bytes, buf, 0);
    int64_t bad;

    check_error("read", e, ret);
    if (bus_is_cut()) {
        return;
    }
    oracle_read_end(guest.oracle);
    if (ret < 0) {
        return;
    }
    bad = oracle_check(guest.oracle, e.off, e.bytes, buf, begun);
    if (bad >= 0) {
        oracle_explain(guest.oracle, bad, buf + (bad - e.off));
        report_broken("a read got what was not there, at %" PRId64, bad);
    }
}

/* Changes the buffer of a write while that is in flight. */
typedef struct Scribble {
    OracleWrite write;
    Extent extent;
    uint8_t *buf;
    bool write_is_done;         /* the second of the two to end frees it */
    bool fired;
} Scribble;

static void coroutine_fn scribble_co(void *opaque)
{
    Scribble *s = opaque;

    qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, 1000 * (1 + choice(300)));
    if (s->write_is_done) {
        g_free(s);
    } else {
        oracle_fill(s->write.number + 1, s->extent.off, s->extent.bytes,
                    s->buf);
        s->fired = true;
    }
    guest.busy--;
}

static Scribble *coroutine_fn scribble_start(OracleWrite w, Extent e,
                                             uint8_t *buf)
{
    Scribble *s = g_new0(Scribble, 1);

    s->write = w;
    s->extent = e;
    s->buf = buf;
    guest.busy++;
    qemu_coroutine_enter(qemu_coroutine_create(scribble_co, s));
    return s;
}

static void scribble_end(Scribble *s)
{
    s->write_is_done = true;
    if (s->fired) {
        g_free(s);
    }
}

static void coroutine_fn do_write(uint8_t *buf)
{
    Extent e = choose_extent();
    bool fua = choice_once_in(8);
    bool scribbles = guest.spec.scribbles && choice_once_in(3);
    OracleWrite w = oracle_write_begin(guest.oracle, e.off, e.bytes,
                                       scribbles ? 2 : 1, false);
    Scribble *s = NULL;
    int ret;

    oracle_fill(w.number, e.off, e.bytes, buf);
    report_detail("# guest: write %" PRIu32 "%s: %" PRIu64 " at %" PRIu64
                  "%s\n", w.number, scribbles ? ", changing" : "", e.bytes,
                  e.off, fua ? ", FUA" : "");
    if (scribbles) {
        s = scribble_start(w, e, buf);
    }
    ret = blk_co_pwrite(subject_blk(), e.off, e.bytes, buf,
                        fua ? BDRV_REQ_FUA : 0);
    if (s) {
        scribble_end(s);
    }
    check_error("write", e, ret);
    report_detail("# guest: write %" PRIu32 " done: %d\n", w.number, ret);
    if (!bus_is_cut()) {
        oracle_write_end(guest.oracle, e.off, e.bytes, w, ret >= 0, fua);
    }
}

static void coroutine_fn drip_co(void *opaque)
{
    Extent e = { .off = guest.hot_off, .bytes = guest.spec.align };
    g_autofree uint8_t *buf = g_malloc(e.bytes);

    for (unsigned i = 0; i < guest.spec.drips && !bus_is_cut() &&
                         !guest.saw_errors; i++) {
        OracleWrite w;
        int ret;

        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, 150 * SCALE_MS);
        w = oracle_write_begin(guest.oracle, e.off, e.bytes, 1, false);
        oracle_fill(w.number, e.off, e.bytes, buf);
        ret = blk_co_pwrite(subject_blk(), e.off, e.bytes, buf, 0);
        check_error("write", e, ret);
        if (!bus_is_cut()) {
            oracle_write_end(guest.oracle, e.off, e.bytes, w, ret >= 0, false);
        }
    }
    guest.busy--;
}

static void coroutine_fn do_zero(void)
{
    Extent e = choose_extent();
    bool discard = choice(2);
    OracleWrite w = oracle_write_begin(guest.oracle, e.off, e.bytes, 1, true);
    int ret;

    if (discard) {
        ret = blk_co_pdiscard(subject_blk(), e.off, e.bytes, 0);
    } else {
        ret = blk_co_pwrite_zeroes(subject_blk(), e.off, e.bytes,
                                   choice(2) ? BDRV_REQ_MAY_UNMAP : 0);
    }
    check_error(discard ? "discard" : "write-zeroes", e, ret);
    if (!bus_is_cut()) {
        oracle_write_end(guest.oracle, e.off, e.bytes, w,
                         ret >= 0 && !discard, false);
    }
}

static void coroutine_fn do_flush(void)
{
    Extent all = { .bytes = guest.bytes };
    uint64_t begun = oracle_flush_begin(guest.oracle);
    int ret = blk_co_flush(subject_blk());

    check_error("flush", all, ret);
    if (ret >= 0 && !bus_is_cut()) {
        oracle_flush_end(guest.oracle, begun);
    }
}

static void coroutine_fn worker_co(void *opaque)
{
    uint8_t *buf = g_malloc(MAX_BYTES);

    for (unsigned i = 0; i < guest.spec.requests && !bus_is_cut(); i++) {
        unsigned kind = choice(20);

        guest.requests++;
        if (i == guest.spec.requests / 2 && guest.idle_ns) {
            qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, guest.idle_ns);
        } else if (choice_once_in(4)) {
            qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, 1000 * (1 + choice(1000)));
        } else if (choice_once_in(40)) {
            qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, 250 * SCALE_MS);
        }
        if (!guest.spec.writes || kind < 4) {
            do_read(buf);
        } else if (kind < 16) {
            do_write(buf);
        } else if (kind < 18) {
            do_flush();
        } else {
            do_zero();
        }
        if (guest.saw_errors) {
            break;
        }
    }
    g_free(buf);
    guest.busy--;
}

void guest_start(const GuestSpec *spec, Oracle *oracle)
{
    /* Long enough to be marked clean, and for bits of a bitmap to go. */
    static const int64_t idle_ms[] = { 0, 0, 700, 20000 };

    guest.spec = *spec;
    guest.oracle = oracle;
    guest.bytes = subject_bytes();
    guest.hot_bytes = MIN(guest.bytes, 64 * 1024);
    guest.hot_off = QEMU_ALIGN_DOWN(choice(guest.bytes - guest.hot_bytes + 1),
                                    spec->align);
    guest.idle_ns = idle_ms[choice(ARRAY_SIZE(idle_ms))] * SCALE_MS;
    guest.requests = 0;
    guest.saw_errors = false;
    guest.busy = spec->workers;
    for (unsigned i = 0; i < spec->workers; i++) {
        qemu_coroutine_enter(qemu_coroutine_create(worker_co, NULL));
    }
    if (spec->writes && spec->drips) {
        guest.busy++;
        qemu_coroutine_enter(qemu_coroutine_create(drip_co, NULL));
    }
}

bool guest_is_busy(void)
{
    return guest.busy;
}

unsigned guest_requests(void)
{
    return guest.requests;
}

bool guest_saw_errors(void)
{
    return guest.saw_errors;
}
