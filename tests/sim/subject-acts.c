/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Subject acts: what operators do to the array, by way of QMP and QEMU
 *
 * Owns: how each of them is said.
 * Must not know: when, or what should follow.
 * Threads: main loop only.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block-global-state.h"
#include "block/block_int-global-state.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-opus-raid.h"
#include "util/raid/md-badblocks.h"
#include "util/raid/md-super.h"
#include "qemu/coroutine.h"
#include "qobject/qdict.h"
#include "choice.h"
#include "subject-acts.h"
#include <linux/raid/md_p.h>

static BlockDriverState *array(void)
{
    return blk_bs(subject_blk());
}

/* True if there is no error; else it goes to the caller. */
static bool succeeded(Error *err, Error **errp)
{
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    return true;
}

bool subject_reopen(Error **errp)
{
    QDict *options = qdict_new();

    qdict_put_int(options, "rebuild-speed-min", (1 + choice(8)) << 20);
    return bdrv_reopen(array(), options, true, errp) == 0;
}

static void set_users(uint64_t perm)
{
    blk_set_perm(subject_blk(), perm, BLK_PERM_ALL, &error_abort);
}

bool subject_set_read_only(bool read_only, Error **errp)
{
    bool ok;

    set_users(BLK_PERM_CONSISTENT_READ);
    ok = bdrv_reopen_set_read_only(array(), read_only, errp) == 0;
    if (ok != read_only) {
        set_users(BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE);
    }
    return ok;
}

bool subject_set_active(bool active, Error **errp)
{
    Error *err = NULL;

    set_users(0);
    if (active) {
        bdrv_activate(array(), &err);
    } else {
        bdrv_inactivate(array(), &err);
    }
    if (active == !err) {
        set_users(BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE);
    }
    return succeeded(err, errp);
}

bool subject_fail(unsigned disk, Error **errp)
{
    g_autofree char *name = subject_disk_name(disk);
    Error *err = NULL;

    qmp_opus_raid_fail_member("array", name, &err);
    return succeeded(err, errp);
}

bool subject_remove(unsigned disk, Error **errp)
{
    g_autofree char *name = subject_disk_name(disk);
    Error *err = NULL;

    qmp_opus_raid_remove_member("array", name, &err);
    return succeeded(err, errp);
}

bool subject_readd(unsigned disk, Error **errp)
{
    g_autofree char *name = subject_disk_name(disk);
    BlockDriverState *bs = subject_open_disk(disk);
    BlockdevRef ref = { .type = QTYPE_QSTRING, .u.reference = name };
    Error *err = NULL;

    qmp_opus_raid_add_member("array", &ref, false, false, false, false, false,
                             false, &err);
    bdrv_unref(bs);
    return succeeded(err, errp);
}

bool subject_replace(unsigned disk, unsigned by, Error **errp)
{
    g_autofree char *old_name = subject_disk_name(disk);
    g_autofree char *name = subject_disk_name(by);
    BlockDriverState *bs = subject_open_disk(by);
    BlockdevRef ref = { .type = QTYPE_QSTRING, .u.reference = name };
    Error *err = NULL;

    qmp_opus_raid_replace_member("array", old_name, &ref, true, true, NULL,
                                 false, false, false, false, &err);
    bdrv_unref(bs);
    return succeeded(err, errp);
}

bool subject_set_policy(OpusRaidConsistencyPolicy policy,
                        uint32_t bitmap_chunk_bytes, Error **errp)
{
    bool bitmap = policy == OPUS_RAID_CONSISTENCY_POLICY_BITMAP;
    Error *err = NULL;

    qmp_opus_raid_set_consistency_policy("array", policy, bitmap,
                                         bitmap_chunk_bytes, &err);
    return succeeded(err, errp);
}

typedef struct Grow {
    uint64_t member_bytes;
    Error *err;
    bool done;
} Grow;

static void coroutine_fn grow_co(void *opaque)
{
    Grow *g = opaque;

    qmp_opus_raid_grow("array", true, g->member_bytes, &g->err);
    g->done = true;
    aio_wait_kick();
}

bool subject_grow(uint64_t member_bytes, Error **errp)
{
    Grow g = { .member_bytes = member_bytes };

    qemu_coroutine_enter(qemu_coroutine_create(grow_co, &g));
    AIO_WAIT_WHILE_UNLOCKED(NULL, !g.done);
    return succeeded(g.err, errp);
}

bool subject_check(bool repair, Error **errp)
{
    Error *err = NULL;

    qmp_opus_raid_check("array", true, repair ? OPUS_RAID_CHECK_MODE_REPAIR :
                        OPUS_RAID_CHECK_MODE_CHECK, NULL, false, 0, false,
                        false, false, false, &err);
    return succeeded(err, errp);
}

uint64_t subject_mismatches(void)
{
    g_autoptr(OpusRaidInfoList) list =
        qmp_query_opus_raid("array", &error_abort);

    return list->value->has_mismatches ? list->value->mismatches : 0;
}

bool subject_lend(uint64_t disks, size_t bytes, const uint8_t *buf,
                  Error **errp)
{
    QDict *options = subject_array_options("tenant", "t", disks);
    BlockDriverState *bs = bdrv_open(NULL, NULL, options, BDRV_O_RDWR, errp);
    BlockBackend *blk;
    int ret;

    if (!bs) {
        return false;
    }
    blk = blk_new_with_bs(bs, BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                          BLK_PERM_ALL, &error_abort);
    bdrv_unref(bs);
    blk_set_enable_write_cache(blk, true);
    ret = blk_pwrite(blk, 0, bytes, buf, 0);
    ret = ret < 0 ? ret : blk_flush(blk);
    blk_unref(blk);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "a write failed");
    }
    return ret >= 0;
}

bool subject_plant_bad(uint8_t *image, uint64_t image_bytes, uint64_t off,
                       size_t bytes)
{
    g_autofree MdSuper *sb = g_new(MdSuper, 1);
    g_autofree MdBadBlocks *bb = g_new(MdBadBlocks, 1);
    g_autofree uint8_t *encoded = g_malloc(MD_SUPER_MAX_BYTES);
    uint64_t super_off = md_super_offset(2, image_bytes);
    size_t log_bytes;

    if (md_super_decode(image + super_off, MD_SUPER_MAX_BYTES, 2, image_bytes,
                        sb) != MD_SUPER_OK || !sb->bblog_size_sectors) {
        return false;
    }
    log_bytes = sb->bblog_size_sectors * BDRV_SECTOR_SIZE;
    md_bad_blocks_init(bb, sb->bblog_shift, log_bytes);
    md_bad_blocks_add(bb, sb->data_offset_sectors + off / BDRV_SECTOR_SIZE,
                      bytes / BDRV_SECTOR_SIZE);
    md_bad_blocks_encode(bb, image + super_off + sb->bblog_offset_sectors *
                         (int64_t)BDRV_SECTOR_SIZE, log_bytes);
    sb->feature_map |= MD_FEATURE_BAD_BLOCKS;
    log_bytes = md_super_encode(sb, encoded);
    memcpy(image + super_off, encoded, log_bytes);
    memset(image + sb->data_offset_sectors * BDRV_SECTOR_SIZE + off, '#',
           bytes);
    return true;
}

uint64_t subject_bad_bytes(void)
{
    g_autoptr(OpusRaidInfoList) list =
        qmp_query_opus_raid("array", &error_abort);
    uint64_t bytes = 0;

    for (OpusRaidMemberInfoList *m = list->value->members; m; m = m->next) {
        bytes += m->value->has_bad_bytes ? m->value->bad_bytes : 0;
    }
    return bytes;
}
