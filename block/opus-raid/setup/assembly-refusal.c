/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assembly refusal: why members make no array, and what to do about it
 *
 * Owns: the words for every refusal.
 * Must not know: the rules of assembly; util/raid/assemble.c has them.
 * Threads: main loop, before the first request or while drained.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "qapi/error.h"
#include "block/opus-raid/member/member.h"
#include "block/opus-raid/setup/assembly-refusal.h"
#include "util/raid/md-bitmap.h"

static const char *GRAPH_RDLOCK name_of(const OpusRaid *s, int member)
{
    return member >= 0 ? opus_member_name(&s->members[member]) : "(none)";
}

/* What decoding objected to, so that it can be looked up. */
static char *field_text(const RaidAssembly *a)
{
    return g_strdup_printf("has an md superblock that can't be used: %s "
                           "(byte %u, %s)",
                           md_super_error_text(a->super_error),
                           a->super_error_at,
                           md_super_field_name(a->super_error_at));
}

/* Refusals that are about one member: "member 'm2': " and the rest. */
static char *GRAPH_RDLOCK member_refusal_text(const OpusRaid *s,
                                              const RaidAssembly *a)
{
    switch (a->refusal) {
    case RAID_REFUSE_NO_SUPERBLOCK:
        return g_strdup_printf("has no usable md superblock: %s",
                               md_super_error_text(a->super_error));
    case RAID_REFUSE_BAD_SUPERBLOCK:
        return field_text(a);
    case RAID_REFUSE_FOREIGN:
        return g_strdup_printf("belongs to another array than member '%s'",
                               name_of(s, a->other));
    case RAID_REFUSE_WRONG_UUID:
        return g_strdup("does not belong to the array with the given UUID");
    case RAID_REFUSE_WRONG_NAME:
        return g_strdup("does not belong to the array with the given name");
    case RAID_REFUSE_DUPLICATE:
        return a->slot < 0 ? g_strdup_printf("is a copy of member '%s'",
                                             name_of(s, a->other)) :
               g_strdup_printf("fills the same slot %d as member '%s'",
                               a->slot, name_of(s, a->other));
    case RAID_REFUSE_STALE:
        return g_strdup_printf("missed writes: its event count is %" PRIu64
                               ", that of the array %" PRIu64,
                               a->member_events, a->array_events);
    case RAID_REFUSE_SLOT_RANGE:
        return g_strdup_printf("claims slot %d, which the array does not have",
                               a->slot);
    case RAID_REFUSE_TOO_SMALL:
        return g_strdup("has a data area that is empty or does not fit it");
    case RAID_REFUSE_BLOCK_SIZE:
        return g_strdup_printf("has blocks of %" PRIu32 " bytes, the array of "
                               "%" PRIu32,
                               s->members[a->member].child->bs->
                               bl.request_alignment, a->block_bytes);
    case RAID_REFUSE_UNKNOWN_FEATURE:
        if (a->super_error != MD_SUPER_OK) {
            return field_text(a);
        }
        return g_strdup_printf("uses md features that are not known here "
                               "(feature bits 0x%" PRIx32 ")", a->features);
    case RAID_REFUSE_MISMATCH:
        return g_strdup_printf("describes the array differently than "
                               "member '%s'", name_of(s, a->other));
    case RAID_REFUSE_BITMAP:
        return g_strdup_printf("has a write-intent bitmap of a kind that is "
                               "not known here: %s",
                               md_bitmap_error_text(a->bitmap_error));
    case RAID_REFUSE_BAD_BLOCKS:
        return g_strdup("has a bad-block log that can't be understood");
    case RAID_REFUSE_REPLACEMENT:
        return g_strdup("is replacing another member, which is not supported");
    case RAID_REFUSE_SPLIT_BRAIN:
        if (a->times_differ) {
            return g_strdup_printf("and member '%s' have one event count, and "
                                   "were not written at the same time: they "
                                   "come from copies of the array that ran "
                                   "apart", name_of(s, a->other));
        }
        return g_strdup_printf("and member '%s' each ran without the other, "
                               "so they hold different data",
                               name_of(s, a->other));
    default:
        return NULL;
    }
}

/* Does it have a superblock of this array? */
static bool is_of_array(const OpusRaid *s, const RaidAssembly *a, unsigned i)
{
    const MdSuper *super = &s->members[i].super;

    return a->verdicts[i] != RAID_MEMBER_FAULTY && super->max_dev &&
           (a->freshest < 0 ||
            !memcmp(super->set_uuid, s->members[a->freshest].super.set_uuid,
                    sizeof(super->set_uuid)));
}

/* If there are stale ones: what each member is, and how far behind. */
static char *GRAPH_RDLOCK too_few_text(const OpusRaid *s,
                                       const RaidAssembly *a)
{
    GString *text = g_string_new("too few members in sync for its level");
    bool some_stale = false;

    for (unsigned i = 0; i < s->nr_members; i++) {
        some_stale |= is_of_array(s, a, i) &&
                      a->verdicts[i] == RAID_MEMBER_STALE;
    }
    for (unsigned i = 0; i < s->nr_members && some_stale; i++) {
        const MdSuper *super = &s->members[i].super;

        if (!is_of_array(s, a, i)) {
            continue;
        }
        g_string_append_printf(text, "; member '%s' is %s", name_of(s, i),
                               raid_member_state_name(a->verdicts[i]));
        if (md_super_role(super) < MD_ROLE_MAX) {
            g_string_append_printf(text, " (slot %u)", md_super_role(super));
        }
        if (a->freshest >= 0) {
            g_string_append_printf(text, ": its event count is %" PRIu64
                                   ", that of the array %" PRIu64,
                                   super->events, a->events);
        }
    }
    return g_string_free(text, FALSE);
}

/* Refusals that are about the array. */
static char *GRAPH_RDLOCK array_refusal_text(const OpusRaid *s,
                                             const RaidAssembly *a)
{
    switch (a->refusal) {
    case RAID_REFUSE_GEOMETRY:
        return g_strdup_printf("not a shape that is supported: %s",
                               raid_geometry_error_text(a->geometry_error));
    case RAID_REFUSE_RESHAPE:
        return g_strdup("a reshape is in progress");
    case RAID_REFUSE_JOURNAL:
        return g_strdup("it has a journal device, which is not supported");
    case RAID_REFUSE_TOO_FEW:
        return too_few_text(s, a);
    case RAID_REFUSE_INCOMPLETE:
        return g_strdup_printf("slot %d has no member in sync", a->slot);
    case RAID_REFUSE_DIRTY_DEGRADED:
        return g_strdup_printf("slot %d has no member in sync, and the array "
                               "was not closed cleanly, so what is computed "
                               "for the slot may be wrong", a->slot);
    default:
        return g_strdup(raid_refusal_name(a->refusal));
    }
}

/* Whom force would take back, which is what mdadm would. */
static char *GRAPH_RDLOCK too_few_hint(const OpusRaid *s,
                                       const RaidAssembly *a)
{
    GString *names = g_string_new("");
    char *hint;

    for (unsigned i = 0; i < s->nr_members; i++) {
        if (a->retaken[i]) {
            g_string_append_printf(names, "%s'%s'", names->len ? ", " : "",
                                   name_of(s, i));
        }
    }
    hint = names->len ?
           g_strdup_printf("If what they missed may be lost, assemble=force "
                           "takes back %s, as 'mdadm --assemble --force' "
                           "does.\n", names->str) :
           g_strdup("Give more of its members; 'mdadm --examine' shows which "
                    "slots they fill.\n");
    g_string_free(names, TRUE);
    return hint;
}

/* What the user can do about it; NULL when the reason says it all. */
static const char *refusal_hint(RaidRefusal refusal)
{
    switch (refusal) {
    case RAID_REFUSE_NO_SUPERBLOCK:
    case RAID_REFUSE_FOREIGN:
    case RAID_REFUSE_WRONG_UUID:
    case RAID_REFUSE_WRONG_NAME:
    case RAID_REFUSE_SLOT_RANGE:
        return "Check the list of members; 'mdadm --examine' shows which "
               "array each belongs to.\n";
    case RAID_REFUSE_BAD_SUPERBLOCK:
        return "'mdadm --examine' shows what it says. A superblock that was "
               "copied from another place, or whose device has changed its "
               "size, can't be used there.\n";
    case RAID_REFUSE_BLOCK_SIZE:
        return "Give a node that takes smaller requests: another drive, or, "
               "for a file, one without cache.direct.\n";
    case RAID_REFUSE_DUPLICATE:
        return "Give only one of the two: copies of a member must not be "
               "used together.\n";
    case RAID_REFUSE_STALE:
        return "Leave it out, or use assemble=degraded, which does so.\n";
    case RAID_REFUSE_SPLIT_BRAIN:
        return "Decide which of them has the data to keep, and give only "
               "members that ran with it.\n";
    case RAID_REFUSE_RESHAPE:
        return "Let md finish it: assemble the array with mdadm.\n";
    case RAID_REFUSE_BITMAP:
        return "Open the complete array read-only; or let md take the bitmap "
               "away: 'mdadm --grow --bitmap=none'.\n";
    case RAID_REFUSE_JOURNAL:
    case RAID_REFUSE_BAD_BLOCKS:
    case RAID_REFUSE_REPLACEMENT:
    case RAID_REFUSE_UNKNOWN_FEATURE:
        return "Assemble the array with mdadm, and end its use there.\n";
    case RAID_REFUSE_INCOMPLETE:
        return "Give the missing member, or start without it by "
               "assemble=degraded.\n";
    case RAID_REFUSE_DIRTY_DEGRADED:
        return "Give the missing member, or accept the risk with "
               "assemble=force.\n";
    default:
        return NULL;
    }
}

void GRAPH_RDLOCK opus_assembly_refuse(const OpusRaid *s,
                                       const RaidAssembly *a, Error **errp)
{
    g_autofree char *about_member = member_refusal_text(s, a);
    g_autofree char *few_hint = a->refusal == RAID_REFUSE_TOO_FEW ?
                                too_few_hint(s, a) : NULL;
    const char *hint = few_hint ?: refusal_hint(a->refusal);
    const char *node = bdrv_get_node_name(s->bs);
    ERRP_GUARD();

    if (about_member) {
        error_setg(errp, "Cannot assemble array '%s': %s: member '%s' %s",
                   node, raid_refusal_name(a->refusal), name_of(s, a->member),
                   about_member);
    } else {
        g_autofree char *about_array = array_refusal_text(s, a);

        error_setg(errp, "Cannot assemble array '%s': %s: %s", node,
                   raid_refusal_name(a->refusal), about_array);
    }
    if (hint) {
        error_append_hint(errp, "%s", hint);
    }
    if (a->refusal == RAID_REFUSE_SPLIT_BRAIN && a->times_differ) {
        error_append_hint(errp, "If they are of one array after all, "
                          "assemble=force takes them, and resyncs it.\n");
    }
    error_append_hint(errp, "'opusctl explain %s' tells more.\n",
                      raid_refusal_name(a->refusal));
}
