/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choice: whatever a simulation leaves open is decided here
 */
#ifndef OPUS_SIM_CHOICE_H
#define OPUS_SIM_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

/* From here on, decide at random; equal seeds decide alike. */
void choice_seed(uint64_t seed);

/* One of 0 .. @n - 1. */
unsigned choice(unsigned n);

/* True once in @n times. */
bool choice_once_in(unsigned n);

#endif /* OPUS_SIM_CHOICE_H */
