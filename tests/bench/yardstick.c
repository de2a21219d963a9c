/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Yardstick: what writing a full stripe cannot do without
 *
 * Owns: one private copy of a stripe.
 * Must not know: block layer, nodes.
 * Threads: one at a time.
 *
 * The private copy is the same memory each time, as a pool that is used last
 * in, first out gives it; the data comes from as many buffers as the load has.
 */

#include "qemu/osdep.h"
#include "qemu/memalign.h"
#include <isa-l.h>
#include "yardstick.h"

struct Yardstick {
    unsigned nr_data;
    unsigned nr_parity;
    uint32_t chunk_bytes;
    uint8_t *stripe;
    void *columns[LOAD_MAX_NODES];      /* data, then P, then Q */
};

static void yardstick_stripe(void *opaque, const void *buf)
{
    Yardstick *y = opaque;

    for (unsigned i = 0; i < y->nr_data; i++) {
        memcpy(y->columns[i], (const uint8_t *)buf + i * y->chunk_bytes,
               y->chunk_bytes);
    }
    if (y->nr_parity == 1) {
        xor_gen(y->nr_data + 1, y->chunk_bytes, y->columns);
    } else {
        pq_gen(y->nr_data + 2, y->chunk_bytes, y->columns);
    }
}

Yardstick *yardstick_open(unsigned nr_data, unsigned nr_parity,
                          uint32_t chunk_bytes, LoadTarget *target)
{
    Yardstick *y = g_new0(Yardstick, 1);
    unsigned nr_columns = nr_data + nr_parity;

    y->nr_data = nr_data;
    y->nr_parity = nr_parity;
    y->chunk_bytes = chunk_bytes;
    y->stripe = qemu_memalign(4096, (size_t)nr_columns * chunk_bytes);
    for (unsigned i = 0; i < nr_columns; i++) {
        y->columns[i] = y->stripe + (size_t)i * chunk_bytes;
    }
    *target = (LoadTarget) {
        .bytes = (uint64_t)nr_data * chunk_bytes,
        .stand_in = yardstick_stripe,
        .opaque = y,
    };
    return y;
}

void yardstick_close(Yardstick *y)
{
    qemu_vfree(y->stripe);
    g_free(y);
}
