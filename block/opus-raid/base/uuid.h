/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * UUID: as text, and as superblocks have it
 */
#ifndef BLOCK_OPUS_RAID_BASE_UUID_H
#define BLOCK_OPUS_RAID_BASE_UUID_H

/**
 * opus_parse_uuid: read a UUID as QEMU or as mdadm writes it
 * @text: 32 hexadecimal digits; '-' and ':' may stand between them
 * @uuid: 16 bytes, in the order of the text
 */
bool opus_parse_uuid(const char *text, uint8_t *uuid, Error **errp);

/* "5a2b5b1c-1fb4-4c8d-a6a0-4f1b8d2c9e11"; the caller frees it. */
char *opus_format_uuid(const uint8_t *uuid);

#endif /* BLOCK_OPUS_RAID_BASE_UUID_H */
