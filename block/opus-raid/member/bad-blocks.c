/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bad blocks: the places of a member that hold nothing, by md's log of them
 *
 * Owns: OpusMember.bad and .nr_bad, the log on the member.
 * Must not know: why a place is bad, other members.
 * Threads: any.
 * Invariants: I9.
 *
 * What is in memory is on disk already: a range is known as bad when the log
 * has it, and as good when the log has it no more. A log that was not written
 * as a whole has all that it should, see md-badblocks.h.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qemu/lockable.h"
#include "qemu/memalign.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/call.h"
#include "block/opus-raid/member/io.h"
#include "block/opus-raid/trace.h"
#include "util/raid/md-badblocks.h"

struct OpusBadLog {
    int64_t off;                /* on the member, in bytes */
    size_t bytes;

    QemuMutex lock;             /* for a look at the ranges, or a change */
    MdBadBlocks known;          /* changes under both locks */

    CoMutex write_lock;         /* held across writes of the log */
    MdBadBlocks next;           /* what the log is to become */
    bool disk_is_known;
    uint8_t disk[MD_BAD_BLOCKS_MAX_BYTES];
    uint8_t image[MD_BAD_BLOCKS_MAX_BYTES];
};

static uint64_t first_sector(int64_t off)
{
    return off / RAID_SECTOR_BYTES;
}

/* Requests are aligned to sectors; whatever is not touches the last, too. */
static uint64_t nr_sectors(int64_t off, int64_t bytes)
{
    return DIV_ROUND_UP(off + bytes, RAID_SECTOR_BYTES) - first_sector(off);
}

static struct OpusBadLog *log_new(const MdSuper *super)
{
    struct OpusBadLog *log = g_new0(struct OpusBadLog, 1);

    log->off = ((int64_t)super->super_offset_sectors +
                super->bblog_offset_sectors) * RAID_SECTOR_BYTES;
    log->bytes = super->bblog_size_sectors * RAID_SECTOR_BYTES;
    md_bad_blocks_init(&log->known, super->bblog_shift, log->bytes);
    qemu_mutex_init(&log->lock);
    qemu_co_mutex_init(&log->write_lock);
    return log;
}

/* Room that is larger than md takes is none that md would use. */
static bool has_room(const MdSuper *super)
{
    return super->bblog_offset_sectors && super->bblog_size_sectors &&
           super->bblog_size_sectors * RAID_SECTOR_BYTES <=
           MD_BAD_BLOCKS_MAX_BYTES &&
           super->bblog_shift <= MD_BAD_BLOCKS_MAX_SHIFT;
}

int coroutine_fn GRAPH_RDLOCK opus_bad_log_open(OpusMember *m)
{
    bool in_use = m->super.feature_map & MD_FEATURE_BAD_BLOCKS;
    struct OpusBadLog *log;
    int ret = 0;
    void *buf;

    if (!has_room(&m->super)) {
        return in_use ? -EINVAL : 0;
    }
    log = log_new(&m->super);
    if (in_use) {
        buf = qemu_blockalign(m->child->bs, log->bytes);
        ret = opus_child_pread(m->child, log->off, log->bytes, buf);
        if (ret >= 0) {
            memcpy(log->disk, buf, log->bytes);
            log->disk_is_known = true;
            ret = md_bad_blocks_decode(buf, log->bytes, m->super.bblog_shift,
                                       &log->known) ? 0 : -EINVAL;
        }
        qemu_vfree(buf);
    }
    m->bad = log;
    if (ret < 0) {
        opus_bad_log_close(m);
    } else {
        qatomic_set(&m->nr_bad, log->known.nr);
    }
    return ret;
}

int coroutine_fn opus_bad_log_open_new(BlockBackend *blk,
                                       const MdSuper *super,
                                       struct OpusBadLog **log)
{
    g_autofree OpusMember *m = g_new0(OpusMember, 1);
    int ret;

    m->super = *super;
    WITH_GRAPH_RDLOCK_GUARD() {
        m->child = (BdrvChild *)blk_root(blk);
        ret = opus_bad_log_open(m);
    }
    *log = m->bad;
    return MIN(ret, 0);
}

void opus_bad_log_take(OpusMember *m, struct OpusBadLog *log)
{
    m->bad = log;
    qatomic_set(&m->nr_bad, log ? log->known.nr : 0);
}

void opus_bad_log_new(OpusMember *m)
{
    if (has_room(&m->super)) {
        m->bad = log_new(&m->super);
    }
}

void opus_bad_log_free(struct OpusBadLog *log)
{
    if (log) {
        qemu_mutex_destroy(&log->lock);
        g_free(log);
    }
}

void opus_bad_log_close(OpusMember *m)
{
    opus_bad_log_free(g_steal_pointer(&m->bad));
    qatomic_set(&m->nr_bad, 0);
}

bool opus_bad_log_hits(OpusMember *m, int64_t off, int64_t bytes)
{
    struct OpusBadLog *log = m->bad;

    QEMU_LOCK_GUARD(&log->lock);
    return md_bad_blocks_find(&log->known, first_sector(off),
                              nr_sectors(off, bytes), NULL);
}

uint64_t opus_bad_log_bytes(OpusMember *m)
{
    struct OpusBadLog *log = m->bad;

    if (!log) {
        return 0;
    }
    QEMU_LOCK_GUARD(&log->lock);
    return md_bad_blocks_sectors(&log->known) * RAID_SECTOR_BYTES;
}

/* Make the log say what log->next says. Called with write_lock held. */
static int coroutine_fn GRAPH_RDLOCK write_log(OpusMember *m)
{
    struct OpusBadLog *log = m->bad;
    bool down = log->next.nr > log->known.nr;
    QEMUIOVector qiov;

    md_bad_blocks_encode(&log->next, log->image, log->bytes);
    for (size_t n = 0; n < log->bytes; n += RAID_SECTOR_BYTES) {
        size_t at = down ? log->bytes - RAID_SECTOR_BYTES - n : n;
        int ret;

        if (log->disk_is_known && !memcmp(log->disk + at, log->image + at,
                                          RAID_SECTOR_BYTES)) {
            continue;
        }
        qemu_iovec_init_buf(&qiov, log->image + at, RAID_SECTOR_BYTES);
        ret = opus_member_pwritev_raw(m, log->off + at, RAID_SECTOR_BYTES,
                                      &qiov, 0, BDRV_REQ_FUA);
        if (ret < 0) {
            log->disk_is_known = false;
            return ret;
        }
    }
    memcpy(log->disk, log->image, log->bytes);
    log->disk_is_known = true;
    WITH_QEMU_LOCK_GUARD(&log->lock) {
        log->known = log->next;
    }
    qatomic_set(&m->nr_bad, log->known.nr);
    return 0;
}

int coroutine_fn GRAPH_RDLOCK opus_bad_log_add(OpusMember *m, int64_t off,
                                               int64_t bytes)
{
    struct OpusBadLog *log = m->bad;
    int ret = -ENOSPC;

    if (log) {
        QEMU_LOCK_GUARD(&log->write_lock);
        log->next = log->known;
        if (md_bad_blocks_add(&log->next, first_sector(off),
                              nr_sectors(off, bytes))) {
            ret = write_log(m);
        }
    }
    trace_opus_raid_bad_blocks(m->child->bs->node_name, true, off, bytes, ret);
    return ret;
}

int coroutine_fn GRAPH_RDLOCK opus_bad_log_written(OpusMember *m, int64_t off,
                                                   int64_t bytes)
{
    struct OpusBadLog *log = m->bad;
    int ret;

    /* Metadata lie outside of what the log is about: that is written here. */
    if (off < m->data_off || !opus_bad_log_hits(m, off, bytes) ||
        off >= m->data_off + m->super.data_size_sectors * RAID_SECTOR_BYTES) {
        return 0;
    }
    QEMU_LOCK_GUARD(&log->write_lock);
    log->next = log->known;
    ret = opus_member_flush(m);
    if (ret == 0) {
        ret = md_bad_blocks_clear(&log->next, first_sector(off),
                                  bytes / RAID_SECTOR_BYTES) ? write_log(m)
                                                             : -ENOSPC;
    }
    trace_opus_raid_bad_blocks(m->child->bs->node_name, false, off, bytes,
                               ret);
    return ret;
}
