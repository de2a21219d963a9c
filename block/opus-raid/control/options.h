/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options: what the user says about an array that is opened
 *
 * All functions are for the main loop. They return false with @errp set.
 */
#ifndef BLOCK_OPUS_RAID_CONTROL_OPTIONS_H
#define BLOCK_OPUS_RAID_CONTROL_OPTIONS_H

#include "block/opus-raid/array/opus-raid.h"

/* What may change on a live array. */
typedef struct OpusMutableOptions {
    uint32_t read_error_limit;
    uint32_t member_timeout_ms;
    uint64_t rebuild_speed;
    uint64_t rebuild_speed_min;
} OpusMutableOptions;

/* Those of them that say which array it is; those that may change. */
extern const char *const opus_strong_options[];
extern const char *const opus_mutable_options[];

/* Take what is known from @options, and do as it says. */
bool opus_options_open(OpusRaid *s, QDict *options, Error **errp);

/* The same for a live array, to which they are given later, or not at all. */
bool opus_options_reopen(QDict *options, OpusMutableOptions *to, Error **errp);
void opus_options_take(OpusRaid *s, const OpusMutableOptions *from);

#endif /* BLOCK_OPUS_RAID_CONTROL_OPTIONS_H */
