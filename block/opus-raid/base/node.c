/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Node: any node of the block graph, as a user sees it
 *
 * Owns: nothing.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "block/block-io.h"
#include "block/graph-lock.h"
#include "qapi/error.h"
#include "block/opus-raid/base/node.h"

bool opus_is_array(const BlockDriverState *bs)
{
    return bs->drv && !strcmp(bs->drv->format_name, "opus-raid");
}

bool opus_node_is_unnamed(const char *name)
{
    return name[0] == '#';
}

char *GRAPH_RDLOCK opus_node_label(BlockDriverState *bs)
{
    BlockDriverState *below;

    GLOBAL_STATE_CODE();

    for (below = bs; below; below = bdrv_primary_bs(below)) {
        if (!opus_node_is_unnamed(bdrv_get_node_name(below))) {
            return g_strdup(bdrv_get_node_name(below));
        }
    }
    for (below = bs; below; below = bdrv_primary_bs(below)) {
        if (below->filename[0] && !g_str_has_prefix(below->filename, "json:")) {
            return g_strdup(below->filename);
        }
    }
    return g_strdup(bdrv_get_node_name(bs));
}

/*
 * What users of a node call themselves. Block backends without a name belong to
 * exports and to commands that make something new of the node.
 */
static char *GRAPH_RDLOCK describe_user(BdrvChild *c)
{
    g_autofree char *desc = c->klass->get_parent_desc
                            ? c->klass->get_parent_desc(c) : NULL;

    if (!desc || !strcmp(desc, "an unnamed block device")) {
        return g_strdup("an export or a job");
    }
    return g_steal_pointer(&desc);
}

void GRAPH_RDLOCK opus_explain_conflict(BlockDriverState *bs, uint64_t perm,
                                        uint64_t shared, Error **errp)
{
    g_autofree char *label = opus_node_label(bs);
    BdrvChild *c;
    ERRP_GUARD();

    QLIST_FOREACH(c, &bs->parents, next_parent) {
        if ((perm & ~c->shared_perm) || (c->perm & ~shared)) {
            g_autofree char *user = describe_user(c);

            error_free(*errp);
            *errp = NULL;
            error_setg(errp, "'%s' is in use by %s", label, user);
            error_append_hint(errp, "'query-block-exports' and 'query-jobs' "
                              "list exports and jobs.\n");
            return;
        }
    }
}
