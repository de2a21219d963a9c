/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Member: one child of an array
 *
 * Owns: what it is called, and what its driver needs.
 * Threads: see the header.
 */

#include "qemu/osdep.h"
#include "block/block-io.h"
#include "block/opus-raid/base/node.h"
#include "block/opus-raid/member/member.h"

/*
 * block/nvme.c resumes its caller in the node's home context and is not safe
 * against submission from others, so requests to it travel there and back.
 */
bool GRAPH_RDLOCK opus_member_needs_home(BlockDriverState *bs)
{
    BdrvChild *child;

    if (bs->drv && !strcmp(bs->drv->format_name, "nvme")) {
        return true;
    }
    QLIST_FOREACH(child, &bs->children, next) {
        if (opus_member_needs_home(child->bs)) {
            return true;
        }
    }
    return false;
}

const char *GRAPH_RDLOCK opus_member_node(const OpusMember *m)
{
    return bdrv_get_node_name(m->child->bs);
}

const char *GRAPH_RDLOCK opus_member_name(const OpusMember *m)
{
    const char *node = opus_member_node(m);

    return opus_node_is_unnamed(node) && m->label ? m->label : node;
}
