/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzz util/raid/assemble: whatever superblocks come together, the verdict
 * keeps the rules of tests/unit/assemble-rules.c, in every order of them.
 *
 * Input: policy, level, slots and candidates, a byte each, make a healthy
 * array; then come changes to it, four bytes each: what, whose, where, value.
 */
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/assemble-rules.h"

#define MAX_CANDIDATES  6
#define MAX_CHANGES     64
#define MAX_ORDERS      8       /* of one input */
#define NR_NUMBERS      12      /* device numbers in use */
#define DATA_SECTORS    4096
#define DEVICE_BYTES    ((2048 + DATA_SECTORS) * UINT64_C(512))

typedef struct Set {
    unsigned nr;
    RaidCandidate candidates[MAX_CANDIDATES];
    MdSuper supers[MAX_CANDIDATES];
    MdSuper decoded[MAX_CANDIDATES];
} Set;

static void make(Set *set, int32_t level, unsigned nr_slots)
{
    for (unsigned i = 0; i < set->nr; i++) {
        MdSuper *sb = &set->supers[i];

        sb->minor_version = 2;
        memcpy(sb->set_name, "h:name", 6);
        sb->level = level;
        sb->layout = level == 10 ? 0x102 : level >= 5 ? 2 : 0;
        sb->chunk_sectors = 128;
        sb->size_sectors = DATA_SECTORS;
        sb->raid_disks = nr_slots;
        sb->data_offset_sectors = 2048;
        sb->data_size_sectors = DATA_SECTORS;
        sb->super_offset_sectors = 8;
        sb->dev_number = i;
        sb->device_uuid[0] = i + 1;
        sb->events = 1000;
        sb->resync_offset = MD_RESYNC_DONE;
        sb->max_dev = NR_NUMBERS;
        for (unsigned dev = 0; dev < NR_NUMBERS; dev++) {
            sb->roles[dev] = dev < nr_slots ? dev : MD_ROLE_SPARE;
        }
        set->candidates[i].super = sb;
        set->candidates[i].device_bytes = DEVICE_BYTES;
    }
}

static uint16_t role_of(uint8_t value)
{
    /* The last 16 values are what has a meaning, or none, in md. */
    return value < 240 ? value % 8 : 0xfff0 + value % 16;
}

static void change(Set *set, const uint8_t *bytes)
{
    unsigned i = bytes[1] % set->nr;
    RaidCandidate *c = &set->candidates[i];
    MdSuper *sb = &set->supers[i];
    uint8_t value = bytes[3];

    switch (bytes[0] % 20) {
    case 0:
    case 1:
        sb->events += (int8_t)value;
        break;
    case 2:
    case 3:
        sb->roles[bytes[2] % NR_NUMBERS] = role_of(value);
        break;
    case 4:
        for (unsigned k = 0; k < set->nr; k++) {
            set->supers[k].roles[bytes[2] % NR_NUMBERS] = role_of(value);
        }
        break;
    case 5:
        sb->feature_map ^= UINT32_C(1) << value % 32;
        break;
    case 6:
        sb->feature_map ^= MD_FEATURE_RECOVERY_OFFSET;
        break;
    case 7:
        sb->dev_number = value % (NR_NUMBERS + 2);
        break;
    case 8:
        sb->resync_offset = value;
        break;
    case 9:
        sb->set_uuid[0] = value;
        break;
    case 10:
        sb->device_uuid[0] = value;
        break;
    case 11:
        c->super_error = value % MD_SUPER__MAX;
        break;
    case 12:
        c->bad_log_unknown = value & 1;
        c->block_bytes = 512 << (value >> 2) % 8;
        sb->block_bytes = value & 2 ? 512 << value / 32 : 0;
        break;
    case 13:
        sb->raid_disks = value;
        break;
    case 14:
        sb->level = (int8_t)value;
        break;
    case 15:
        sb->layout = value | bytes[2] << 8;
        break;
    case 16:
        sb->chunk_sectors = UINT32_C(1) << value % 32;
        break;
    case 17:
        sb->size_sectors = value * UINT64_C(16) + bytes[2];
        break;
    case 18:
        sb->data_size_sectors = value * UINT64_C(16) + bytes[2];
        break;
    case 19:
        *sb = set->supers[value % set->nr];
        break;
    }
}

/* Only what a decoder lets through gets to raid_assemble(). */
static void decode(Set *set)
{
    for (unsigned i = 0; i < set->nr; i++) {
        RaidCandidate *c = &set->candidates[i];
        uint8_t image[MD_SUPER_MAX_BYTES];

        md_super_encode(&set->supers[i], image);
        if (c->super_error == MD_SUPER_OK) {
            c->super_error = md_super_decode(image, sizeof(image), 2,
                                             DEVICE_BYTES, &set->decoded[i]);
            c->super_error_at = set->decoded[i].error_at;
        }
        c->super = c->super_error == MD_SUPER_OK ? &set->decoded[i] : NULL;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const int32_t levels[] = { 0, 1, 4, 5, 6, 10 };
    static const uint8_t uuid[16];
    RaidAssembleOptions options = { 0 };
    RaidAssembly *out;
    Set *set;

    if (bytes < 4) {
        return 0;
    }
    set = calloc(1, sizeof(*set));
    out = malloc(sizeof(*out));
    options.policy = data[0] % 3;
    options.read_only = data[0] & 64;
    options.uuid = data[0] & 32 ? uuid : NULL;
    options.name = data[0] & 16 ? "name" : NULL;
    set->nr = 1 + data[3] % MAX_CANDIDATES;
    make(set, levels[data[1] % 6], 1 + data[2] % 5);
    for (size_t at = 4; at + 4 <= bytes && at < 4 * MAX_CHANGES; at += 4) {
        change(set, data + at);
    }
    decode(set);
    rules_assemble_orders(set->candidates, set->nr, &options, MAX_ORDERS,
                          data[1] + 256 * bytes, out);
    free(out);
    free(set);
    return 0;
}
