/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue map: which iothread serves which virtqueue
 */

#ifndef OPUS_QUEUE_MAP_H
#define OPUS_QUEUE_MAP_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* One element of the option iothread-vq-mapping. */
typedef struct QueueMapEntry {
    const char *iothread;
    const uint16_t *vqs;        /* NULL: not given */
    unsigned nr_vqs;
} QueueMapEntry;

/*
 * How many queues an export has if its user doesn't say: as many as are named,
 * or else @most. A client takes what it needs of them: QEMU's wants one for
 * each CPU of its guest, and refuses to start if there are fewer.
 */
unsigned queue_map_default_queues(const QueueMapEntry *entries,
                                  unsigned nr_entries, unsigned most);

/*
 * Sets @entry_of[queue] for @num_queues queues: as the entries name them or,
 * if none of them does, in turn. Fails, with the reason, if an iothread is
 * listed twice, if only some entries name queues, if a queue is named twice
 * or not at all, or if there are not so many.
 */
bool queue_map_resolve(const QueueMapEntry *entries, unsigned nr_entries,
                       unsigned num_queues, unsigned *entry_of,
                       GError **errp);

#endif /* OPUS_QUEUE_MAP_H */
