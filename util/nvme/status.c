/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status: what an NVMe drive answers, and what that means
 *
 * Owns: the table of statuses.
 * Must not know: queues, requests, who retries.
 * Threads: any; no state.
 *
 * A status that is in no table is an error, whatever its type: only the code 0
 * of the generic type is success.
 */
#include <errno.h>
#include <stddef.h>

#include "util/nvme/status.h"

#define CODE_MASK       0x7ffu      /* type and code */
#define DELAY_MASK      3u

enum {
    TYPE_GENERIC,
    TYPE_COMMAND,
    TYPE_MEDIUM,
    TYPE_PATH,
    TYPE_VENDOR = 7,
};

#define GENERIC(code)   (TYPE_GENERIC << NV_STATUS_TYPE_SHIFT | (code))
#define COMMAND(code)   (TYPE_COMMAND << NV_STATUS_TYPE_SHIFT | (code))
#define MEDIUM(code)    (TYPE_MEDIUM << NV_STATUS_TYPE_SHIFT | (code))
#define PATH(code)      (TYPE_PATH << NV_STATUS_TYPE_SHIFT | (code))

typedef struct Meaning {
    uint16_t code;
    NvStatusClass what;
    const char *name;
} Meaning;

static const Meaning meanings[] = {
    { GENERIC(0x00), NV_STATUS_GOOD, "success" },
    { GENERIC(0x01), NV_STATUS_UNSUPPORTED, "invalid opcode" },
    { GENERIC(0x02), NV_STATUS_REFUSED, "invalid field" },
    { GENERIC(0x03), NV_STATUS_FAILED, "command id conflict" },
    { GENERIC(0x04), NV_STATUS_FAILED, "data transfer error" },
    { GENERIC(0x05), NV_STATUS_PATH, "power loss" },
    { GENERIC(0x06), NV_STATUS_FAILED, "internal error" },
    { GENERIC(0x07), NV_STATUS_BUSY, "abort requested" },
    { GENERIC(0x08), NV_STATUS_BUSY, "queue deleted" },
    { GENERIC(0x0b), NV_STATUS_PATH, "invalid namespace" },
    { GENERIC(0x0c), NV_STATUS_FAILED, "command sequence error" },
    { GENERIC(0x13), NV_STATUS_REFUSED, "invalid PRP offset" },
    { GENERIC(0x15), NV_STATUS_FAILED, "operation denied" },
    { GENERIC(0x1c), NV_STATUS_FAILED, "sanitize failed" },
    { GENERIC(0x1d), NV_STATUS_BUSY, "sanitize in progress" },
    { GENERIC(0x20), NV_STATUS_PROTECTED, "namespace write protected" },
    { GENERIC(0x21), NV_STATUS_BUSY, "interrupted" },
    { GENERIC(0x22), NV_STATUS_BUSY, "transient transport error" },
    { GENERIC(0x24), NV_STATUS_BUSY, "media not ready" },
    { GENERIC(0x80), NV_STATUS_REFUSED, "LBA out of range" },
    { GENERIC(0x81), NV_STATUS_FULL, "capacity exceeded" },
    { GENERIC(0x82), NV_STATUS_BUSY, "namespace not ready" },
    { GENERIC(0x83), NV_STATUS_BUSY, "reservation conflict" },
    { GENERIC(0x84), NV_STATUS_BUSY, "format in progress" },
    { COMMAND(0x80), NV_STATUS_REFUSED, "conflicting attributes" },
    { COMMAND(0x81), NV_STATUS_REFUSED, "invalid protection information" },
    { COMMAND(0x82), NV_STATUS_PROTECTED, "write to read only range" },
    { COMMAND(0x83), NV_STATUS_REFUSED, "command size limit exceeded" },
    { MEDIUM(0x80), NV_STATUS_MEDIUM, "write fault" },
    { MEDIUM(0x81), NV_STATUS_MEDIUM, "unrecovered read error" },
    { MEDIUM(0x82), NV_STATUS_MEDIUM, "guard check error" },
    { MEDIUM(0x83), NV_STATUS_MEDIUM, "application tag check error" },
    { MEDIUM(0x84), NV_STATUS_MEDIUM, "reference tag check error" },
    { MEDIUM(0x85), NV_STATUS_MEDIUM, "compare failure" },
    { MEDIUM(0x86), NV_STATUS_MEDIUM, "access denied" },
    { MEDIUM(0x87), NV_STATUS_MEDIUM, "deallocated or unwritten block" },
    { PATH(0x00), NV_STATUS_PATH, "internal path error" },
    { PATH(0x01), NV_STATUS_PATH, "persistent loss of access" },
    { PATH(0x02), NV_STATUS_PATH, "inaccessible" },
    { PATH(0x03), NV_STATUS_PATH, "access in transition" },
    { PATH(0x60), NV_STATUS_PATH, "controller path error" },
    { PATH(0x70), NV_STATUS_PATH, "host path error" },
    { PATH(0x71), NV_STATUS_PATH, "aborted by the host" },
};

/* For codes that are in no table. */
static const Meaning by_type[] = {
    [TYPE_GENERIC] = { 0, NV_STATUS_FAILED, "unknown error" },
    [TYPE_COMMAND] = { 0, NV_STATUS_FAILED, "unknown error of the command" },
    [TYPE_MEDIUM] = { 0, NV_STATUS_MEDIUM, "unknown error of the medium" },
    [TYPE_PATH] = { 0, NV_STATUS_PATH, "unknown error of the path" },
    [TYPE_VENDOR] = { 0, NV_STATUS_FAILED, "error of the vendor's" },
};

static const Meaning *find(uint16_t status)
{
    static const Meaning reserved = { 0, NV_STATUS_FAILED, "reserved status" };
    unsigned type = (status & CODE_MASK) >> NV_STATUS_TYPE_SHIFT;

    for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
        if (meanings[i].code == (status & CODE_MASK)) {
            return &meanings[i];
        }
    }
    return by_type[type].name ? &by_type[type] : &reserved;
}

NvStatusClass nv_status_class(uint16_t status)
{
    return find(status)->what;
}

int nv_status_errno(uint16_t status)
{
    switch (nv_status_class(status)) {
    case NV_STATUS_GOOD:
        return 0;
    case NV_STATUS_BUSY:
        return -EBUSY;
    case NV_STATUS_PATH:
        return -ENXIO;
    case NV_STATUS_FULL:
        return -ENOSPC;
    case NV_STATUS_PROTECTED:
        return -EROFS;
    case NV_STATUS_UNSUPPORTED:
        return -ENOTSUP;
    case NV_STATUS_REFUSED:
        return -EINVAL;
    case NV_STATUS_MEDIUM:
    case NV_STATUS_FAILED:
        break;
    }
    return -EIO;
}

bool nv_status_may_retry(uint16_t status)
{
    NvStatusClass what = nv_status_class(status);

    return !(status & NV_STATUS_DNR) &&
           (what == NV_STATUS_BUSY || what == NV_STATUS_PATH ||
            what == NV_STATUS_FAILED);
}

unsigned nv_status_delay(uint16_t status)
{
    return status >> NV_STATUS_DELAY_SHIFT & DELAY_MASK;
}

const char *nv_status_name(uint16_t status)
{
    return find(status)->name;
}
