/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Options: what the user says about an array that is opened
 *
 * Owns: names, types and presets of the node's options.
 * Must not know: members, requests.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/util.h"
#include "qemu/option.h"
#include "block/opus-raid/array/may-lose.h"
#include "block/opus-raid/base/uuid.h"
#include "block/opus-raid/control/options.h"
#include "block/opus-raid/jobs/job.h"
#include "block/opus-raid/jobs/pace.h"

#define OPT_UUID                "uuid"
#define OPT_NAME                "name"
#define OPT_ASSEMBLE            "assemble"
#define OPT_READ_ERROR_LIMIT    "read-error-limit"
#define OPT_REBUILD_SPEED       "rebuild-speed"
#define OPT_REBUILD_SPEED_MIN   "rebuild-speed-min"
#define OPT_MEMBER_TIMEOUT      "member-timeout"

static QemuOptsList runtime_opts = {
    .name = "opus-raid",
    .head = QTAILQ_HEAD_INITIALIZER(runtime_opts.head),
    .desc = {
        {
            .name = OPT_UUID,
            .type = QEMU_OPT_STRING,
            .help = "UUID of the array to insist on",
        },
        {
            .name = OPT_NAME,
            .type = QEMU_OPT_STRING,
            .help = "Name of the array to insist on",
        },
        {
            .name = OPT_ASSEMBLE,
            .type = QEMU_OPT_STRING,
            .help = "When to start the array (strict, degraded, force)",
        },
        {
            .name = OPT_READ_ERROR_LIMIT,
            .type = QEMU_OPT_NUMBER,
            .help = "Corrected read errors after which a member is failed",
        },
        {
            .name = OPT_REBUILD_SPEED,
            .type = QEMU_OPT_SIZE,
            .help = "Bytes per second of jobs at most (0: no limit)",
        },
        {
            .name = OPT_REBUILD_SPEED_MIN,
            .type = QEMU_OPT_SIZE,
            .help = "Bytes per second of jobs while the array is in use",
        },
        {
            .name = OPT_MEMBER_TIMEOUT,
            .type = QEMU_OPT_NUMBER,
            .help = "Milliseconds until a silent member is failed (0: never)",
        },
        { /* end of list */ }
    },
};

/* The part of them that may change on a live array. */
static QemuOptsList reopen_opts = {
    .name = "opus-raid-reopen",
    .head = QTAILQ_HEAD_INITIALIZER(reopen_opts.head),
    .desc = {
        {
            .name = OPT_READ_ERROR_LIMIT,
            .type = QEMU_OPT_NUMBER,
        },
        {
            .name = OPT_REBUILD_SPEED,
            .type = QEMU_OPT_SIZE,
        },
        {
            .name = OPT_REBUILD_SPEED_MIN,
            .type = QEMU_OPT_SIZE,
        },
        {
            .name = OPT_MEMBER_TIMEOUT,
            .type = QEMU_OPT_NUMBER,
        },
        { /* end of list */ }
    },
};

const char *const opus_strong_options[] = {
    OPT_UUID, OPT_NAME, OPT_ASSEMBLE, NULL
};

const char *const opus_mutable_options[] = {
    OPT_READ_ERROR_LIMIT, OPT_REBUILD_SPEED, OPT_REBUILD_SPEED_MIN,
    OPT_MEMBER_TIMEOUT, NULL
};

static bool parse_uint32(QemuOpts *opts, const char *name, uint32_t unset,
                         uint32_t *value, Error **errp)
{
    uint64_t number = qemu_opt_get_number(opts, name, unset);

    if (number > UINT32_MAX) {
        error_setg(errp, "'%s' must be below 2^32", name);
        return false;
    }
    *value = number;
    return true;
}

static bool parse_speed(QemuOpts *opts, const char *name, uint64_t preset,
                        uint64_t *speed, Error **errp)
{
    *speed = qemu_opt_get_size(opts, name, preset);
    if (*speed > INT64_MAX) {
        error_setg(errp, "'%s' must be below 2^63", name);
        return false;
    }
    return true;
}

static bool parse_mutable_options(QemuOpts *opts, OpusMutableOptions *to,
                                  Error **errp)
{
    return parse_uint32(opts, OPT_READ_ERROR_LIMIT, OPUS_READ_ERROR_LIMIT,
                        &to->read_error_limit, errp) &&
           parse_uint32(opts, OPT_MEMBER_TIMEOUT, 0, &to->member_timeout_ms,
                        errp) &&
           parse_speed(opts, OPT_REBUILD_SPEED, 0, &to->rebuild_speed,
                       errp) &&
           parse_speed(opts, OPT_REBUILD_SPEED_MIN, OPUS_PACE_MIN_DEFAULT,
                       &to->rebuild_speed_min, errp);
}

void opus_options_take(OpusRaid *s, const OpusMutableOptions *from)
{
    s->options.read_error_limit = from->read_error_limit;
    opus_timeouts_set(&s->timeouts, from->member_timeout_ms);
    opus_array_apply_timeouts(s);
    qatomic_set(&s->options.rebuild_speed_min, from->rebuild_speed_min);
    if (s->options.rebuild_speed != from->rebuild_speed) {
        s->options.rebuild_speed = from->rebuild_speed;
        opus_job_set_speed(s, s->options.rebuild_speed);
    }
}

static bool parse_options(OpusRaid *s, QemuOpts *opts, Error **errp)
{
    OpusMutableOptions mutable;
    const char *uuid = qemu_opt_get(opts, OPT_UUID);
    int policy = qapi_enum_parse(&OpusRaidAssemblePolicy_lookup,
                                 qemu_opt_get(opts, OPT_ASSEMBLE),
                                 OPUS_RAID_ASSEMBLE_POLICY_DEGRADED, errp);

    if (policy < 0 || !parse_mutable_options(opts, &mutable, errp)) {
        return false;
    }
    opus_options_take(s, &mutable);
    s->options.policy = (RaidPolicy)policy;
    s->options.want_name = g_strdup(qemu_opt_get(opts, OPT_NAME));
    if (uuid) {
        s->options.want_uuid = g_malloc0(16);
        return opus_parse_uuid(uuid, s->options.want_uuid, errp);
    }
    return true;
}

bool opus_options_open(OpusRaid *s, QDict *options, Error **errp)
{
    QemuOpts *opts = qemu_opts_create(&runtime_opts, NULL, 0, &error_abort);
    bool ok = qemu_opts_absorb_qdict(opts, options, errp) &&
              parse_options(s, opts, errp);

    qemu_opts_del(opts);
    return ok;
}

bool opus_options_reopen(QDict *options, OpusMutableOptions *to, Error **errp)
{
    QemuOpts *opts = qemu_opts_create(&reopen_opts, NULL, 0, &error_abort);
    bool ok = qemu_opts_absorb_qdict(opts, options, errp) &&
              parse_mutable_options(opts, to, errp);

    qemu_opts_del(opts);
    return ok;
}
