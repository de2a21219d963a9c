/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assembly: from member nodes to an array, or to an error that says why not
 */
#ifndef BLOCK_OPUS_RAID_SETUP_ASSEMBLY_H
#define BLOCK_OPUS_RAID_SETUP_ASSEMBLY_H

#include "block/opus-raid/array/opus-raid.h"

/**
 * opus_assemble: read all superblocks and set up what follows from them
 * @s:        bs, members[].child, nr_members and the user's options are set
 * @writable: the array is going to be written
 *
 * Sets the geometry, the slots, all states. Writes nothing. Returns 0 or a
 * negative errno with @errp set; @s may then be used for another attempt.
 */
int coroutine_fn GRAPH_RDLOCK opus_assemble(OpusRaid *s, bool writable,
                                            Error **errp);

/**
 * opus_bits_tell: does the bitmap name all that a member lacks which left?
 * @a: geometry, events and missing slots of the array; members have states
 */
bool opus_bits_tell(OpusRaid *s, const RaidAssembly *a, const MdSuper *super);

/**
 * opus_assembly_look: are the members of a read-only array still there?
 *
 * Before it is assembled anew, to be written. One whose superblock can't be
 * read has failed, like one that fails a request; unless the data can't be had
 * without all of those: then none has. Returns 0, or then a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_assembly_look(OpusRaid *s, Error **errp);

/* Tell users what an array lacks that was just assembled for them. */
void GRAPH_RDLOCK opus_announce(OpusRaid *s);

/**
 * opus_parse_uuid: read a UUID as QEMU or as mdadm writes it
 * @text: 32 hexadecimal digits; '-' and ':' may stand between them
 * @uuid: 16 bytes, in the order of the text
 */
bool opus_parse_uuid(const char *text, uint8_t *uuid, Error **errp);

/* "5a2b5b1c-1fb4-4c8d-a6a0-4f1b8d2c9e11"; the caller frees it. */
char *opus_format_uuid(const uint8_t *uuid);

#endif /* BLOCK_OPUS_RAID_SETUP_ASSEMBLY_H */
