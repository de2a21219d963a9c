/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue map: which iothread serves which virtqueue
 *
 * Owns: the rules of iothread-vq-mapping; they are virtio-blk's.
 * Must not know: iothreads; they are names here.
 * Threads: any.
 */

#include "queue-map.h"

#include <string.h>

#include "vub-error.h"

#define NOBODY UINT_MAX

unsigned queue_map_default_queues(const QueueMapEntry *entries,
                                  unsigned nr_entries, unsigned most)
{
    unsigned named = 0;

    for (unsigned i = 0; i < nr_entries; i++) {
        named += entries[i].nr_vqs;
    }
    return named ? named : most;
}

static bool entries_are_sane(const QueueMapEntry *entries,
                             unsigned nr_entries, GError **errp)
{
    if (nr_entries == 0) {
        vub_error_set(errp, "iothread-vq-mapping is empty");
        return false;
    }
    for (unsigned i = 0; i < nr_entries; i++) {
        if (!entries[i].vqs != !entries[0].vqs) {
            vub_error_set(errp, "iothread-vq-mapping: either all elements "
                          "have 'vqs' or none, but '%s' and '%s' differ",
                          entries[0].iothread, entries[i].iothread);
            return false;
        }
        for (unsigned j = 0; j < i; j++) {
            if (!strcmp(entries[i].iothread, entries[j].iothread)) {
                vub_error_set(errp, "iothread-vq-mapping: iothread '%s' is "
                              "listed twice", entries[i].iothread);
                return false;
            }
        }
    }
    return true;
}

static bool assign_named(const QueueMapEntry *entry, unsigned index,
                         unsigned num_queues, unsigned *entry_of,
                         GError **errp)
{
    for (unsigned i = 0; i < entry->nr_vqs; i++) {
        unsigned vq = entry->vqs[i];

        if (vq >= num_queues) {
            vub_error_set(errp, "iothread-vq-mapping: iothread '%s' is to "
                          "serve queue %u, but num-queues is %u",
                          entry->iothread, vq, num_queues);
            return false;
        }
        if (entry_of[vq] != NOBODY) {
            vub_error_set(errp, "iothread-vq-mapping: queue %u is given to "
                          "iothread '%s' and was already given away", vq,
                          entry->iothread);
            return false;
        }
        entry_of[vq] = index;
    }
    return true;
}

bool queue_map_resolve(const QueueMapEntry *entries, unsigned nr_entries,
                       unsigned num_queues, unsigned *entry_of, GError **errp)
{
    if (!entries_are_sane(entries, nr_entries, errp)) {
        return false;
    }
    for (unsigned i = 0; i < num_queues; i++) {
        entry_of[i] = entries[0].vqs ? NOBODY : i % nr_entries;
    }
    for (unsigned i = 0; i < nr_entries; i++) {
        if (!assign_named(&entries[i], i, num_queues, entry_of, errp)) {
            return false;
        }
    }
    for (unsigned i = 0; i < num_queues; i++) {
        if (entry_of[i] == NOBODY) {
            vub_error_set(errp, "iothread-vq-mapping: no iothread serves "
                          "queue %u", i);
            return false;
        }
    }
    return true;
}
