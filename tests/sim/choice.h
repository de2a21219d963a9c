/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choice: whatever a simulation leaves open is decided here
 */
#ifndef OPUS_SIM_CHOICE_H
#define OPUS_SIM_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum ChoiceMode {
    CHOICE_RANDOM,
    CHOICE_FIRST,               /* the first of all that there is to choose */
    CHOICE_EXPLORE,             /* all, one after the other */
} ChoiceMode;

void choice_set_mode(ChoiceMode mode);

/* Decide at random from here on; equal seeds decide alike. */
void choice_seed(uint64_t seed);

/*
 * To explore: start, do what is to be explored in mode CHOICE_EXPLORE, and do
 * it again for as long as there is a next way. Other modes may come between.
 */
void choice_explore_start(void);
bool choice_explore_next(void);

/* Is this a part of the way that was not gone before? */
bool choice_explores_new(void);

/* One of 0 .. @n - 1. */
unsigned choice(unsigned n);

/* True once in @n times. */
bool choice_once_in(unsigned n);

#endif /* OPUS_SIM_CHOICE_H */
