/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rig that outlives its daemon: see keep.h.
 */
#include "keep.h"

#include <glib.h>
#include <sys/mman.h>
#include <unistd.h>

static void set_buffer(Keep *keep)
{
    front_ask(keep->rig.front, WIRE_SET_INFLIGHT_FD, &keep->info,
              sizeof(keep->info), &keep->fd, 1);
}

static void get_buffer(Keep *keep, unsigned nr_rings)
{
    WireInflight wanted = {
        .num_queues = nr_rings, .queue_size = RING_DEFAULT,
    };
    WireMsg reply;

    front_send(keep->rig.front, WIRE_GET_INFLIGHT_FD, 0, &wanted,
               sizeof(wanted), NULL, 0);
    g_assert_true(front_receive(keep->rig.front, &reply));
    g_assert_cmpuint(reply.header.request, ==, WIRE_GET_INFLIGHT_FD);
    g_assert_cmpint(reply.fd, >=, 0);
    keep->info = reply.inflight;
    keep->info.num_queues = nr_rings;
    keep->info.queue_size = RING_DEFAULT;
    keep->fd = reply.fd;
    keep->map = mmap(NULL, keep->info.mmap_off + keep->info.mmap_bytes,
                     PROT_READ | PROT_WRITE, MAP_SHARED, keep->fd, 0);
    g_assert_true(keep->map != MAP_FAILED);
    keep->split = (WireSplitRegion *)(keep->map + keep->info.mmap_off);
}

void keep_open(Keep *keep, DiskKind kind, const Way *way, unsigned nr_rings)
{
    keep->rig.daemon = daemon_start(kind, "writable=on,num-queues=2");
    keep->rig.front = front_open(keep->rig.daemon->socket, way->without);
    if (!(keep->rig.front->protocol & FRONT_BIT(WIRE_P_INFLIGHT_SHMFD))) {
        g_error("in-flight buffers are not offered");
    }
    get_buffer(keep, nr_rings);
    set_buffer(keep);
    keep->rig.ring = ring_new(keep->rig.front, 0, RING_DEFAULT);
}

void keep_start(Keep *keep)
{
    ring_start(keep->rig.ring);
    ring_enable(keep->rig.ring, true);
}

void keep_crash(Keep *keep)
{
    daemon_crash(keep->rig.daemon);
}

/*
 * What a front-end knows of a ring whose back-end is gone is what came back,
 * so it names that as the base: split, the used index; packed, both places.
 */
static uint32_t base_of(FrontRing *ring)
{
    uint32_t place;

    ring_reap(ring);
    if (!ring->packed) {
        return ring->used->idx;
    }
    place = ring->next_used | (uint32_t)ring->used_wrap << 15;
    return place | place << 16;
}

void keep_hand_over(Keep *keep)
{
    set_buffer(keep);
    ring_describe(keep->rig.ring, base_of(keep->rig.ring));
}

void keep_resume(Keep *keep, DiskKind kind)
{
    daemon_restart(keep->rig.daemon, kind);
    front_return(keep->rig.front, keep->rig.daemon->socket);
    keep_hand_over(keep);
    keep_start(keep);
}

void keep_free(Keep *keep)
{
    munmap(keep->map, keep->info.mmap_off + keep->info.mmap_bytes);
    close(keep->fd);
    ring_free(keep->rig.ring);
    front_close(keep->rig.front);
}

void keep_close(Keep *keep)
{
    Daemon *daemon = keep->rig.daemon;

    keep_free(keep);
    daemon_stop(daemon);
}
