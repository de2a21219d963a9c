/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP: the commands of opus-raid
 *
 * Owns: finding the arrays that a command is about.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "block/block-io.h"
#include "system/block-backend.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-opus-raid.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/base/node.h"
#include "block/opus-raid/control/info.h"
#include "block/opus-raid/control/permissions.h"
#include "block/opus-raid/jobs/job-check.h"
#include "block/opus-raid/jobs/job-rebuild.h"
#include "block/opus-raid/jobs/job.h"
#include "block/opus-raid/members/membership.h"
#include "block/opus-raid/setup/change-policy.h"
#include "block/opus-raid/setup/grow.h"

static OpusRaid *find_array(const char *node_name, Error **errp)
{
    BlockDriverState *bs = bdrv_find_node(node_name);

    if (!bs) {
        error_setg(errp, "There is no node '%s'", node_name);
    } else if (!opus_is_array(bs)) {
        error_setg(errp, "Node '%s' is no opus-raid array", node_name);
    } else {
        return bs->opaque;
    }
    return NULL;
}

/* A node that there is, or one that is made now. To be unreferenced. */
static BlockDriverState *open_member(BlockdevRef *member, Error **errp)
{
    BlockDriverState *bs;

    if (member->type != QTYPE_QSTRING) {
        return bdrv_open_blockdev_ref(member, errp);
    }
    bs = bdrv_find_node(member->u.reference);
    if (!bs) {
        error_setg(errp, "There is no node '%s'", member->u.reference);
        return NULL;
    }
    bdrv_ref(bs);
    return bs;
}

void qmp_opus_raid_add_member(const char *node_name, BlockdevRef *member,
                              bool has_force, bool force,
                              bool has_write_mostly, bool write_mostly,
                              bool has_failfast, bool failfast, Error **errp)
{
    OpusRaid *s = find_array(node_name, errp);
    BlockDriverState *bs = s ? open_member(member, errp) : NULL;
    uint8_t devflags = (write_mostly ? WriteMostly1 : 0) |
                       (failfast ? FailFast1 : 0);

    if (bs && opus_member_add(s, bs, force, devflags, errp)) {
        opus_array_changed(s);
    }
    bdrv_unref(bs);
}

void qmp_opus_raid_fail_member(const char *node_name, const char *member,
                               Error **errp)
{
    OpusRaid *s = find_array(node_name, errp);

    if (s) {
        opus_member_fail(s, member, errp);
    }
}

void qmp_opus_raid_remove_member(const char *node_name, const char *member,
                                 Error **errp)
{
    OpusRaid *s = find_array(node_name, errp);

    if (s) {
        opus_member_remove(s, member, errp);
    }
}

void qmp_opus_raid_rebuild(const char *node_name, const char *job_id,
                           bool has_auto_finalize, bool auto_finalize,
                           bool has_auto_dismiss, bool auto_dismiss,
                           Error **errp)
{
    OpusRaid *s = find_array(node_name, errp);

    if (s) {
        opus_rebuild_start(s, job_id,
                           opus_job_flags(has_auto_finalize, auto_finalize,
                                          has_auto_dismiss, auto_dismiss),
                           errp);
    }
}

void qmp_opus_raid_check(const char *node_name, bool has_mode,
                         OpusRaidCheckMode mode, const char *job_id,
                         bool has_speed, uint64_t speed,
                         bool has_auto_finalize, bool auto_finalize,
                         bool has_auto_dismiss, bool auto_dismiss,
                         Error **errp)
{
    OpusRaid *s = find_array(node_name, errp);

    if (s) {
        opus_check_start(s, job_id,
                         has_mode && mode == OPUS_RAID_CHECK_MODE_REPAIR,
                         has_speed ? speed : s->options.rebuild_speed,
                         opus_job_flags(has_auto_finalize, auto_finalize,
                                        has_auto_dismiss, auto_dismiss),
                         errp);
    }
}

void qmp_opus_raid_set_consistency_policy(const char *node_name,
                                          OpusRaidConsistencyPolicy policy,
                                          bool has_bitmap_chunk_size,
                                          uint64_t bitmap_chunk_size,
                                          Error **errp)
{
    OpusRaid *s = find_array(node_name, errp);

    if (s && has_bitmap_chunk_size && !bitmap_chunk_size) {
        error_setg(errp, "'bitmap-chunk-size' must not be 0");
    } else if (s) {
        opus_policy_set(s, policy, has_bitmap_chunk_size ? bitmap_chunk_size
                                                         : 0, errp);
    }
}

/* The spare that is named, made one first if it is none yet; or any. */
static OpusMember *find_replacement(OpusRaid *s, BlockdevRef *ref, bool force,
                                    Error **errp)
{
    BlockDriverState *bs;
    OpusMember *m;

    if (!ref) {
        m = opus_find_spare(s);
        if (!m) {
            error_setg(errp, "Array '%s' has no spare",
                       bdrv_get_node_name(s->bs));
        }
        return m;
    }
    m = ref->type == QTYPE_QSTRING
        ? opus_member_find(s, ref->u.reference, NULL) : NULL;
    if (m) {
        return m;
    }
    bs = open_member(ref, errp);
    if (bs && opus_member_add(s, bs, force, 0, errp)) {
        m = opus_member_find(s, bdrv_get_node_name(bs), errp);
    }
    bdrv_unref(bs);
    return m;
}

void qmp_opus_raid_replace_member(const char *node_name, const char *member,
                                  BlockdevRef *replacement, bool has_force,
                                  bool force, const char *job_id,
                                  bool has_auto_finalize, bool auto_finalize,
                                  bool has_auto_dismiss, bool auto_dismiss,
                                  Error **errp)
{
    OpusRaid *s = find_array(node_name, errp);
    OpusMember *m = s ? opus_member_find(s, member, errp) : NULL;
    unsigned slot;

    if (!m || !opus_replace_is_possible(s, m, errp)) {
        return;
    }
    slot = m->slot;
    m = find_replacement(s, replacement, force, errp);
    if (m) {
        opus_replace_start(s, m, slot, job_id,
                           opus_job_flags(has_auto_finalize, auto_finalize,
                                          has_auto_dismiss, auto_dismiss),
                           errp);
    }
}

OpusRaidInfoList *qmp_query_opus_raid(const char *node_name, Error **errp)
{
    OpusRaidInfoList *list = NULL;
    OpusRaidInfoList **tail = &list;
    BlockDriverState *bs;

    GRAPH_RDLOCK_GUARD_MAINLOOP();

    if (node_name) {
        OpusRaid *s = find_array(node_name, errp);

        if (s) {
            QAPI_LIST_APPEND(tail, opus_info(s->bs));
        }
        return list;
    }
    for (bs = bdrv_next_node(NULL); bs; bs = bdrv_next_node(bs)) {
        if (opus_is_array(bs)) {
            QAPI_LIST_APPEND(tail, opus_info(bs));
        }
    }
    return list;
}

void coroutine_fn qmp_opus_raid_grow(const char *node_name,
                                     bool has_member_size,
                                     uint64_t member_size, Error **errp)
{
    OpusRaid *s = find_array(node_name, errp);
    AioContext *old_ctx;
    BlockBackend *blk;
    int64_t bytes;
    ERRP_GUARD();

    if (!s) {
        return;
    }
    if (has_member_size && !member_size) {
        error_setg(errp, "'member-size' must not be 0");
        return;
    }
    blk = blk_co_new_with_bs(s->bs, BLK_PERM_RESIZE, BLK_PERM_ALL, errp);
    if (!blk) {
        WITH_GRAPH_RDLOCK_GUARD() {
            opus_explain_conflict(s->bs, BLK_PERM_RESIZE, BLK_PERM_ALL, errp);
        }
        error_prepend(errp, "Array '%s' can't grow: ",
                      bdrv_get_node_name(s->bs));
        return;
    }
    old_ctx = bdrv_co_enter(s->bs);
    WITH_GRAPH_RDLOCK_GUARD() {
        bytes = opus_grow_size(s, has_member_size ? member_size : 0, errp);
    }
    if (bytes > 0) {
        blk_co_truncate(blk, bytes, true, PREALLOC_MODE_OFF, 0, errp);
    }
    bdrv_co_leave(s->bs, old_ctx);
    blk_co_unref(blk);
}
