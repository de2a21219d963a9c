/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slow parity: P and Q by their definition, byte by byte
 *
 * The oracle for util/raid/parity and whatever uses it: no tables, no vectors.
 */
#ifndef TESTS_UNIT_SLOW_PARITY_H
#define TESTS_UNIT_SLOW_PARITY_H

#include <stddef.h>
#include <stdint.h>

/* Product in GF(2^8), shifting and adding, with the polynomial 0x11d. */
static inline uint8_t slow_times(uint8_t a, uint8_t b)
{
    unsigned product = 0, shifted = a;

    for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
        if (b & bit) {
            product ^= shifted;
        }
        shifted <<= 1;
        if (shifted & 0x100) {
            shifted ^= 0x11d;
        }
    }
    return product;
}

/* 2^@exponent */
static inline uint8_t slow_power(unsigned exponent)
{
    uint8_t power = 1;

    while (exponent--) {
        power = slow_times(power, 2);
    }
    return power;
}

/* Byte @at of P, or of Q, of columns that are in the order of their coefs. */
static inline uint8_t slow_parity(unsigned nr_data, const uint8_t *const *data,
                                  size_t at, int q)
{
    uint8_t sum = 0;

    for (unsigned i = 0; i < nr_data; i++) {
        sum ^= q ? slow_times(slow_power(i), data[i][at]) : data[i][at];
    }
    return sum;
}

#endif /* TESTS_UNIT_SLOW_PARITY_H */
