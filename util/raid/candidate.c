/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Candidate: what one is by itself
 *
 * Owns: which feature bits are understood, and an order of candidates that
 * depends on nothing but what they hold.
 * Must not know: other members of the array, policies.
 * Threads: any; pure.
 * Keeps: P4 (unknown features are told), P8 (the order they came in is gone).
 */
#include <string.h>
#include <linux/types.h>
#include <linux/raid/md_p.h>

#include "candidate.h"
#include "extension.h"

#define FEATURES_PPL        (MD_FEATURE_PPL | MD_FEATURE_MULTIPLE_PPLS)

/* Those with a meaning here, be it a refusal of their own. */
#define FEATURES_KNOWN      (MD_FEATURE_BITMAP_OFFSET |     \
                             MD_FEATURE_RECOVERY_OFFSET |   \
                             MD_FEATURE_RECOVERY_BITMAP |   \
                             MD_FEATURE_BAD_BLOCKS |        \
                             MD_FEATURE_REPLACEMENT |       \
                             MD_FEATURE_JOURNAL |           \
                             MD_FEATURE_RAID0_LAYOUT |      \
                             MD_FEATURE_RESHAPE_ACTIVE |    \
                             MD_FEATURE_RESHAPE_BACKWARDS | \
                             MD_FEATURE_NEW_OFFSET |        \
                             RAID_FEATURE_EXTENSION |       \
                             FEATURES_PPL)

/* What has a place of its own for what is under way, one at a time. */
#define FEATURES_INTENT     (FEATURES_PPL | MD_FEATURE_BITMAP_OFFSET |   \
                             MD_FEATURE_JOURNAL)

/*
 * Feature bits that must be understood and are not, or that contradict what
 * stands beside them: md refuses those combinations too.
 */
uint32_t raid_bad_features(const MdSuper *sb)
{
    uint32_t map = sb->feature_map;
    uint32_t bad = map & ~(uint32_t)FEATURES_KNOWN;

    if (sb->level != 0) {
        bad |= map & MD_FEATURE_RAID0_LAYOUT;
    }
    if ((map & FEATURES_PPL) == FEATURES_PPL) {
        bad |= FEATURES_PPL;
    }
    if ((map & FEATURES_PPL) && (map & MD_FEATURE_BITMAP_OFFSET)) {
        bad |= map & (FEATURES_PPL | MD_FEATURE_BITMAP_OFFSET);
    }
    if (map & RAID_FEATURE_EXTENSION) {
        bad |= map & FEATURES_INTENT;
        if (sb->level != 4 && sb->level != 5 && sb->level != 6) {
            bad |= RAID_FEATURE_EXTENSION;
        }
    }
    return bad;
}

bool raid_has_name(const MdSuper *sb, const char *wanted)
{
    const char *colon = strchr(sb->set_name, ':');

    return !strcmp(wanted, sb->set_name) ||
           (colon && !strcmp(wanted, colon + 1));
}

static int by_number(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* All that is left to compare, in one go: the bytes that would be written. */
static int by_image(const MdSuper *a, const MdSuper *b)
{
    uint8_t image_a[MD_SUPER_MAX_BYTES];
    uint8_t image_b[MD_SUPER_MAX_BYTES];

    md_super_encode(a, image_a);
    md_super_encode(b, image_b);
    return memcmp(image_a, image_b, MD_SUPER_MAX_BYTES);
}

static int by_super(const MdSuper *a, const MdSuper *b)
{
    return by_number(md_super_role(a), md_super_role(b)) ?:
           by_number(a->dev_number, b->dev_number) ?:
           memcmp(a->device_uuid, b->device_uuid, 16) ?:
           by_number(a->minor_version, b->minor_version) ?:
           by_image(a, b);
}

/* Zero only for candidates that nothing can tell apart. */
static int compare(const RaidCandidate *a, const RaidCandidate *b)
{
    return by_number(a->super_error, b->super_error) ?:
           by_number(a->super_error_at, b->super_error_at) ?:
           (a->super_error ? 0 : by_super(a->super, b->super)) ?:
           by_number(a->device_bytes, b->device_bytes) ?:
           by_number(a->block_bytes, b->block_bytes) ?:
           by_number(a->bad_log_unknown, b->bad_log_unknown);
}

/* By insertion: the lists are short, and nothing is allocated. */
void raid_candidates_sort(const RaidCandidate **list, unsigned nr)
{
    for (unsigned i = 1; i < nr; i++) {
        const RaidCandidate *moving = list[i];
        unsigned at = i;

        for (; at > 0 && compare(moving, list[at - 1]) < 0; at--) {
            list[at] = list[at - 1];
        }
        list[at] = moving;
    }
}
