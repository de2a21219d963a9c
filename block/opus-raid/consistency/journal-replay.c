/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Journal: what the members' journals say when an array is assembled, and the
 * replay of the newest unit
 *
 * Owns: finding the newest unit, writing what it holds.
 * Must not know: whether the array may be started; util/raid/recover.c does.
 * Threads: main loop; no request is in flight.
 *
 * Whatever is done here may be done again: nothing is read but the unit.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/memalign.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/consistency/journal.h"
#include "block/opus-raid/member/call.h"
#include "block/opus-raid/member/write.h"
#include "block/opus-raid/trace.h"
#include "util/raid/crc32c.h"

OpusJournal *opus_journal_new(uint64_t start_sector, uint64_t sectors)
{
    OpusJournal *j = g_new0(OpusJournal, 1);

    j->common.ops = &opus_journal_ops;
    j->start_sector = start_sector;
    j->sectors = sectors;
    j->half_bytes = raid_journal_half_bytes(sectors);
    qemu_mutex_init(&j->lock);
    qemu_co_queue_init(&j->waiters);
    QSIMPLEQ_INIT(&j->queue);
    return j;
}

void opus_journal_free(OpusConsistency *c)
{
    OpusJournal *j = container_of(c, OpusJournal, common);

    qemu_mutex_destroy(&j->lock);
    qemu_vfree(j->found_image);
    g_free(j);
}

static RaidExtensionError coroutine_fn GRAPH_RDLOCK
read_extension(const OpusMember *m, RaidExtension *ext)
{
    int64_t off = raid_extension_off(&m->super);
    RaidExtensionError err = RAID_EXTENSION_NONE;
    void *buf = qemu_blockalign(m->child->bs, RAID_EXTENSION_BYTES);

    if (off >= 0 &&
        opus_child_pread(m->child, off, RAID_EXTENSION_BYTES, buf) >= 0) {
        err = raid_extension_decode(buf, &m->super, ext);
    }
    if (err == RAID_EXTENSION_OK &&
        !(ext->incompat & RAID_EXTENSION_JOURNAL)) {
        err = RAID_EXTENSION_BAD_JOURNAL;
    }
    qemu_vfree(buf);
    return err;
}

/* All members have it in the same place; one that was damaged gets it back. */
static OpusJournal *coroutine_fn GRAPH_RDLOCK
find_place(OpusMember **members, unsigned nr_slots, Error **errp)
{
    OpusJournal *j = NULL;

    for (unsigned slot = 0; slot < nr_slots; slot++) {
        RaidExtension ext;
        RaidExtensionError err;

        if (!members[slot]) {
            continue;
        }
        err = read_extension(members[slot], &ext);
        if (err == RAID_EXTENSION_UNKNOWN) {
            error_setg(errp, "Member '%s' has an extension block with "
                       "features that are not known here (feature bits 0x%"
                       PRIx32 ")", opus_member_name(members[slot]),
                       ext.incompat & ~RAID_EXTENSION_KNOWN);
            opus_consistency_free(j ? &j->common : NULL);
            return NULL;
        }
        if (err != RAID_EXTENSION_OK) {
            warn_report("The extension block of member '%s' is not used: %s",
                        opus_member_name(members[slot]),
                        raid_extension_error_text(err));
        } else if (!j) {
            j = opus_journal_new(ext.journal_sector, ext.journal_sectors);
        }
    }
    if (!j) {
        error_setg(errp, "No member has a valid extension block, which would "
                   "tell where the stripe journal is");
        return NULL;
    }
    for (unsigned slot = 0; slot < nr_slots; slot++) {
        if (members[slot] &&
            !raid_extension_journal_fits(&members[slot]->super,
                                         j->start_sector, j->sectors)) {
            error_setg(errp, "Member '%s' has no room for the stripe journal "
                       "where the other members have theirs",
                       opus_member_name(members[slot]));
            opus_consistency_free(&j->common);
            return NULL;
        }
    }
    return j;
}

/* Take note of a valid unit; @image is kept or freed. */
static void take_unit(OpusJournal *j, unsigned slot,
                      const RaidJournalUnit *unit, uint8_t *image)
{
    bool newer = !j->found_image || unit->generation > j->found.generation;

    if (!newer && unit->generation == j->found.generation &&
        memcmp(image, j->found_image, RAID_JOURNAL_HEADER_BYTES)) {
        qemu_vfree(image);
        return;                 /* two units of one generation: tampered with */
    }
    j->valid_slots |= RAID_BIT(slot);
    if (newer) {
        qemu_vfree(j->found_image);
        j->found_image = image;
        j->found = *unit;
        j->found_slots = RAID_BIT(slot);
        return;
    }
    if (unit->generation == j->found.generation) {
        j->found_slots |= RAID_BIT(slot);
    }
    qemu_vfree(image);
}

static void coroutine_fn GRAPH_RDLOCK
scan_half(OpusJournal *j, OpusMember *m, unsigned slot,
          const RaidGeometry *geom, unsigned half, bool dirty)
{
    g_autofree RaidJournalUnit *unit = g_new(RaidJournalUnit, 1);
    int64_t off = opus_journal_off(j, half);
    uint8_t *image = qemu_try_blockalign(m->child->bs, j->half_bytes);

    if (!image ||
        opus_child_pread(m->child, off, RAID_JOURNAL_HEADER_BYTES,
                         image) < 0 ||
        raid_journal_decode(image, geom, m->super.set_uuid, half,
                            j->half_bytes, unit) != RAID_JOURNAL_OK) {
        qemu_vfree(image);
        return;
    }
    /* Even one that was torn must never come back as a newer one. */
    j->generation = MAX(j->generation, unit->generation);
    if (!dirty ||
        opus_child_pread(m->child, off + RAID_JOURNAL_HEADER_BYTES,
                         unit->content_bytes,
                         image + RAID_JOURNAL_HEADER_BYTES) < 0 ||
        raid_crc32c(0, image + RAID_JOURNAL_HEADER_BYTES,
                    unit->content_bytes) != unit->content_crc) {
        qemu_vfree(image);
        return;
    }
    take_unit(j, slot, unit, image);
}

OpusJournal *coroutine_fn GRAPH_RDLOCK
opus_journal_scan(OpusMember **members, const RaidGeometry *geom, bool dirty,
                  Error **errp)
{
    OpusJournal *j = find_place(members, geom->nr_slots, errp);

    for (unsigned slot = 0; j && slot < geom->nr_slots; slot++) {
        for (unsigned half = 0; members[slot] && half < 2; half++) {
            scan_half(j, members[slot], slot, geom, half, dirty);
        }
    }
    return j;
}

/* To those that lack it; those that have it keep theirs as it is. */
static int coroutine_fn GRAPH_RDLOCK spread_unit(OpusRaid *s)
{
    OpusJournal *j = opus_journal(s);
    size_t bytes = ROUND_UP(RAID_JOURNAL_HEADER_BYTES +
                            j->found.content_bytes, RAID_SECTOR_BYTES);
    int ret = 0;

    for (unsigned slot = 0; slot < s->geom.nr_slots; slot++) {
        int err;

        if (!opus_slot_usable(s, slot) || (j->found_slots & RAID_BIT(slot))) {
            continue;
        }
        err = opus_member_pwrite(s->slots[slot],
                                 opus_journal_off(j, j->found.generation),
                                 j->found_image, bytes, BDRV_REQ_FUA);
        if (err < 0 &&
            opus_array_fail_member(s, slot, "journal write", err) < 0) {
            ret = -EIO;
        }
    }
    return ret;
}

static int coroutine_fn GRAPH_RDLOCK
replay_write(OpusRaid *s, const RaidJournalWrite *w)
{
    OpusMember *m = s->slots[w->slot];
    int64_t off;
    int ret;

    if (!opus_slot_usable(s, w->slot)) {
        return 0;
    }
    off = opus_member_data(m, w->member_off);
    if (w->zero) {
        ret = opus_member_pwrite_zeroes(m, off, w->bytes, 0);
    } else {
        ret = opus_member_pwrite(m, off, opus_journal(s)->found_image +
                                 RAID_JOURNAL_HEADER_BYTES + w->content_off,
                                 w->bytes, 0);
    }
    trace_opus_raid_journal_replay(s->bs, w->slot, w->member_off, w->bytes,
                                   w->zero, ret);
    return ret < 0 ? opus_array_fail_member(s, w->slot, "write", ret) : 0;
}

int coroutine_fn GRAPH_RDLOCK opus_journal_replay(OpusRaid *s, Error **errp)
{
    OpusJournal *j = opus_journal(s);
    RaidJournalCursor cursor = { 0 };
    RaidJournalWrite write;
    int ret;

    if (!j->replay) {
        return 0;
    }
    ret = spread_unit(s);
    while (ret == 0 && raid_journal_next(&s->geom, &j->found, &cursor,
                                         &write)) {
        ret = replay_write(s, &write);
    }
    if (ret == 0 && !OPUS_SABOTAGED(REPLAY_NOT_FLUSHED)) {
        ret = opus_array_flush(s);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Cannot replay the stripe journal of "
                         "array '%s'", bdrv_get_node_name(s->bs));
    } else {
        j->replay = false;
    }
    qemu_vfree(j->found_image);
    j->found_image = NULL;
    return ret;
}
