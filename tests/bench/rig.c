/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rig: members, and what a load can be put on
 *
 * Owns: nodes, throttle groups and files, from opening to closing.
 * Must not know: what load there will be.
 * Threads: main loop only. Nodes move to the load's home when a target is
 * opened, and back when it is closed.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/qdict.h"
#include "qapi/error.h"
#include "qapi/qapi-types-block-core.h"
#include "qemu/coroutine.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "qom/object.h"
#include "system/block-backend.h"
#include "rig.h"

/* On each member: metadata and logs, data, and opus-null's second end. */
#define DATA_OFFSET (2 * MiB)
#define TAIL_BYTES  (2 * MiB)

const char *rig_directory = "/dev/shm";

static uint64_t data_bytes(const Rig *rig)
{
    return rig->spec->member_bytes - DATA_OFFSET - TAIL_BYTES;
}

static char *member_name(unsigned i)
{
    return g_strdup_printf("m%u", i);
}

static bool make_file(Rig *rig, unsigned i, Error **errp)
{
    g_autofree char *path = g_strdup_printf("%s/raid-bench.XXXXXX",
                                            rig_directory);
    int fd = g_mkstemp(path);
    int err;

    if (fd < 0) {
        error_setg_errno(errp, errno, "Cannot create a file in %s",
                         rig_directory);
        return false;
    }
    rig->files[i] = g_steal_pointer(&path);
    err = posix_fallocate(fd, 0, rig->spec->member_bytes);
    close(fd);
    if (err) {
        error_setg_errno(errp, err, "Cannot get %" PRIu64 " bytes in %s",
                         rig->spec->member_bytes, rig_directory);
    }
    return !err;
}

/* A file that is open needs no name, and leaves nothing behind at a crash. */
static void remove_file(Rig *rig, unsigned i)
{
    if (rig->files[i]) {
        unlink(rig->files[i]);
        g_free(rig->files[i]);
        rig->files[i] = NULL;
    }
}

/* The options of a member's own node. */
static QDict *member_options(Rig *rig, unsigned i, Error **errp)
{
    const RigSpec *spec = rig->spec;
    QDict *options = qdict_new();

    switch (spec->backend) {
    case RIG_NULL:
        qdict_put_str(options, "driver", "opus-null");
        qdict_put_int(options, "size", spec->member_bytes);
        break;
    case RIG_RAM:
        qdict_put_str(options, "driver", "opus-ram");
        qdict_put_int(options, "size", spec->member_bytes);
        qdict_put_int(options, "latency-ns", spec->latency_ns);
        break;
    case RIG_FILE:
        if (!make_file(rig, i, errp)) {
            qobject_unref(options);
            return NULL;
        }
        qdict_put_str(options, "driver", "file");
        qdict_put_str(options, "filename", rig->files[i]);
        qdict_put_str(options, "aio", "io_uring");
        break;
    }
    return options;
}

/* Put QEMU's throttle filter on top of a node that is not open yet. */
static QDict *throttled_options(Rig *rig, unsigned i, QDict *below,
                                Error **errp)
{
    g_autofree char *group = g_strdup_printf("group%u", i);
    g_autofree char *rate = g_strdup_printf("%" PRIu64,
                                            rig->spec->limit_per_second);
    QDict *options = qdict_new();

    rig->throttles[i] = object_new_with_props("throttle-group",
                                              object_get_objects_root(),
                                              group, errp, rig->spec->limit,
                                              rate, NULL);
    qdict_put(options, "file", below);
    if (!rig->throttles[i]) {
        qobject_unref(options);
        return NULL;
    }
    qdict_put_str(options, "driver", "throttle");
    qdict_put_str(options, "throttle-group", group);
    qdict_flatten(options);
    return options;
}

static bool open_member(Rig *rig, unsigned i, Error **errp)
{
    g_autofree char *name = member_name(i);
    QDict *options = member_options(rig, i, errp);

    if (options && rig->spec->limit) {
        options = throttled_options(rig, i, options, errp);
    }
    if (!options) {
        return false;
    }
    qdict_put_str(options, "node-name", name);
    rig->members[i] = bdrv_open(NULL, NULL, options, BDRV_O_RDWR, errp);
    remove_file(rig, i);
    return rig->members[i] != NULL;
}

typedef struct CreateRun {
    BlockdevCreateOptions *options;
    Error **errp;
    int ret;
    bool done;
} CreateRun;

static void coroutine_fn create_co(void *opaque)
{
    CreateRun *run = opaque;
    BlockDriver *drv = bdrv_find_format("opus-raid");

    run->ret = drv->bdrv_co_create(run->options, run->errp);
    run->done = true;
    aio_wait_kick();
}

bool rig_create_array(Rig *rig, OpusRaidConsistencyPolicy policy,
                      Error **errp)
{
    const RigSpec *spec = rig->spec;
    BlockdevCreateOptions options = { .driver = BLOCKDEV_DRIVER_OPUS_RAID };
    BlockdevCreateOptionsOpusRaid *raid = &options.u.opus_raid;
    BlockdevRefList **tail = &raid->members;
    CreateRun run = { .options = &options, .errp = errp };

    raid->level = spec->level;
    raid->has_chunk_size = spec->level != OPUS_RAID_LEVEL_RAID1;
    raid->chunk_size = spec->chunk_bytes;
    raid->has_size = spec->level != OPUS_RAID_LEVEL_RAID0;
    raid->size = data_bytes(rig);
    raid->has_data_offset = true;
    raid->data_offset = DATA_OFFSET;
    if (spec->level != OPUS_RAID_LEVEL_RAID0) {
        raid->has_consistency_policy = true;
        raid->consistency_policy = policy;
    }
    if (policy == OPUS_RAID_CONSISTENCY_POLICY_BITMAP) {
        raid->has_bitmap_chunk_size = spec->bitmap_chunk_bytes != 0;
        raid->bitmap_chunk_size = spec->bitmap_chunk_bytes;
    }
    /* There may be another one there. */
    raid->has_force = true;
    raid->force = true;
    /* New members are all zeroes, and the parity of zeroes is zeroes. */
    raid->has_assume_clean = true;
    raid->assume_clean = true;
    for (unsigned i = 0; i < spec->nr_members; i++) {
        BlockdevRef *ref = g_new0(BlockdevRef, 1);

        ref->type = QTYPE_QSTRING;
        ref->u.reference = member_name(i);
        QAPI_LIST_APPEND(tail, ref);
    }
    qemu_coroutine_enter(qemu_coroutine_create(create_co, &run));
    AIO_WAIT_WHILE_UNLOCKED(NULL, !run.done);
    qapi_free_BlockdevRefList(raid->members);
    return run.ret == 0;
}

bool rig_open(Rig *rig, const RigSpec *spec, Error **errp)
{
    *rig = (Rig) { .spec = spec };
    while (rig->nr_open < spec->nr_members) {
        unsigned i = rig->nr_open++;

        if (!open_member(rig, i, errp)) {
            return false;
        }
    }
    return rig_create_array(rig, spec->policy, errp);
}

void rig_close(Rig *rig)
{
    for (unsigned i = 0; i < rig->nr_open; i++) {
        bdrv_unref(rig->members[i]);
        if (rig->throttles[i]) {
            object_unparent(rig->throttles[i]);
        }
        remove_file(rig, i);
    }
    rig->nr_open = 0;
}

static bool add_to_target(LoadTarget *target, BlockBackend *blk, Error **errp)
{
    if (!blk) {
        return false;
    }
    target->blks[target->nr_blks++] = blk;
    return blk_set_aio_context(blk, load_home(), errp) == 0;
}

static bool open_node(LoadTarget *target, QDict *options, bool writable,
                      Error **errp)
{
    BlockBackend *blk = blk_new_open(NULL, NULL, options,
                                     writable ? BDRV_O_RDWR : 0, errp);

    return add_to_target(target, blk, errp);
}

bool rig_open_array(Rig *rig, bool writable, unsigned nr_missing,
                    LoadTarget *target, Error **errp)
{
    QDict *options = qdict_new();
    int64_t bytes;

    *target = (LoadTarget) { .nr_blks = 0 };
    qdict_put_str(options, "driver", "opus-raid");
    for (unsigned i = nr_missing; i < rig->nr_open; i++) {
        g_autofree char *key = g_strdup_printf("members.%u", i - nr_missing);
        g_autofree char *name = member_name(i);

        qdict_put_str(options, key, name);
    }
    if (!open_node(target, options, writable, errp)) {
        return false;
    }
    bytes = blk_getlength(target->blks[0]);
    if (bytes < 0) {
        error_setg_errno(errp, -bytes, "Cannot get the size of the array");
        return false;
    }
    target->bytes = bytes;
    return true;
}

bool rig_open_members(Rig *rig, bool writable, LoadTarget *target,
                      Error **errp)
{
    uint64_t perm = BLK_PERM_CONSISTENT_READ |
                    (writable ? BLK_PERM_WRITE : 0);

    *target = (LoadTarget) { .start = DATA_OFFSET, .bytes = data_bytes(rig) };
    for (unsigned i = 0; i < rig->nr_open; i++) {
        BlockBackend *blk = blk_new_with_bs(rig->members[i], perm,
                                            BLK_PERM_ALL, errp);

        if (!add_to_target(target, blk, errp)) {
            return false;
        }
    }
    return true;
}

bool rig_open_raw(Rig *rig, LoadTarget *target, Error **errp)
{
    QDict *options = qdict_new();
    g_autofree char *name = member_name(0);

    *target = (LoadTarget) { .start = DATA_OFFSET, .bytes = data_bytes(rig) };
    qdict_put_str(options, "driver", "raw");
    qdict_put_str(options, "file", name);
    return open_node(target, options, false, errp);
}

void rig_close_target(LoadTarget *target)
{
    for (unsigned i = 0; i < target->nr_blks; i++) {
        blk_set_aio_context(target->blks[i], qemu_get_aio_context(),
                            &error_abort);
        blk_unref(target->blks[i]);
    }
    target->nr_blks = 0;
}
