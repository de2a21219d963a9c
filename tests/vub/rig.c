/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Daemon, front-end, ring and requests together: see rig.h.
 *
 * Must not know: what is wrong with a request; it is sent as it is.
 */
#include "rig.h"

#include <glib.h>
#include <string.h>

#include "cases.h"

const Way ways[NR_WAYS] = {
    { "split", SPLIT, false },
    { "split, indirect", SPLIT, true },
    { "packed", 0, false },
    { "packed, indirect", 0, true },
};

void case_add_in_each_way(void (*fn)(const void *way), const char *name)
{
    for (unsigned i = 0; i < NR_WAYS; i++) {
        case_add(fn, &ways[i], "%s (%s)", name, ways[i].name);
    }
}

static void open_front(Rig *rig, uint64_t without)
{
    rig->front = front_open(rig->daemon->socket, without);
    if (!(without & SPLIT) && !(rig->front->offered & SPLIT)) {
        g_error("packed rings are not offered");
    }
    rig->ring = ring_open(rig->front, 0);
}

void rig_open(Rig *rig, DiskKind kind, const char *options, uint64_t without)
{
    rig->daemon = daemon_start(kind, options);
    open_front(rig, without);
}

void rig_reconnect(Rig *rig, uint64_t without)
{
    ring_free(rig->ring);
    front_close(rig->front);
    open_front(rig, without);
}

void rig_close(Rig *rig)
{
    ring_free(rig->ring);
    front_close(rig->front);
    daemon_stop(rig->daemon);
}

Request request_make(FrontRing *ring, uint32_t type, uint64_t sector,
                     uint32_t bytes)
{
    Front *front = ring->front;
    Request r = { .ring = ring, .bytes = bytes };

    r.header = front_alloc(front, sizeof(*r.header), 8);
    r.data = front_alloc(front, bytes, 512);
    r.status = front_alloc(front, 1, 1);
    *r.header = (struct virtio_blk_outhdr) { .type = type, .sector = sector };
    *r.status = STATUS_NONE;
    return r;
}

RingBuf buf_of(const Front *front, const void *ptr, uint32_t bytes,
               bool writable)
{
    return (RingBuf) { front_gpa(front, ptr), bytes, writable };
}

void request_send_as(Request *r, const RingBuf *buf, unsigned nr,
                     bool indirect)
{
    r->id = ring_add(r->ring, buf, nr, indirect);
    ring_kick(r->ring);
}

void request_send(Request *r, bool indirect)
{
    Front *front = r->ring->front;
    bool in = r->header->type == VIRTIO_BLK_T_IN ||
              r->header->type == VIRTIO_BLK_T_GET_ID;
    RingBuf buf[3];
    unsigned nr = 0;

    buf[nr++] = buf_of(front, r->header, sizeof(*r->header), false);
    if (r->bytes) {
        buf[nr++] = buf_of(front, r->data, r->bytes, in);
    }
    buf[nr++] = buf_of(front, r->status, 1, true);
    request_send_as(r, buf, nr, indirect);
}

uint8_t request_wait(Request *r)
{
    uint32_t written = ring_wait(r->ring, r->id);

    if (*r->status == STATUS_NONE) {
        g_error("the request came back without a status");
    }
    if (*r->status == VIRTIO_BLK_S_OK) {
        /* The status is the last byte that was written, all before it too. */
        if (r->header->type == VIRTIO_BLK_T_IN) {
            g_assert_cmpuint(written, ==, r->bytes + 1);
        } else if (r->header->type != VIRTIO_BLK_T_GET_ID) {
            g_assert_cmpuint(written, ==, 1);
        }
    }
    return *r->status;
}

uint8_t request_run(Request *r, bool indirect)
{
    request_send(r, indirect);
    return request_wait(r);
}

bool filled_with(const uint8_t *data, size_t bytes, uint8_t byte)
{
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != byte) {
            return false;
        }
    }
    return true;
}

void expect_write_and_read(FrontRing *ring, uint64_t sector, uint8_t byte)
{
    Request w = request_make(ring, VIRTIO_BLK_T_OUT, sector, 4096);
    Request r = request_make(ring, VIRTIO_BLK_T_IN, sector, 4096);

    memset(w.data, byte, w.bytes);
    g_assert_cmpuint(request_run(&w, false), ==, VIRTIO_BLK_S_OK);
    g_assert_cmpuint(request_run(&r, false), ==, VIRTIO_BLK_S_OK);
    g_assert_true(filled_with(r.data, r.bytes, byte));
}

void expect_works(FrontRing *ring)
{
    Request r = request_make(ring, VIRTIO_BLK_T_IN, 0, 512);

    g_assert_cmpuint(request_run(&r, false), ==, VIRTIO_BLK_S_OK);
}
