/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QMP: the commands of opus-raid
 *
 * Owns: finding the arrays that a command is about.
 * Threads: main loop.
 */

#include "qemu/osdep.h"
#include "block/block-global-state.h"
#include "qapi/error.h"
#include "qapi/qapi-commands-opus-raid.h"
#include "driver.h"
#include "info.h"

OpusRaidInfoList *qmp_query_opus_raid(const char *node_name, Error **errp)
{
    OpusRaidInfoList *list = NULL;
    OpusRaidInfoList **tail = &list;
    BlockDriverState *bs;

    GRAPH_RDLOCK_GUARD_MAINLOOP();

    if (node_name) {
        bs = bdrv_find_node(node_name);
        if (!bs) {
            error_setg(errp, "There is no node '%s'", node_name);
        } else if (!opus_is_array(bs)) {
            error_setg(errp, "Node '%s' is no opus-raid array", node_name);
        } else {
            QAPI_LIST_APPEND(tail, opus_info(bs));
        }
        return list;
    }
    for (bs = bdrv_next_node(NULL); bs; bs = bdrv_next_node(bs)) {
        if (opus_is_array(bs)) {
            QAPI_LIST_APPEND(tail, opus_info(bs));
        }
    }
    return list;
}
