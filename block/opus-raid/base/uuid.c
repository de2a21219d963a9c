/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UUID: as text, and as superblocks have it
 *
 * Owns: nothing.
 * Threads: any.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/uuid.h"
#include "block/opus-raid/base/uuid.h"

bool opus_parse_uuid(const char *text, uint8_t *uuid, Error **errp)
{
    unsigned digits = 0;

    memset(uuid, 0, 16);
    for (const char *p = text; *p; p++) {
        int digit = g_ascii_xdigit_value(*p);

        if (*p == '-' || *p == ':') {
            continue;
        }
        if (digit < 0 || digits == 32) {
            digits = 0;
            break;
        }
        uuid[digits / 2] |= digit << (digits % 2 ? 0 : 4);
        digits++;
    }
    if (digits != 32) {
        error_setg(errp, "'%s' is no UUID: 32 hexadecimal digits are needed",
                   text);
        return false;
    }
    return true;
}

char *opus_format_uuid(const uint8_t *uuid)
{
    QemuUUID u;

    memcpy(u.data, uuid, sizeof(u.data));
    return qemu_uuid_unparse_strdup(&u);
}
