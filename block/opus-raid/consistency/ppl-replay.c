/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PPL: what the logs say of an array that is assembled, and their replay
 *
 * Owns: reading what replay needs, writing the parity that follows.
 * Must not know: which logs are to be replayed, or why.
 * Threads: main loop; no request is in flight.
 *
 * Whatever is done here may be done again: parity is made of what was logged
 * and of data, neither of which is written.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/memalign.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/consistency/ppl.h"
#include "block/opus-raid/member/call.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/trace.h"
#include "util/raid/parity.h"

bool coroutine_fn GRAPH_RDLOCK
opus_ppl_scan(const OpusMember *m, const RaidGeometry *geom, unsigned slot,
              OpusPplLog *log)
{
    g_autofree MdPplScan *scan = g_new(MdPplScan, 1);
    void *buf = qemu_blockalign(m->child->bs, MD_PPL_HEADER_BYTES);
    uint32_t at;

    md_ppl_scan_start(scan, m->super.ppl_size_sectors,
                      md_ppl_signature(m->super.set_uuid));
    while (md_ppl_scan_next(scan, &at)) {
        int ret = opus_child_pread(m->child, opus_ppl_off(&m->super) + at,
                                MD_PPL_HEADER_BYTES, buf);

        md_ppl_scan_feed(scan, ret < 0 ? NULL : buf);
    }
    qemu_vfree(buf);
    log->found = scan->newest;
    log->found_at = scan->newest_at;
    return scan->found &&
           md_ppl_check(geom, slot, &scan->newest,
                        scan->space_bytes - scan->newest_at -
                        MD_PPL_HEADER_BYTES) == MD_PPL_OK;
}

/* Buffers of a chunk: partial parity, new parity, and each data role. */
typedef struct Replay {
    OpusRaid *s;
    unsigned slot;
    size_t chunk_bytes;
    uint8_t *pp;
    uint8_t *parity;
    uint8_t *data;
    Error **errp;
} Replay;

static int coroutine_fn GRAPH_RDLOCK
replay_read(Replay *r, OpusMember *m, int64_t off, void *buf, size_t bytes)
{
    int ret = opus_member_pread(m, off, buf, bytes);

    if (ret < 0) {
        error_setg_errno(r->errp, -ret, "Cannot read member '%s' at byte %"
                         PRId64 " to replay the partial parity log",
                         opus_member_name(m), off);
    }
    return ret;
}

/* Parity of a band's rows, from partial parity and roles, or roles alone. */
static int coroutine_fn GRAPH_RDLOCK
replay_band(Replay *r, const MdPplBand *band)
{
    OpusRaid *s = r->s;
    OpusMember *target = s->slots[r->slot];
    size_t bytes = band->hi - band->lo;
    int64_t member_off = raid_stripe_member_off(&s->geom, band->stripe) +
                         band->lo;
    void *cols[RAID_MAX_MEMBERS + 1];
    unsigned nr = 0;
    int ret;

    if (band->action == MD_PPL_LEAVE) {
        return 0;
    }
    if (band->action == MD_PPL_FROM_LOG) {
        /* A copy, for columns are aligned, and the log's rows need not be. */
        cols[nr] = r->data;
        memcpy(cols[nr++], r->pp + band->pp_off, bytes);
    }
    RAID_MASK_FOREACH(role, band->read) {
        OpusMember *m = s->slots[raid_stripe_slot(&s->geom, band->stripe,
                                                  role)];

        cols[nr] = r->data + nr * r->chunk_bytes;
        ret = replay_read(r, m, opus_member_data(m, member_off), cols[nr],
                          bytes);
        if (ret < 0) {
            return ret;
        }
        nr++;
    }
    raid_parity_generate(nr, NULL, bytes, cols, r->parity, NULL);
    ret = opus_member_pwrite(target, opus_member_data(target, member_off),
                             r->parity, bytes, 0);
    trace_opus_raid_ppl_replay(s->bs, r->slot, band->stripe, band->lo,
                               band->hi, ret);
    return ret < 0 ? opus_array_fail_member(s, r->slot, "write", ret) : 0;
}

static int coroutine_fn GRAPH_RDLOCK replay_log(Replay *r)
{
    OpusRaid *s = r->s;
    const OpusPplLog *log = &opus_ppl(s)->logs[r->slot];
    OpusMember *m = s->slots[r->slot];
    int64_t off = opus_ppl_off(&m->super) + log->found_at +
                  MD_PPL_HEADER_BYTES;

    for (unsigned i = 0; i < log->found.nr_entries; i++) {
        const MdPplEntry *entry = &log->found.entries[i];
        MdPplBand bands[MD_PPL_MAX_BANDS];
        unsigned nr;
        int ret = 0;

        if (entry->pp_bytes) {
            ret = replay_read(r, m, off, r->pp, entry->pp_bytes);
            off += entry->pp_bytes;
        }
        nr = md_ppl_replay(&s->geom, entry, md_ppl_pp_is_whole(entry, r->pp),
                           opus_missing_slots(s), bands);
        for (unsigned n = 0; n < nr && ret == 0; n++) {
            ret = replay_band(r, &bands[n]);
        }
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

int coroutine_fn GRAPH_RDLOCK opus_ppl_replay(OpusRaid *s, Error **errp)
{
    size_t chunk_bytes = s->geom.chunk_bytes;
    size_t bytes = (s->geom.nr_data + 3) * chunk_bytes;
    uint8_t *buf = qemu_try_memalign(OPUS_BOUNCE_ALIGN, bytes);
    Replay r = {
        .s = s, .chunk_bytes = chunk_bytes, .errp = errp,
        .pp = buf, .parity = buf + chunk_bytes, .data = buf + 2 * chunk_bytes,
    };
    bool any = false;
    int ret = 0;

    if (!buf) {
        error_setg(errp, "Out of memory");
        return -ENOMEM;
    }
    for (r.slot = 0; r.slot < s->geom.nr_slots && ret == 0; r.slot++) {
        OpusPplLog *log = &opus_ppl(s)->logs[r.slot];

        if (log->replay) {
            ret = opus_slot_usable(s, r.slot) ? replay_log(&r) : 0;
            any = true;
        }
    }
    qemu_vfree(buf);
    if (ret == 0 && any && !OPUS_SABOTAGED(REPLAY_NOT_FLUSHED)) {
        ret = opus_array_flush(s);
    }
    for (unsigned slot = 0; slot < s->geom.nr_slots && ret == 0; slot++) {
        /* Entries stay in the log, and are over once it is written over. */
        opus_ppl(s)->logs[slot].replay = false;
    }
    if (ret < 0 && errp && !*errp) {
        error_setg_errno(errp, -ret, "Cannot replay the partial parity log of "
                         "array '%s'", bdrv_get_node_name(s->bs));
    }
    return ret;
}
