/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Create: blockdev-create of a new array
 *
 * Owns: the layout of a new member, the order of first writes.
 * Must not know: running arrays.
 * Threads: main loop, in a job's coroutine; the members have no other user.
 *
 * A member of a new array:
 *
 *     0        4 KiB        8 KiB                data_offset          end
 *     |  zero  | superblock | room: bitmap, logs | data                |
 *
 * Superblocks come last, when everything that they speak of is durable, so an
 * array that is cut while it is created is no array.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/bitops.h"
#include "qemu/cutils.h"
#include "qemu/memalign.h"
#include "qemu/units.h"
#include "qemu/uuid.h"
#include <linux/raid/md_p.h>
#include "block/opus-raid/array/opus-raid.h"
#include "block/opus-raid/base/uuid.h"
#include "block/opus-raid/consistency/bitmap.h"
#include "block/opus-raid/members/candidate.h"
#include "block/opus-raid/setup/create-options.h"
#include "block/opus-raid/setup/create.h"
#include "block/opus-raid/trace.h"
#include "util/raid/extension.h"
#include "util/raid/md-bitmap.h"
#include "util/raid/md-ppl.h"
#include "util/raid/stripe-journal.h"

/* Fits one sector, so that no write of it can be torn. */
#define NEW_SUPER_MAX_DEV   128

/* All that md can use of a bad-block log: one page. */
#define BAD_LOG_SECTORS     8

/* Data starts on a multiple of this. */
#define DATA_ALIGN_BYTES    (1 * MiB)

/* mdadm gives members of this size a bitmap unless told otherwise. */
#define BITMAP_FROM_BYTES   (100 * GiB)

#define SUPER_OFFSET        4096
#define DATA_OFFSET_MAX     (128 * MiB)

/* The stripe journal goes from here up to the extension block. */
#define JOURNAL_OFFSET      (64 * KiB)

/* Unless it would take more than this part of the smallest member. */
#define JOURNAL_SHARE       8

typedef struct NewArray {
    const BlockdevCreateOptionsOpusRaid *opts;
    OpusNewMember members[RAID_MAX_MEMBERS];
    unsigned nr;
    uint64_t data_offset;
    uint8_t uuid[16];
    uint64_t ctime;             /* seconds: one of an array's marks to mdadm */
    RaidGeometry geom;
    bool has_bitmap;
    bool has_ppl;
    bool has_journal;
    MdBitmapSuper bitmap;
} NewArray;

/* Where the data may begin, behind superblock and logs. */
static uint64_t ppl_end(void)
{
    return SUPER_OFFSET + RAID_SECTOR_BYTES *
           (md_ppl_default_offset(2, MD_PPL_DEFAULT_SECTORS) +
            MD_PPL_DEFAULT_SECTORS + BAD_LOG_SECTORS);
}

/*
 * Room for two units that each hold a whole stripe, with parity twice (which is
 * what raid_journal_max_write() reckons with), and some small writes.
 */
static uint64_t journal_end(const NewArray *a, const RaidGeometryParams *params,
                            uint64_t smallest_bytes)
{
    uint64_t half = (uint64_t)(a->nr + 2) * params->chunk_bytes + 256 * KiB;
    uint64_t share = smallest_bytes / JOURNAL_SHARE;
    uint64_t bytes = 2 * MIN(half, RAID_JOURNAL_MAX_HALF_BYTES);

    bytes = MAX(MIN(bytes, share), MiB - JOURNAL_OFFSET - RAID_EXTENSION_BYTES);
    return JOURNAL_OFFSET + bytes + RAID_EXTENSION_BYTES;
}

/*
 * Leave room in proportion for what may be added to the array later: bitmap,
 * log, and a reshape's backup.
 */
static uint64_t default_data_offset(const NewArray *a,
                                    const RaidGeometryParams *params,
                                    uint64_t smallest_bytes)
{
    uint64_t share = QEMU_ALIGN_DOWN(smallest_bytes / 64, DATA_ALIGN_BYTES);
    uint64_t needed = DATA_ALIGN_BYTES;

    if (a->has_ppl) {
        needed = ROUND_UP(ppl_end(), DATA_ALIGN_BYTES);
    } else if (a->has_journal) {
        needed = ROUND_UP(journal_end(a, params, smallest_bytes),
                          DATA_ALIGN_BYTES);
    }
    return MIN(MAX(share, needed), DATA_OFFSET_MAX);
}

static bool choose_sizes(NewArray *a, RaidGeometryParams *params,
                         Error **errp)
{
    const BlockdevCreateOptionsOpusRaid *opts = a->opts;
    uint64_t smallest = UINT64_MAX;
    RaidGeometryError err;

    for (unsigned i = 0; i < a->nr; i++) {
        smallest = MIN(smallest, a->members[i].device_bytes);
    }
    a->data_offset = opts->has_data_offset ? opts->data_offset
                                           : default_data_offset(a, params,
                                                                 smallest);
    if (a->data_offset % 4096 || a->data_offset < 64 * KiB) {
        error_setg(errp, "'data-offset' must be a multiple of 4 KiB and at "
                   "least 64 KiB");
        return false;
    }

    if (a->has_ppl && a->data_offset < ppl_end()) {
        error_setg(errp, "'data-offset' must be at least %" PRIu64 " to leave "
                   "room for the partial parity log", ppl_end());
        return false;
    }

    if (a->has_journal && a->data_offset < JOURNAL_OFFSET +
                          RAID_JOURNAL_MIN_BYTES + RAID_EXTENSION_BYTES) {
        error_setg(errp, "'data-offset' must be at least %" PRIu64 " to leave "
                   "room for the stripe journal", (uint64_t)(JOURNAL_OFFSET +
                   RAID_JOURNAL_MIN_BYTES + RAID_EXTENSION_BYTES));
        return false;
    }

    for (unsigned i = 0; i < a->nr; i++) {
        OpusNewMember *m = &a->members[i];

        m->data_bytes = m->device_bytes > a->data_offset
                        ? m->device_bytes - a->data_offset : 0;
        m->data_bytes = QEMU_ALIGN_DOWN(m->data_bytes, RAID_SECTOR_BYTES);
        if (opts->has_size && opts->size > m->data_bytes) {
            error_setg(errp, "Member '%s' has room for %" PRIu64 " bytes of "
                       "data, less than 'size'", m->name, m->data_bytes);
            return false;
        }
        params->member_bytes[i] = opts->has_size ? opts->size : m->data_bytes;
        params->member_bytes[i] -= params->member_bytes[i] %
                                   MAX(opts->logical_block_size, 1);
    }
    params->nr_slots = a->nr;
    err = raid_geometry_init(&a->geom, params);
    if (err != RAID_GEOMETRY_OK) {
        error_setg(errp, "Cannot make a %s array of these %u members: %s",
                   raid_level_name(params->level), a->nr,
                   raid_geometry_error_text(err));
        return false;
    }
    return true;
}

/* Sectors from the bitmap to the data, but for the bad-block log. */
static uint32_t bitmap_room(const NewArray *a)
{
    return (a->data_offset - SUPER_OFFSET) / RAID_SECTOR_BYTES -
           md_bitmap_default_offset(2, 0) - BAD_LOG_SECTORS;
}

static bool choose_bitmap_chunk(NewArray *a, Error **errp)
{
    const BlockdevCreateOptionsOpusRaid *opts = a->opts;
    uint64_t sync_sectors = md_bitmap_sync_sectors(&a->geom);
    uint32_t room = bitmap_room(a);
    uint32_t space = md_bitmap_default_space(a->members[0].data_bytes /
                                             RAID_SECTOR_BYTES);
    uint64_t chunk_bytes = opts->bitmap_chunk_size;

    if (!opts->has_bitmap_chunk_size) {
        chunk_bytes = md_bitmap_default_chunk(sync_sectors, MIN(room, space));
    } else if (chunk_bytes < 4096 || chunk_bytes > UINT32_MAX ||
               !is_power_of_2(chunk_bytes)) {
        error_setg(errp, "'bitmap-chunk-size' must be a power of two from "
                   "4 KiB to 2 GiB");
        return false;
    }
    if (!chunk_bytes ||
        md_bitmap_file_sectors(md_bitmap_nr_bits(sync_sectors, chunk_bytes)) >
        room) {
        error_setg(errp, "There is no room for the bitmap between superblock "
                   "and data: use a larger 'bitmap-chunk-size' or "
                   "'data-offset'");
        return false;
    }
    if (md_bitmap_nr_bits(sync_sectors, chunk_bytes) > OPUS_BITMAP_MAX_BITS) {
        error_setg(errp, "The bitmap would have more than %" PRIu64 " bits: "
                   "use a larger 'bitmap-chunk-size'", OPUS_BITMAP_MAX_BITS);
        return false;
    }
    a->bitmap.chunk_bytes = chunk_bytes;
    a->bitmap.sectors_reserved = MIN(room, space);
    return true;
}

static bool choose_policy(NewArray *a, Error **errp)
{
    const BlockdevCreateOptionsOpusRaid *opts = a->opts;
    bool redundant = a->geom.level != RAID_LEVEL_0;

    a->has_bitmap = redundant && a->geom.member_bytes >= BITMAP_FROM_BYTES;
    if (opts->has_consistency_policy) {
        a->has_bitmap = opts->consistency_policy ==
                        OPUS_RAID_CONSISTENCY_POLICY_BITMAP;
        if (!redundant) {
            error_setg(errp, "'consistency-policy' does not apply to raid0");
            return false;
        }
        if (a->has_ppl && a->geom.level != RAID_LEVEL_5) {
            error_setg(errp, "consistency-policy=ppl is for raid5 only");
            return false;
        }
        if (a->has_journal && !raid_has_parity(&a->geom)) {
            error_setg(errp, "consistency-policy=journal is for raid5 and "
                       "raid6 only");
            return false;
        }
    }
    if (opts->has_bitmap_chunk_size && !a->has_bitmap) {
        error_setg(errp, "'bitmap-chunk-size' needs "
                   "consistency-policy=bitmap");
        return false;
    }
    if (!a->has_bitmap) {
        return true;
    }
    a->bitmap = (MdBitmapSuper) {
        .sync_size_sectors = md_bitmap_sync_sectors(&a->geom),
        .daemon_sleep_seconds = MD_BITMAP_DEFAULT_SLEEP_SECONDS,
    };
    memcpy(a->bitmap.uuid, a->uuid, sizeof(a->bitmap.uuid));
    return choose_bitmap_chunk(a, errp);
}

static bool choose_identity(NewArray *a, Error **errp)
{
    const BlockdevCreateOptionsOpusRaid *opts = a->opts;
    QemuUUID random;

    if (opts->name && strlen(opts->name) > 32) {
        error_setg(errp, "'name' is longer than 32 bytes");
        return false;
    }
    if (opts->uuid) {
        return opus_parse_uuid(opts->uuid, a->uuid, errp);
    }
    qemu_uuid_generate(&random);
    memcpy(a->uuid, random.data, sizeof(a->uuid));
    return true;
}

static bool coroutine_fn open_members(NewArray *a, Error **errp)
{
    for (BlockdevRefList *e = a->opts->members; e; e = e->next) {
        OpusNewMember *m = &a->members[a->nr];
        BlockDriverState *bs;
        bool ok;

        if (a->nr == RAID_MAX_MEMBERS) {
            error_setg(errp, "An array has at most %d members",
                       RAID_MAX_MEMBERS);
            return false;
        }
        bs = bdrv_co_open_blockdev_ref(e->value, errp);
        if (!bs) {
            return false;
        }
        ok = opus_new_member_is_new(a->members, a->nr, bs, errp) &&
             opus_new_member_open(m, bs, errp);
        bdrv_co_unref(bs);
        if (!ok) {
            return false;
        }
        a->nr++;
        if (!opus_new_member_check_blocks(m, a->opts->logical_block_size,
                                          errp)) {
            return false;
        }
    }
    return true;
}

/*
 * The bad-block log comes behind the room that mdadm keeps for a bitmap of
 * such a member, or at the end of the room if that is smaller; or behind the
 * partial parity log; or before the stripe journal.
 */
static uint32_t bad_log_offset(const NewArray *a, const OpusNewMember *m)
{
    uint32_t space = md_bitmap_default_space(m->data_bytes /
                                             RAID_SECTOR_BYTES);

    if (a->has_journal) {
        return md_bitmap_default_offset(2, 0);
    }
    if (a->has_ppl) {
        return md_ppl_default_offset(2, MD_PPL_DEFAULT_SECTORS) +
               MD_PPL_DEFAULT_SECTORS;
    }
    if (a->has_bitmap) {
        uint64_t bits = md_bitmap_nr_bits(a->bitmap.sync_size_sectors,
                                          a->bitmap.chunk_bytes);

        space = MAX(space, QEMU_ALIGN_UP(md_bitmap_file_sectors(bits),
                                         BAD_LOG_SECTORS));
    }
    return md_bitmap_default_offset(2, 0) + MIN(space, bitmap_room(a));
}

static void fill_super(const NewArray *a, unsigned slot, MdSuper *super)
{
    const BlockdevCreateOptionsOpusRaid *opts = a->opts;
    const OpusNewMember *m = &a->members[slot];
    bool zoned = a->geom.level == RAID_LEVEL_0 && a->geom.nr_zones > 1;
    QemuUUID device_uuid;

    qemu_uuid_generate(&device_uuid);
    *super = (MdSuper) {
        .minor_version = 2,
        .feature_map = zoned ? MD_FEATURE_RAID0_LAYOUT : 0,
        .ctime = a->ctime,
        .level = raid_level_to_md(a->geom.level),
        .layout = raid_geometry_md_layout(&a->geom),
        .raid_disks = a->nr,
        .data_offset_sectors = a->data_offset / RAID_SECTOR_BYTES,
        .data_size_sectors = m->data_bytes / RAID_SECTOR_BYTES,
        .super_offset_sectors = md_super_offset(2, m->device_bytes) /
                                RAID_SECTOR_BYTES,
        .dev_number = slot,
        .bblog_size_sectors = BAD_LOG_SECTORS,
        .bblog_offset_sectors = bad_log_offset(a, m),
        .utime = a->ctime,
        .resync_offset = opus_create_sync(opts) == OPUS_RAID_INITIAL_SYNC_RESYNC
                         ? 0 : MD_RESYNC_DONE,
        .max_dev = NEW_SUPER_MAX_DEV,
    };
    if (a->geom.level != RAID_LEVEL_0) {
        super->size_sectors = a->geom.member_bytes / RAID_SECTOR_BYTES;
    }
    if (a->geom.level != RAID_LEVEL_1) {
        super->chunk_sectors = a->geom.chunk_bytes / RAID_SECTOR_BYTES;
    }
    super->block_bytes = opts->logical_block_size;
    memcpy(super->set_uuid, a->uuid, sizeof(super->set_uuid));
    memcpy(super->device_uuid, device_uuid.data, sizeof(super->device_uuid));
    pstrcpy(super->set_name, sizeof(super->set_name), opts->name ?: "");
    if (a->has_bitmap) {
        super->feature_map |= MD_FEATURE_BITMAP_OFFSET;
        super->bitmap_offset_sectors = md_bitmap_default_offset(2, 0);
    }
    if (a->has_ppl) {
        super->feature_map |= MD_FEATURE_MULTIPLE_PPLS;
        super->ppl_size_sectors = MD_PPL_DEFAULT_SECTORS;
        super->ppl_offset_sectors =
            md_ppl_default_offset(2, MD_PPL_DEFAULT_SECTORS);
    }
    if (a->has_journal) {
        super->feature_map |= RAID_FEATURE_EXTENSION;
    }
    for (unsigned i = 0; i < NEW_SUPER_MAX_DEV; i++) {
        super->roles[i] = i < a->nr ? i : MD_ROLE_SPARE;
    }
}

static int coroutine_fn write_bitmap(const NewArray *a, unsigned slot)
{
    const OpusNewMember *m = &a->members[slot];

    return opus_new_member_await(m) ?:
           opus_bitmap_write_new(m->blk, SUPER_OFFSET + RAID_SECTOR_BYTES *
                                         md_bitmap_default_offset(2, 0),
                                 &a->bitmap, opus_create_sync(a->opts) ==
                                             OPUS_RAID_INITIAL_SYNC_RESYNC);
}

/* An empty log. */
static int coroutine_fn write_ppl(const NewArray *a, unsigned slot)
{
    const OpusNewMember *m = &a->members[slot];
    void *buf = qemu_blockalign(blk_bs(m->blk), MD_PPL_HEADER_BYTES);
    MdPplRing ring;
    int ret;

    md_ppl_ring_init(&ring, MD_PPL_DEFAULT_SECTORS, md_ppl_signature(a->uuid),
                     0, buf);
    ret = opus_new_member_await(m) ?:
          blk_co_pwrite(m->blk, SUPER_OFFSET + RAID_SECTOR_BYTES *
                        md_ppl_default_offset(2, MD_PPL_DEFAULT_SECTORS),
                        MD_PPL_HEADER_BYTES, buf, BDRV_REQ_FUA);
    qemu_vfree(buf);
    return ret;
}

/* Only the extension block; empty units are written before the first write. */
static int coroutine_fn write_extension(const NewArray *a, unsigned slot,
                                        const MdSuper *super)
{
    const OpusNewMember *m = &a->members[slot];
    void *buf = qemu_blockalign(blk_bs(m->blk), RAID_EXTENSION_BYTES);
    int64_t off = raid_extension_off(super);
    RaidExtension ext = {
        .incompat = RAID_EXTENSION_JOURNAL,
        .journal_sector = JOURNAL_OFFSET / RAID_SECTOR_BYTES,
        .journal_sectors = (off - JOURNAL_OFFSET) / RAID_SECTOR_BYTES,
    };
    int ret;

    memcpy(ext.set_uuid, super->set_uuid, sizeof(ext.set_uuid));
    memcpy(ext.device_uuid, super->device_uuid, sizeof(ext.device_uuid));
    raid_extension_encode(&ext, buf);
    ret = opus_new_member_await(m) ?:
          blk_co_pwrite(m->blk, off, RAID_EXTENSION_BYTES, buf, BDRV_REQ_FUA);
    qemu_vfree(buf);
    return ret;
}

static int coroutine_fn write_super(const NewArray *a, unsigned slot)
{
    const OpusNewMember *m = &a->members[slot];
    g_autofree MdSuper *super = g_new(MdSuper, 1);

    fill_super(a, slot, super);
    trace_opus_raid_create_member(m->name, slot, a->data_offset,
                                  m->data_bytes);
    if (a->has_journal) {
        int ret = write_extension(a, slot, super);

        if (ret < 0) {
            return ret;
        }
    }
    return opus_new_member_write_super(m, super);
}

/* Before anything is written: assembly has the last word. */
static bool check_supers(const NewArray *a, Error **errp)
{
    g_autofree MdSuper *super = g_new(MdSuper, 1);

    for (unsigned i = 0; i < a->nr; i++) {
        fill_super(a, i, super);
        if (!opus_new_member_can_keep(&a->members[i], super, errp)) {
            return false;
        }
    }
    return true;
}

static int coroutine_fn create_array(NewArray *a, Error **errp)
{
    RaidGeometryParams params = { 0 };
    int ret;

    if (!opus_create_params(a->opts, &params, errp) ||
        !choose_identity(a, errp) || !open_members(a, errp) ||
        !choose_sizes(a, &params, errp) || !choose_policy(a, errp) ||
        !check_supers(a, errp)) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < a->nr && !a->opts->force; i++) {
        ret = opus_new_member_check_empty(&a->members[i], errp);
        if (ret < 0) {
            return ret;
        }
    }
    for (unsigned i = 0; i < a->nr; i++) {
        ret = opus_new_member_wipe(&a->members[i], a->data_offset,
                                   opus_create_sync(a->opts) ==
                                   OPUS_RAID_INITIAL_SYNC_ZERO);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Cannot zero member '%s'",
                             a->members[i].name);
            return ret;
        }
    }
    for (unsigned i = 0; i < a->nr && (a->has_bitmap || a->has_ppl); i++) {
        ret = a->has_bitmap ? write_bitmap(a, i) : write_ppl(a, i);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Cannot write the %s of member '%s'",
                             a->has_bitmap ? "bitmap" : "log",
                             a->members[i].name);
            return ret;
        }
    }
    for (unsigned i = 0; i < a->nr; i++) {
        ret = write_super(a, i);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Cannot write the superblock of "
                             "member '%s'", a->members[i].name);
            return ret;
        }
    }
    return 0;
}

int coroutine_fn GRAPH_UNLOCKED opus_co_create(BlockdevCreateOptions *options,
                                               Error **errp)
{
    g_autofree NewArray *a = g_new0(NewArray, 1);
    int ret;

    assert(options->driver == BLOCKDEV_DRIVER_OPUS_RAID);
    a->opts = &options->u.opus_raid;
    a->has_ppl = a->opts->has_consistency_policy &&
                 a->opts->consistency_policy ==
                 OPUS_RAID_CONSISTENCY_POLICY_PPL;
    a->has_journal = a->opts->has_consistency_policy &&
                     a->opts->consistency_policy ==
                     OPUS_RAID_CONSISTENCY_POLICY_JOURNAL;
    a->ctime = g_get_real_time() / G_USEC_PER_SEC;
    ret = create_array(a, errp);
    for (unsigned i = 0; i < a->nr; i++) {
        opus_new_member_close(&a->members[i]);
    }
    return ret;
}
