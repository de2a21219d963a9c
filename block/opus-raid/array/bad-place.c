/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Array: what has to happen when part of a member is lost for good
 *
 * Owns: the order of log, superblock and event.
 * Must not know: why it is lost.
 * Threads: any; meta_lock is held across writes of metadata.
 * Invariants: I9.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/qapi-events-opus-raid.h"
#include "qemu/lockable.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/superblocks.h"
#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/member.h"

static bool is_in_use(const OpusMember *m)
{
    return m->state == RAID_MEMBER_IN_SYNC ||
           m->state == RAID_MEMBER_REBUILDING;
}

/* Log first: until the superblock says so, the log is not looked at. */
static int coroutine_fn GRAPH_RDLOCK record_bad(OpusRaid *s, OpusMember *m,
                                                int64_t off, uint64_t bytes)
{
    int ret;

    QEMU_LOCK_GUARD(&s->meta_lock);
    if (s->state == RAID_ARRAY_FAILED || !is_in_use(m)) {
        return 0;
    }
    ret = opus_bad_log_add(m, off, bytes);
    if (m->slot < 0) {
        return 0;               /* it was a replacement */
    }
    if (ret == 0 && !(m->super.feature_map & MD_FEATURE_BAD_BLOCKS) &&
        opus_metadata_write(s, RAID_BIT(m->slot))) {
        ret = -EIO;
    }
    if (ret == 0) {
        qapi_event_send_opus_raid_bad_blocks(bdrv_get_node_name(s->bs),
                                             opus_member_node(m), m->slot,
                                             off, bytes);
    }
    return ret;
}

int coroutine_fn GRAPH_RDLOCK
opus_array_record_bad(OpusRaid *s, OpusMember *m, uint64_t member_off,
                      uint64_t bytes)
{
    int ret = record_bad(s, m, opus_member_data(m, member_off), bytes);

    if (opus_array_has_failed(s)) {
        return -EIO;
    }
    if (ret == 0 || ret == -ENOSPC) {
        return ret;
    }
    return opus_array_write_failed(s, m, "bad-block log write", ret);
}
