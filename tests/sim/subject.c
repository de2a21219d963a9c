/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Subject: the array under test, by way of the real driver
 *
 * Owns: the array's node and its members' nodes.
 * Must not know: what is done with the array, or what it should hold.
 * Threads: main loop only.
 */

#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/block_int.h"
#include "block/blockjob.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-opus-raid.h"
#include "qapi/qapi-types-block-core.h"
#include "qemu/coroutine.h"
#include "qemu/job.h"
#include "qemu/units.h"
#include "qobject/qdict.h"
#include "subject.h"
#include "wrap.h"

/* Behind the data, so that a 1.0 superblock's place is no data. */
#define TAIL_BYTES  (64 * KiB)

static BlockDriverState *array_bs;
static BlockBackend *array_blk;
static bool jobs_start = true;

/* The driver starts jobs by itself in arrays of the monitor only. */
BlockDriverState *__wrap_bdrv_next_monitor_owned(BlockDriverState *bs)
{
    return bs || !jobs_start ? NULL : array_bs;
}

static bool has_parity(OpusRaidLevel level)
{
    return level == OPUS_RAID_LEVEL_RAID5 || level == OPUS_RAID_LEVEL_RAID6;
}

static bool is_policy(OpusRaidConsistencyPolicy policy, const char *name)
{
    return !strcmp(OpusRaidConsistencyPolicy_str(policy), name);
}

bool subject_has_policy(OpusRaidLevel level, OpusRaidConsistencyPolicy policy)
{
    return is_policy(policy, "ppl") ? level == OPUS_RAID_LEVEL_RAID5
         : is_policy(policy, "journal") ? has_parity(level) : true;
}

bool subject_heals_degraded(const SubjectSpec *spec)
{
    return !has_parity(spec->level) || is_policy(spec->policy, "ppl") ||
           is_policy(spec->policy, "journal");
}

bool subject_may_mix(const SubjectSpec *spec)
{
    return is_policy(spec->policy, "ppl");
}

unsigned subject_tolerates(const SubjectSpec *spec)
{
    switch (spec->level) {
    case OPUS_RAID_LEVEL_RAID1:
        return spec->nr_slots - 1;
    case OPUS_RAID_LEVEL_RAID6:
        return 2;
    default:
        return 1;
    }
}

/* Behind the superblock: a log, if there is one. */
static uint64_t data_offset(const SubjectSpec *spec)
{
    return is_policy(spec->policy, "ppl") ? 1152 * KiB
         : is_policy(spec->policy, "journal") ? 196 * KiB : 64 * KiB;
}

uint64_t subject_disk_bytes(const SubjectSpec *spec)
{
    return data_offset(spec) + spec->member_bytes + spec->room_bytes +
           TAIL_BYTES;
}

char *subject_disk_name(unsigned disk)
{
    return g_strdup_printf("m%u", disk);
}

BlockDriverState *subject_open_disk(unsigned disk)
{
    g_autofree char *name = subject_disk_name(disk);
    QDict *options = qdict_new();

    qdict_put_str(options, "driver", "opus-sim");
    qdict_put_str(options, "node-name", name);
    qdict_put_int(options, "index", disk);
    return bdrv_open(NULL, NULL, options, BDRV_O_RDWR | BDRV_O_UNMAP,
                     &error_abort);
}

typedef struct Create {
    BlockdevCreateOptions options;
    Error **errp;
    bool ok;
    bool done;
} Create;

static void coroutine_fn create_co(void *opaque)
{
    Create *run = opaque;
    BlockDriver *drv = bdrv_find_format("opus-raid");

    run->ok = drv->bdrv_co_create(&run->options, run->errp) == 0;
    run->done = true;
    aio_wait_kick();
}

bool subject_create(const SubjectSpec *spec, Error **errp)
{
    Create run = {
        .options = { .driver = BLOCKDEV_DRIVER_OPUS_RAID }, .errp = errp,
    };
    BlockdevCreateOptionsOpusRaid *raid = &run.options.u.opus_raid;
    BlockdevRefList **tail = &raid->members;
    BlockDriverState *disks[BITS_PER_LONG];

    raid->level = spec->level;
    raid->has_chunk_size = spec->level != OPUS_RAID_LEVEL_RAID1;
    raid->chunk_size = spec->chunk_bytes;
    raid->has_size = true;
    raid->size = spec->member_bytes;
    raid->has_data_offset = true;
    raid->data_offset = data_offset(spec);
    raid->has_consistency_policy = true;
    raid->consistency_policy = spec->policy;
    raid->has_bitmap_chunk_size = is_policy(spec->policy, "bitmap");
    raid->bitmap_chunk_size = spec->bitmap_chunk_bytes;
    raid->has_assume_clean = true;
    raid->assume_clean = true;          /* blank disks hold zeroes */
    for (unsigned i = 0; i < spec->nr_slots; i++) {
        BlockdevRef *ref = g_new0(BlockdevRef, 1);

        disks[i] = subject_open_disk(i);
        ref->type = QTYPE_QSTRING;
        ref->u.reference = subject_disk_name(i);
        QAPI_LIST_APPEND(tail, ref);
    }
    qemu_coroutine_enter(qemu_coroutine_create(create_co, &run));
    AIO_WAIT_WHILE_UNLOCKED(NULL, !run.done);
    qapi_free_BlockdevRefList(raid->members);
    for (unsigned i = 0; i < spec->nr_slots; i++) {
        bdrv_unref(disks[i]);
    }
    return run.ok;
}

QDict *subject_array_options(const char *node, const char *prefix,
                             uint64_t disks)
{
    QDict *options = qdict_new();
    unsigned nr = 0;

    qdict_put_str(options, "driver", "opus-raid");
    qdict_put_str(options, "node-name", node);
    for (unsigned disk = 0; disks >> disk; disk++) {
        g_autofree char *key = g_strdup_printf("members.%u", nr);
        g_autofree char *driver = g_strdup_printf("%s.driver", key);
        g_autofree char *index = g_strdup_printf("%s.index", key);
        g_autofree char *name_key = g_strdup_printf("%s.node-name", key);
        g_autofree char *name = g_strdup_printf("%s%u", prefix, disk);

        if (disks >> disk & 1) {
            qdict_put_str(options, driver, "opus-sim");
            qdict_put_int(options, index, disk);
            qdict_put_str(options, name_key, name);
            nr++;
        }
    }
    return options;
}

bool subject_open(uint64_t disks, SubjectHow how, Error **errp)
{
    QDict *options = subject_array_options("array", "m", disks);
    int flags = BDRV_O_UNMAP | (how == SUBJECT_READ_ONLY ? 0 : BDRV_O_RDWR);

    qdict_put_str(options, "assemble",
                  how == SUBJECT_FORCED ? "force" : "degraded");
    array_bs = bdrv_open(NULL, NULL, options, flags, errp);
    if (!array_bs) {
        return false;
    }
    /* The monitor's node comes first, and its users later. */
    array_blk = blk_new_with_bs(array_bs, how == SUBJECT_READ_ONLY ?
                                BLK_PERM_CONSISTENT_READ :
                                BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                                BLK_PERM_ALL, &error_abort);
    bdrv_unref(array_bs);
    blk_set_enable_write_cache(array_blk, true);
    return true;
}

void subject_let_jobs_start(bool let)
{
    jobs_start = let;
}

bool subject_is_busy(void)
{
    return job_next(NULL);
}

void subject_wait(void)
{
    do {
        while (subject_is_busy()) {
            aio_poll(qemu_get_aio_context(), true);
        }
        blk_flush(array_blk);   /* the next job may start meanwhile */
    } while (subject_is_busy());
}

void subject_close(void)
{
    BlockBackend *blk = array_blk;

    subject_wait();
    array_bs = NULL;            /* so that no job starts any more */
    array_blk = NULL;
    blk_unref(blk);
}

BlockBackend *subject_blk(void)
{
    return array_blk;
}

bool subject_is_read_only(void)
{
    return bdrv_is_read_only(array_bs);
}

uint64_t subject_bytes(void)
{
    return blk_getlength(array_blk);
}

uint32_t subject_block_bytes(void)
{
    return blk_get_request_alignment(array_blk);
}

static OpusRaidInfoList *query(void)
{
    return qmp_query_opus_raid("array", &error_abort);
}

uint64_t subject_member_bytes(void)
{
    g_autoptr(OpusRaidInfoList) list = query();

    return list->value->member_size;
}

OpusRaidArrayState subject_state(void)
{
    g_autoptr(OpusRaidInfoList) list = query();

    return list->value->state;
}

OpusRaidConsistencyPolicy subject_policy(void)
{
    g_autoptr(OpusRaidInfoList) list = query();

    return list->value->consistency_policy;
}

uint64_t subject_disks(unsigned states)
{
    g_autoptr(OpusRaidInfoList) list = query();
    uint64_t disks = 0;

    for (OpusRaidMemberInfoList *m = list->value->members; m; m = m->next) {
        const char *name = m->value->node_name;

        if (name && (states >> m->value->state & 1)) {
            disks |= 1ull << g_ascii_strtoull(name + 1, NULL, 10);
        }
    }
    return disks;
}

bool subject_add(unsigned disk, Error **errp)
{
    g_autofree char *name = subject_disk_name(disk);
    BlockDriverState *bs = subject_open_disk(disk);
    BlockdevRef ref = { .type = QTYPE_QSTRING, .u.reference = name };
    Error *err = NULL;

    qmp_opus_raid_add_member("array", &ref, true, true, false, false, false,
                             false, &err);
    bdrv_unref(bs);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    return true;
}

uint8_t *subject_read_all(void)
{
    uint64_t bytes = subject_bytes();
    uint8_t *buf = g_malloc(bytes);

    if (blk_pread(array_blk, 0, bytes, buf, 0) < 0) {
        g_free(buf);
        return NULL;
    }
    return buf;
}
