/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choice: whatever a simulation leaves open is decided here
 *
 * Owns: the state of the random generator (splitmix64).
 * Must not know: what is decided.
 * Threads: one.
 */

#include <assert.h>
#include "choice.h"

static uint64_t state;

void choice_seed(uint64_t seed)
{
    state = seed;
}

static uint64_t next_random(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

unsigned choice(unsigned n)
{
    assert(n);
    return n == 1 ? 0 : next_random() % n;
}

bool choice_once_in(unsigned n)
{
    return choice(n) == 0;
}
