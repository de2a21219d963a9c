/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Node: any node of the block graph, as a user sees it
 */
#ifndef BLOCK_OPUS_RAID_BASE_NODE_H
#define BLOCK_OPUS_RAID_BASE_NODE_H

#include "block/block_int.h"

/* Is @bs an array of this driver? Any thread. */
bool opus_is_array(const BlockDriverState *bs);

/* Is @name one that QEMU made up? Any thread. */
bool opus_node_is_unnamed(const char *name);

/**
 * opus_node_label: what a user would call a node
 *
 * The name that the user gave to it, or to one below; or else a file name,
 * because "#block483" says nothing to a user. To be freed. Main loop.
 */
char *GRAPH_RDLOCK opus_node_label(BlockDriverState *bs);

/**
 * opus_explain_conflict: say who is in the way, instead of which permissions
 *
 * After @bs could not be used with @perm while others do @shared: if that is
 * because of another user of it, @errp names it. Main loop.
 */
void GRAPH_RDLOCK opus_explain_conflict(BlockDriverState *bs, uint64_t perm,
                                        uint64_t shared, Error **errp);

#endif /* BLOCK_OPUS_RAID_BASE_NODE_H */
