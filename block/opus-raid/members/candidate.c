/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * New member: a node that is about to become a member of an array
 *
 * Owns: what may be overwritten, and how.
 * Must not know: arrays.
 * Threads: main loop, or a job's coroutine there; nothing else writes to the
 * node.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/job.h"
#include "qemu/memalign.h"
#include "qemu/units.h"
#include "block/opus-raid/array/superblocks.h"
#include "block/opus-raid/base/node.h"
#include "block/opus-raid/base/uuid.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/members/candidate.h"

/* Where foreign metadata may be: this much at each end of a member. */
#define FOREIGN_BYTES       (1 * MiB)

/* What is zeroed between two looks whether that is to end. */
#define STEP_BYTES          (64 * MiB)

/* From one look to the next whether a node is still drained. */
#define LOOK_NS             (10 * SCALE_MS)

bool opus_new_member_is_new(const OpusNewMember *members, unsigned nr,
                            BlockDriverState *bs, Error **errp)
{
    for (unsigned i = 0; i < nr; i++) {
        if (blk_bs(members[i].blk) == bs) {
            error_setg(errp, "'%s' is given twice", members[i].name);
            return false;
        }
    }
    return true;
}

bool coroutine_fn opus_new_member_open(OpusNewMember *m, BlockDriverState *bs,
                                       Error **errp)
{
    int64_t bytes;

    WITH_GRAPH_RDLOCK_GUARD() {
        m->name = opus_node_label(bs);
    }
    m->blk = blk_co_new_with_bs(bs, BLK_PERM_CONSISTENT_READ | BLK_PERM_WRITE,
                                BLK_PERM_CONSISTENT_READ, errp);
    if (!m->blk) {
        WITH_GRAPH_RDLOCK_GUARD() {
            opus_explain_conflict(bs, BLK_PERM_WRITE, BLK_PERM_CONSISTENT_READ,
                                  errp);
        }
        g_free(m->name);
        return false;
    }
    blk_set_allow_write_beyond_eof(m->blk, false);
    WITH_GRAPH_RDLOCK_GUARD() {
        m->claim = opus_claim_take(bs, m->name, errp);
    }
    if (!m->claim) {
        opus_new_member_close(m);
        return false;
    }
    bytes = blk_co_getlength(m->blk);
    if (bytes < 0) {
        error_setg_errno(errp, -bytes, "Cannot get the size of member '%s'",
                         m->name);
        opus_new_member_close(m);
        return false;
    }
    m->device_bytes = bytes;
    return true;
}

void coroutine_fn opus_new_member_close(OpusNewMember *m)
{
    opus_claim_release(m->claim);
    blk_co_unref(m->blk);
    g_free(m->name);
}

bool opus_new_member_check_blocks(const OpusNewMember *m, uint64_t block_bytes,
                                  Error **errp)
{
    uint32_t member_bytes = blk_bs(m->blk)->bl.request_alignment;

    if (block_bytes && member_bytes > block_bytes) {
        error_setg(errp, "Member '%s' has blocks of %" PRIu32 " bytes, more "
                   "than the logical block size of the array", m->name,
                   member_bytes);
        return false;
    }
    return true;
}

/* A driver is not told which job it creates for. */
static bool coroutine_fn job_is_over(void)
{
    Coroutine *self = qemu_coroutine_self();

    JOB_LOCK_GUARD();
    for (Job *job = job_next_locked(NULL); job; job = job_next_locked(job)) {
        if (job->co == self) {
            return job_is_cancelled_locked(job);
        }
    }
    return false;
}

int coroutine_fn opus_new_member_await(const OpusNewMember *m)
{
    bool is_over;

    GLOBAL_STATE_CODE();
    while (!(is_over = job_is_over()) && blk_in_drain(m->blk)) {
        qemu_co_sleep_ns(QEMU_CLOCK_REALTIME, LOOK_NS);
    }
    return is_over ? -ECANCELED : 0;
}

/* Tell what is there by its name, if it is md's. */
static void set_foreign_error(const OpusNewMember *m, const void *buf,
                              uint64_t off, Error **errp)
{
    g_autofree MdSuper *super = g_new(MdSuper, 1);
    ERRP_GUARD();

    for (unsigned minor = 0; minor <= 2; minor++) {
        uint64_t super_off = md_super_offset(minor, m->device_bytes);

        if (super_off >= off && super_off + MD_SUPER_MAX_BYTES <=
                                off + FOREIGN_BYTES &&
            md_super_decode(buf + (super_off - off), MD_SUPER_MAX_BYTES,
                            minor, m->device_bytes, super) == MD_SUPER_OK) {
            g_autofree char *uuid = opus_format_uuid(super->set_uuid);

            error_setg(errp, "Member '%s' belongs to the md array with UUID "
                       "%s", m->name, uuid);
            break;
        }
    }
    if (!*errp) {
        error_setg(errp, "Member '%s' is not empty: there is data near its "
                   "%s", m->name, off ? "end" : "start");
    }
    error_append_hint(errp, "Zero the first and the last MiB of the member, "
                      "or use force=true to overwrite it.\n");
}

int coroutine_fn opus_new_member_check_empty(const OpusNewMember *m,
                                             Error **errp)
{
    uint64_t bytes = MIN(FOREIGN_BYTES, m->device_bytes);
    uint64_t places[] = { 0, m->device_bytes - bytes };
    void *buf = qemu_try_blockalign(blk_bs(m->blk), FOREIGN_BYTES);
    int ret = 0;

    if (!buf) {
        error_setg(errp, "Out of memory");
        return -ENOMEM;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(places) && ret == 0; i++) {
        memset(buf, 0, FOREIGN_BYTES);
        ret = opus_new_member_await(m) ?:
              blk_co_pread(m->blk, places[i], bytes, buf, 0);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Cannot read member '%s'", m->name);
        } else if (!buffer_is_zero(buf, bytes)) {
            set_foreign_error(m, buf, places[i], errp);
            ret = -EEXIST;
        } else {
            ret = 0;
        }
    }
    qemu_vfree(buf);
    return ret;
}

bool coroutine_fn opus_new_member_find_super(const OpusNewMember *m,
                                             MdSuper *super)
{
    MdSuperError err = MD_SUPER_NONE;
    int io_error;

    if (opus_new_member_await(m) < 0) {
        return false;
    }
    /* As assembly looks for it, or one of two would not be the same one. */
    WITH_GRAPH_RDLOCK_GUARD() {
        err = opus_metadata_read((BdrvChild *)blk_root(m->blk), super,
                                 &io_error);
    }
    return err == MD_SUPER_OK;
}

static int coroutine_fn zero_in_steps(const OpusNewMember *m, uint64_t off,
                                      uint64_t bytes)
{
    int ret = 0;

    for (uint64_t done = 0; done < bytes && ret == 0; done += STEP_BYTES) {
        ret = opus_new_member_await(m) ?:
              blk_co_pwrite_zeroes(m->blk, off + done,
                                   MIN(bytes - done, STEP_BYTES),
                                   BDRV_REQ_MAY_UNMAP);
    }
    return ret;
}

/* md has it at the end of a member with metadata 1.0. */
static int coroutine_fn zero_end_super(const OpusNewMember *m)
{
    uint64_t off = md_super_offset(0, m->device_bytes);
    g_autofree MdSuper *super = g_new(MdSuper, 1);
    void *buf;
    int ret;

    if (off == UINT64_MAX) {
        return 0;
    }
    buf = qemu_blockalign(blk_bs(m->blk), MD_SUPER_MAX_BYTES);
    ret = opus_new_member_await(m) ?:
          blk_co_pread(m->blk, off, MD_SUPER_MAX_BYTES, buf, 0);
    if (ret >= 0 && md_super_decode(buf, MD_SUPER_MAX_BYTES, 0,
                                    m->device_bytes, super) == MD_SUPER_OK) {
        ret = opus_new_member_await(m) ?:
              blk_co_pwrite_zeroes(m->blk, off, MD_SUPER_MAX_BYTES, 0);
    }
    qemu_vfree(buf);
    return MIN(ret, 0);
}

/*
 * Old superblocks must not outlive the array: one at the end (1.0) would be
 * found as well as ours.
 */
int coroutine_fn opus_new_member_wipe(const OpusNewMember *m,
                                      uint64_t data_offset, bool wipe_data)
{
    int ret = zero_in_steps(m, 0, data_offset);

    if (ret == 0 && wipe_data) {
        ret = zero_in_steps(m, data_offset, m->data_bytes);
    }
    return ret ?: zero_end_super(m) ?: opus_new_member_await(m) ?:
           blk_co_flush(m->blk);
}

bool opus_new_member_can_keep(const OpusNewMember *m, const MdSuper *super,
                              Error **errp)
{
    g_autofree uint8_t *buf = g_malloc(MD_SUPER_MAX_BYTES);
    g_autofree MdSuper *back = g_new(MdSuper, 1);
    MdSuperError err;

    md_super_encode(super, buf);
    err = md_super_decode(buf, MD_SUPER_MAX_BYTES, super->minor_version,
                          m->device_bytes, back);
    if (err != MD_SUPER_OK) {
        error_setg(errp, "Member '%s' has %" PRIu64 " bytes, of which %" PRIu64
                   " are for data: such an array could not be opened (%s)",
                   m->name, m->device_bytes, m->data_bytes,
                   md_super_error_text(err));
    }
    return err == MD_SUPER_OK;
}

int coroutine_fn opus_new_member_write_super(const OpusNewMember *m,
                                             const MdSuper *super)
{
    void *buf = qemu_blockalign(blk_bs(m->blk), MD_SUPER_MAX_BYTES);
    size_t bytes = QEMU_ALIGN_UP(md_super_encode(super, buf),
                                 RAID_SECTOR_BYTES);
    int ret = opus_new_member_await(m) ?:
              blk_co_pwrite(m->blk, super->super_offset_sectors *
                            RAID_SECTOR_BYTES, bytes, buf, 0);

    qemu_vfree(buf);
    return MIN(ret, 0) ?: opus_new_member_await(m) ?: blk_co_flush(m->blk);
}
