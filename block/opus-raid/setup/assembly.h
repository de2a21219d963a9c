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
 * opus_assembly_look: are the members of a read-only array still there?
 *
 * Before it is assembled anew, to be written. One whose superblock can't be
 * read has failed, like one that fails a request; unless the data can't be had
 * without all of those: then none has. Returns 0, or then a negative errno.
 */
int coroutine_fn GRAPH_RDLOCK opus_assembly_look(OpusRaid *s, Error **errp);

/* Tell users what an array lacks that was just assembled for them. */
void GRAPH_RDLOCK opus_announce(OpusRaid *s);

#endif /* BLOCK_OPUS_RAID_SETUP_ASSEMBLY_H */
