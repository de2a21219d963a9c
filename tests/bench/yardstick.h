/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Yardstick: what writing a full stripe cannot do without: one copy of the
 * data, and ISA-L over the copy
 */
#ifndef OPUS_BENCH_YARDSTICK_H
#define OPUS_BENCH_YARDSTICK_H

#include "load.h"

typedef struct Yardstick Yardstick;

/**
 * yardstick_open: a target whose requests are full stripes
 * @nr_parity: 1 or 2
 *
 * For loads of one thread. Main loop only, as yardstick_close().
 */
Yardstick *yardstick_open(unsigned nr_data, unsigned nr_parity,
                          uint32_t chunk_bytes, LoadTarget *target);
void yardstick_close(Yardstick *y);

#endif /* OPUS_BENCH_YARDSTICK_H */
