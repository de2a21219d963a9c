/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Driver: opus-raid as a BlockDriver
 *
 * Owns: children, limits, open, close, reopen.
 * Must not know: how requests are served.
 * Threads: main loop, but for the callbacks that come from requests.h and
 * array.h.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/qdict.h"
#include "qapi/error.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "qemu/error-report.h"
#include "qemu/module.h"
#include "block/opus-raid/array/array.h"
#include "block/opus-raid/array/consistency.h"
#include "block/opus-raid/array/life.h"
#include "block/opus-raid/array/may-lose.h"
#include "block/opus-raid/base/blocking.h"
#include "block/opus-raid/base/node.h"
#include "block/opus-raid/consistency/start.h"
#include "block/opus-raid/control/info.h"
#include "block/opus-raid/control/options.h"
#include "block/opus-raid/control/permissions.h"
#include "block/opus-raid/io/requests.h"
#include "block/opus-raid/jobs/job.h"
#include "block/opus-raid/jobs/supervisor.h"
#include "block/opus-raid/member/bad-blocks.h"
#include "block/opus-raid/member/claim.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/members/membership.h"
#include "block/opus-raid/setup/assembly.h"
#include "block/opus-raid/setup/create.h"
#include "block/opus-raid/setup/grow.h"

static int coroutine_fn GRAPH_RDLOCK assemble_co(OpusRaid *s, void *opaque,
                                                 Error **errp)
{
    int ret = opus_assemble(s, opus_is_writable(s->bs), errp);

    if (ret == 0) {
        opus_announce(s);
    }
    return ret;
}

/* In the words of the user's list of members. */
static void explain_no_member(const OpusRaid *s, BlockDriverState *node,
                              Error **errp)
{
    ERRP_GUARD();

    for (unsigned i = 0; i < s->nr_members; i++) {
        if (s->members[i].child->bs == node) {
            error_free(*errp);
            *errp = NULL;
            error_setg(errp, "'%s' is given twice", bdrv_get_node_name(node));
            return;
        }
    }
    bdrv_graph_rdlock_main_loop();
    opus_explain_conflict(node, BLK_PERM_WRITE,
                          BLK_PERM_ALL & ~BLK_PERM_WRITE, errp);
    bdrv_graph_rdunlock_main_loop();
}

static bool open_members(OpusRaid *s, QDict *options, Error **errp)
{
    int nr = qdict_array_entries(options, "members.");
    ERRP_GUARD();

    if (nr < 1 || nr > RAID_MAX_CANDIDATES) {
        error_setg(errp, "'members' must be a list of 1 to %d nodes",
                   RAID_MAX_CANDIDATES);
        return false;
    }
    s->members = g_new0(OpusMember, nr);
    for (int i = 0; i < nr; i++) {
        g_autofree char *key = g_strdup_printf("members.%d", i);
        const char *reference = qdict_get_try_str(options, key);
        BlockDriverState *node = reference ? bdrv_find_node(reference) : NULL;
        BdrvChild *child = bdrv_open_child(NULL, options, key, s->bs,
                                           &child_of_bds,
                                           BDRV_CHILD_DATA |
                                           BDRV_CHILD_METADATA, false, errp);

        if (!child) {
            if (node) {
                explain_no_member(s, node, errp);
            }
            error_prepend(errp, "Cannot open '%s' of array '%s': ", key,
                          bdrv_get_node_name(s->bs));
            return false;
        }
        s->members[i].child = child;
        s->members[i].slot = -1;
        bdrv_graph_rdlock_main_loop();
        s->members[i].label = opus_node_label(child->bs);
        bdrv_graph_rdunlock_main_loop();
        s->nr_members++;
    }
    return true;
}

static void free_array(OpusRaid *s)
{
    opus_timeouts_destroy(&s->timeouts, bdrv_get_node_name(s->bs));
    opus_stripe_locks_destroy(&s->stripe_locks);
    opus_claims_release(s->members, s->nr_members);
    bdrv_graph_wrlock();
    for (unsigned i = 0; i < s->nr_members; i++) {
        opus_bad_log_close(&s->members[i]);
        g_free(s->members[i].label);
        bdrv_unref_child(s->bs, s->members[i].child);
    }
    bdrv_graph_wrunlock();
    opus_consistency_free(s->consistency);
    qemu_mutex_destroy(&s->state_lock);
    g_free(s->members);
    g_free(s->options.want_uuid);
    g_free(s->options.want_name);
    qapi_free_OpusRaidLastCheck(s->check.last);
}

/* Before it is looked at, so that what is seen stays true. */
static bool claim_members(OpusRaid *s, Error **errp)
{
    GRAPH_RDLOCK_GUARD_MAINLOOP();

    return opus_claims_take(s->members, s->nr_members,
                            bdrv_get_node_name(s->bs), errp);
}

/* Members of an array that did not become writable are for all again. */
static void drop_new_claims(OpusRaid *s)
{
    if (!s->keeps_claims) {
        opus_claims_release(s->members, s->nr_members);
    }
}

static int opus_open(BlockDriverState *bs, QDict *options, int flags,
                     Error **errp)
{
    OpusRaid *s = bs->opaque;
    int ret = -EINVAL;
    ERRP_GUARD();

    s->bs = bs;
    qemu_co_mutex_init(&s->meta_lock);
    qemu_mutex_init(&s->state_lock);
    opus_stripe_locks_init(&s->stripe_locks);
    opus_array_init_timeouts(s);

    if (!opus_options_open(s, options, errp) ||
        !open_members(s, options, errp) ||
        (opus_is_writable(bs) && !claim_members(s, errp))) {
        goto out;
    }
    ret = opus_control_run(s, assemble_co, NULL, errp);
    if (ret == 0 && opus_is_writable(bs)) {
        ret = opus_control_run(s, opus_start_co, NULL, errp);
    }
    if (ret == 0) {
        opus_set_request_flags(s);
        opus_refresh_permissions(s);
        opus_array_idle_start(s);
        opus_supervisor_begin(s);
        s->keeps_claims = opus_is_writable(bs);
    }

out:
    if (ret < 0) {
        free_array(s);
    }
    return ret;
}

static void opus_close(BlockDriverState *bs)
{
    OpusRaid *s = bs->opaque;

    if (opus_is_writable(bs)) {
        Error *err = NULL;

        if (opus_control_run(s, opus_settle_co, NULL, &err) < 0) {
            error_report_err(err);
        }
    }
    opus_supervisor_end(s);
    opus_array_idle_stop(s);
    free_array(s);
}

/*
 * To become writable, the array must pass the checks of a writable one. They
 * are made on a copy, so that nothing changes if they fail.
 */
static int coroutine_fn GRAPH_RDLOCK check_writable_co(OpusRaid *s,
                                                       void *opaque,
                                                       Error **errp)
{
    g_autofree OpusRaid *probe = g_new0(OpusRaid, 1);
    g_autofree OpusMember *members = g_new0(OpusMember, s->nr_members);
    int ret;

    ret = opus_assembly_look(s, errp);
    if (ret < 0) {
        return ret;
    }
    probe->bs = s->bs;
    probe->options.policy = s->options.policy;
    probe->options.want_uuid = s->options.want_uuid;
    probe->options.want_name = s->options.want_name;
    probe->nr_members = s->nr_members;
    probe->members = members;
    probe->missing_slots = s->missing_slots;
    for (unsigned i = 0; i < s->nr_members; i++) {
        members[i].child = s->members[i].child;
        members[i].label = s->members[i].label;
        members[i].state = s->members[i].state;
        members[i].unrecorded = s->members[i].unrecorded;
    }
    ret = opus_assemble(probe, true, errp);
    if (ret == 0 && probe->missing_slots != s->missing_slots) {
        error_setg(errp, "The members of array '%s' have changed since it "
                   "was opened", bdrv_get_node_name(s->bs));
        ret = -EINVAL;
    }
    opus_consistency_free(probe->consistency);
    for (unsigned i = 0; i < s->nr_members; i++) {
        opus_bad_log_close(&members[i]);
    }
    return ret;
}

/*
 * Members that are named must be those that there are, in any order; none at
 * all means that they stay. Those that are defined in place were handed to
 * their own nodes by the block layer, and are not among @options any more.
 */
static bool take_same_members(const OpusRaid *s, QDict *options, Error **errp)
{
    bool named[RAID_MAX_CANDIDATES] = { false };
    unsigned nr = 0;

    for (unsigned i = 0; i < RAID_MAX_CANDIDATES; i++) {
        g_autofree char *key = g_strdup_printf("members.%u", i);
        const char *name = qdict_get_try_str(options, key);
        unsigned n = 0;

        if (!name) {
            continue;
        }
        while (n < s->nr_members &&
               strcmp(bdrv_get_node_name(s->members[n].child->bs), name)) {
            n++;
        }
        if (n == s->nr_members) {
            error_setg(errp, "Cannot change the members of array '%s' by "
                       "reopening it: it has no member '%s'",
                       bdrv_get_node_name(s->bs), name);
            error_append_hint(errp, "Use opus-raid-add-member and "
                              "opus-raid-remove-member.\n");
            return false;
        }
        if (named[n]) {
            error_setg(errp, "Member '%s' of array '%s' is named twice", name,
                       bdrv_get_node_name(s->bs));
            return false;
        }
        named[n] = true;
        qdict_del(options, key);
        nr++;
    }
    if (nr && nr != s->nr_members) {
        error_setg(errp, "Cannot change the members of array '%s' by "
                   "reopening it: it has %u, and %u are named",
                   bdrv_get_node_name(s->bs), s->nr_members, nr);
        error_append_hint(errp, "Leave 'members' out, and they stay.\n");
        return false;
    }
    return true;
}

/* What a reopen is going to do. */
typedef struct Reopen {
    OpusMutableOptions options;
    bool starts;                /* the array can be written from now on */
    bool rests;                 /* the contrary */
} Reopen;

static int opus_reopen_prepare(BDRVReopenState *state,
                               BlockReopenQueue *queue, Error **errp)
{
    OpusRaid *s = state->bs->opaque;
    bool was_writable = opus_is_writable(state->bs);
    bool writable = (state->flags & BDRV_O_RDWR) &&
                    !(state->flags & BDRV_O_INACTIVE);
    g_autofree Reopen *r = g_new0(Reopen, 1);
    int ret = -EINVAL;
    ERRP_GUARD();

    r->starts = writable && !was_writable;
    r->rests = !writable && was_writable;
    if ((writable || opus_job_none_running(s, errp)) &&
        take_same_members(s, state->options, errp) &&
        opus_options_reopen(state->options, &r->options, errp)) {
        ret = 0;
    }
    if (ret == 0 && r->starts) {
        ret = claim_members(s, errp)
              ? opus_control_run(s, check_writable_co, NULL, errp) : -EBUSY;
        if (ret < 0) {
            drop_new_claims(s);
        }
    } else if (ret == 0 && r->rests) {
        ret = opus_control_run(s, opus_settle_co, NULL, errp);
    }
    if (ret == 0) {
        state->opaque = g_steal_pointer(&r);
    }
    return ret;
}

static void opus_reopen_commit(BDRVReopenState *state)
{
    Reopen *r = state->opaque;

    opus_options_take(state->bs->opaque, &r->options);
}

static int coroutine_fn GRAPH_RDLOCK assemble_and_start_co(OpusRaid *s,
                                                           void *opaque,
                                                           Error **errp)
{
    int ret = assemble_co(s, opaque, errp);

    return ret < 0 ? ret : opus_start_co(s, opaque, errp);
}

static int coroutine_fn GRAPH_RDLOCK give_up_co(OpusRaid *s, void *opaque,
                                                Error **errp)
{
    opus_array_give_up(s);
    return 0;
}

/* The block layer would remember references, and hold us to them. */
static void forget_member_options(BlockDriverState *bs)
{
    for (unsigned i = 0; i < RAID_MAX_CANDIDATES; i++) {
        g_autofree char *key = g_strdup_printf("members.%u", i);

        qdict_del(bs->options, key);
        qdict_del(bs->explicit_options, key);
    }
}

/*
 * Members can be written only now, so this is where a log is replayed. There
 * is no way back: if it can't be, the array must not be taken for one that is
 * right.
 */
static void opus_reopen_commit_post(BDRVReopenState *state)
{
    OpusRaid *s = state->bs->opaque;
    Reopen *r = state->opaque;
    Error *err = NULL;

    s->keeps_claims |= opus_is_writable(state->bs);
    forget_member_options(state->bs);
    if (r->rests && s->life != RAID_LIFE_AT_REST) {
        opus_life_event(s, RAID_LIFE_EVENT_REST);
    }
    if (r->starts &&
        opus_control_run(s, assemble_and_start_co, NULL, &err) < 0) {
        error_reportf_err(err, "Array '%s' could not be made writable, and "
                          "has failed: ", bdrv_get_node_name(state->bs));
        opus_control_run(s, give_up_co, NULL, &error_abort);
    }
    g_free(r);
    state->opaque = NULL;
    opus_array_changed(s);
}

static void opus_reopen_abort(BDRVReopenState *state)
{
    drop_new_claims(state->bs->opaque);
    g_free(state->opaque);
    state->opaque = NULL;
}

/*
 * Another process is going to use the members: leave them clean. The block
 * layer may still find a user that can't do without the node, and then it goes
 * on as if nothing had been; so the array does not come to rest before it is
 * assembled anew.
 */
static int opus_inactivate(BlockDriverState *bs)
{
    OpusRaid *s = bs->opaque;
    Error *err = NULL;
    int ret;

    if (!opus_job_none_running(s, &err)) {
        error_report_err(err);
        return -EBUSY;
    }
    /* So no job begins meanwhile. */
    bdrv_drained_begin(bs);
    ret = opus_control_run(s, opus_settle_co, NULL, &err);
    bdrv_drained_end(bs);
    if (ret < 0) {
        error_report_err(err);
    } else {
        s->keeps_claims = false;
        opus_claims_release(s->members, s->nr_members);
    }
    return ret;
}

static void coroutine_fn GRAPH_RDLOCK activate(OpusRaid *s, bool writable,
                                               Error **errp)
{
    if (writable && !opus_claims_take(s->members, s->nr_members,
                                      bdrv_get_node_name(s->bs), errp)) {
        return;
    }
    if (opus_assemble(s, writable, errp) < 0) {
        drop_new_claims(s);
        return;
    }
    s->keeps_claims |= writable;
    opus_announce(s);
    if (writable && opus_start_co(s, NULL, errp) < 0) {
        /* It stays inactive; the next try assembles it anew. */
        opus_life_event(s, RAID_LIFE_EVENT_FAIL);
        s->keeps_claims = false;
        opus_claims_release(s->members, s->nr_members);
    }
}

/* Another process has used the members: see what it made of them. */
static void coroutine_fn GRAPH_RDLOCK
opus_co_invalidate_cache(BlockDriverState *bs, Error **errp)
{
    OpusRaid *s = bs->opaque;
    bool writable = bs->open_flags & BDRV_O_RDWR;

    /* For all others the node is active already. */
    qatomic_set(&s->jobs.none_starts, true);
    activate(s, writable, errp);
    qatomic_set(&s->jobs.none_starts, false);
    if (writable) {
        opus_array_changed(s);
    }
}

static void opus_gather_child_options(BlockDriverState *bs, QDict *target,
                                      bool backing_overridden)
{
    OpusRaid *s = bs->opaque;
    QList *members = qlist_new();

    qdict_put(target, "members", members);
    for (unsigned i = 0; i < s->nr_members; i++) {
        BlockDriverState *child_bs = s->members[i].child->bs;

        qlist_append(members, qobject_ref(child_bs->full_open_options));
    }
}

static char *opus_dirname(BlockDriverState *bs, Error **errp)
{
    error_setg(errp, "The members of array '%s' may be in different "
               "directories", bdrv_get_node_name(bs));
    return NULL;
}

static void GRAPH_RDLOCK opus_refresh_limits(BlockDriverState *bs,
                                             Error **errp)
{
    OpusRaid *s = bs->opaque;
    uint32_t align = MAX(BDRV_SECTOR_SIZE, s->block_bytes);
    uint64_t stripe_bytes;

    for (unsigned i = 0; i < s->nr_members; i++) {
        align = MAX(align, s->members[i].child->bs->bl.request_alignment);
    }
    bs->bl.request_alignment = align;
    bs->bl.max_transfer = 0;

    if (s->geom.level == RAID_LEVEL_1) {
        return;
    }
    stripe_bytes = raid_stripe_bytes(&s->geom);
    if (s->geom.level == RAID_LEVEL_10) {
        stripe_bytes = (uint64_t)s->geom.chunk_bytes * s->geom.nr_slots /
                       s->geom.near_copies;
    } else if (s->geom.level == RAID_LEVEL_0) {
        stripe_bytes = (uint64_t)s->geom.chunk_bytes * s->geom.nr_slots;
    }
    if (stripe_bytes <= INT_MAX) {
        bs->bl.opt_transfer = stripe_bytes;
        if (raid_has_parity(&s->geom)) {
            bs->bl.pwrite_zeroes_alignment = stripe_bytes;
            bs->bl.pdiscard_alignment = stripe_bytes;
        }
    }
}

static int64_t coroutine_fn GRAPH_RDLOCK
opus_co_getlength(BlockDriverState *bs)
{
    OpusRaid *s = bs->opaque;

    return opus_length(s);
}

static int coroutine_fn GRAPH_RDLOCK opus_co_flush(BlockDriverState *bs)
{
    return opus_array_flush(bs->opaque);
}

/* One member that is not there does not take the array away. */
static bool coroutine_fn GRAPH_RDLOCK opus_co_is_inserted(BlockDriverState *bs)
{
    return true;
}

static BlockDriver bdrv_opus_raid = {
    .format_name                = "opus-raid",
    .instance_size              = sizeof(OpusRaid),
    .strong_runtime_opts        = opus_strong_options,
    .mutable_opts               = opus_mutable_options,

    .bdrv_open                  = opus_open,
    .bdrv_close                 = opus_close,
    .bdrv_co_create             = opus_co_create,
    .bdrv_reopen_prepare        = opus_reopen_prepare,
    .bdrv_reopen_commit         = opus_reopen_commit,
    .bdrv_reopen_commit_post    = opus_reopen_commit_post,
    .bdrv_reopen_abort          = opus_reopen_abort,
    .bdrv_inactivate            = opus_inactivate,
    .bdrv_co_invalidate_cache   = opus_co_invalidate_cache,
    .bdrv_child_perm            = opus_child_perm,
    .bdrv_gather_child_options  = opus_gather_child_options,
    .bdrv_dirname               = opus_dirname,
    .bdrv_refresh_limits        = opus_refresh_limits,

    .bdrv_co_preadv_part        = opus_co_preadv_part,
    .bdrv_co_pwritev_part       = opus_co_pwritev_part,
    .bdrv_co_pwrite_zeroes      = opus_co_pwrite_zeroes,
    .bdrv_co_pdiscard           = opus_co_pdiscard,
    .bdrv_co_flush              = opus_co_flush,
    .bdrv_co_truncate           = opus_co_truncate,
    .bdrv_co_getlength          = opus_co_getlength,
    .bdrv_co_is_inserted        = opus_co_is_inserted,

    .bdrv_get_specific_info     = opus_get_specific_info,
    .bdrv_get_specific_stats    = opus_get_specific_stats,
};

static void opus_raid_init(void)
{
    bdrv_register(&bdrv_opus_raid);
}

block_init(opus_raid_init);
