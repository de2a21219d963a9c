/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Create options: which of them go together, and what is taken without them
 *
 * Owns: defaults that do not depend on the members.
 * Must not know: members, what is written to them.
 * Threads: any; nothing here has state.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/host-utils.h"
#include "qemu/units.h"
#include "block/opus-raid/setup/create-options.h"

#define DEFAULT_CHUNK_BYTES (512 * KiB)

/* md takes no larger block than a page, and most kernels' have this size. */
#define MAX_BLOCK_BYTES     4096

OpusRaidInitialSync
opus_create_sync(const BlockdevCreateOptionsOpusRaid *opts)
{
    if (opts->has_initial_sync) {
        return opts->initial_sync;
    }
    return opts->assume_clean ? OPUS_RAID_INITIAL_SYNC_ASSUME_CLEAN
                              : OPUS_RAID_INITIAL_SYNC_ZERO;
}

static bool is_power_between(uint64_t bytes, uint64_t min, uint64_t max)
{
    return bytes >= min && bytes <= max && is_power_of_2(bytes);
}

/* Those that do not depend on the members. */
static bool options_fit(const BlockdevCreateOptionsOpusRaid *opts,
                        Error **errp)
{
    if (opts->level == OPUS_RAID_LEVEL_RAID4) {
        error_setg(errp, "raid4 arrays can be opened, but not created; use "
                   "raid5 with layout parity-last");
        return false;
    }
    if (opts->has_chunk_size && opts->level == OPUS_RAID_LEVEL_RAID1) {
        error_setg(errp, "'chunk-size' does not apply to raid1");
        return false;
    }
    if (opts->has_copies && opts->level != OPUS_RAID_LEVEL_RAID10) {
        error_setg(errp, "'copies' applies to raid10 only");
        return false;
    }
    if (opts->has_size && opts->level == OPUS_RAID_LEVEL_RAID0) {
        error_setg(errp, "'size' does not apply to raid0");
        return false;
    }
    if (opts->has_assume_clean && opts->has_initial_sync) {
        error_setg(errp, "'assume-clean' and 'initial-sync' can't be given "
                   "together");
        return false;
    }
    if (opts->initial_sync == OPUS_RAID_INITIAL_SYNC_RESYNC &&
        opts->level == OPUS_RAID_LEVEL_RAID0) {
        error_setg(errp, "raid0 has no redundancy to resync");
        return false;
    }
    if (opts->has_chunk_size &&
        !is_power_between(opts->chunk_size, RAID_MIN_CHUNK_BYTES,
                          RAID_MAX_CHUNK_BYTES)) {
        error_setg(errp, "'chunk-size' must be a power of two from 4 KiB to "
                   "1 GiB");
        return false;
    }
    if (opts->has_logical_block_size &&
        !is_power_between(opts->logical_block_size, RAID_SECTOR_BYTES,
                          MAX_BLOCK_BYTES)) {
        error_setg(errp, "'logical-block-size' must be a power of two from "
                   "512 to %d", MAX_BLOCK_BYTES);
        return false;
    }
    return true;
}

bool opus_create_params(const BlockdevCreateOptionsOpusRaid *opts,
                        RaidGeometryParams *params, Error **errp)
{
    static const RaidLayout default_layouts[] = {
        [RAID_LEVEL_5] = RAID_LAYOUT_LEFT_SYMMETRIC,
        [RAID_LEVEL_6] = RAID_LAYOUT_LEFT_SYMMETRIC,
        [RAID_LEVEL_10] = RAID_LAYOUT_NEAR,
    };
    unsigned copies = opts->has_copies ? opts->copies : 2;

    if (!options_fit(opts, errp)) {
        return false;
    }
    params->level = (RaidLevel)opts->level;
    params->chunk_bytes = opts->has_chunk_size ? opts->chunk_size
                                               : DEFAULT_CHUNK_BYTES;
    params->layout = default_layouts[MIN(params->level, RAID_LEVEL_10)];
    if (opts->has_layout) {
        params->layout = (RaidLayout)opts->layout;
    } else if (params->level == RAID_LEVEL_0) {
        params->layout = RAID_LAYOUT_ALTERNATE;
    }
    params->near_copies = 1;
    params->far_copies = 1;
    if (params->layout == RAID_LAYOUT_NEAR) {
        params->near_copies = copies;
    } else {
        params->far_copies = copies;
    }
    return true;
}
