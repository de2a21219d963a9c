/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Choice: whatever a simulation leaves open is decided here
 *
 * Owns: the state of the random generator (splitmix64), and the way that is
 * being explored: a branch is taken again until all behind it is known.
 * Must not know: what is decided.
 * Threads: one.
 */

#include <assert.h>
#include <glib.h>
#include "choice.h"

typedef struct Fork {
    unsigned taken;
    unsigned nr;
} Fork;

static ChoiceMode mode;
static uint64_t state;
static GArray *way;             /* of Fork */
static unsigned depth;

void choice_set_mode(ChoiceMode new_mode)
{
    mode = new_mode;
}

void choice_seed(uint64_t seed)
{
    mode = CHOICE_RANDOM;
    state = seed;
}

void choice_explore_start(void)
{
    if (!way) {
        way = g_array_new(false, false, sizeof(Fork));
    }
    g_array_set_size(way, 0);
    depth = 0;
}

bool choice_explore_next(void)
{
    depth = 0;
    while (way->len) {
        Fork *last = &g_array_index(way, Fork, way->len - 1);

        if (++last->taken < last->nr) {
            return true;
        }
        g_array_set_size(way, way->len - 1);
    }
    return false;
}

bool choice_explores_new(void)
{
    return mode == CHOICE_EXPLORE && depth == way->len;
}

static unsigned explore(unsigned n)
{
    if (depth == way->len) {
        Fork fork = { .nr = n };

        g_array_append_val(way, fork);
    }
    /* The same way leads to the same fork, or all this is worth nothing. */
    assert(g_array_index(way, Fork, depth).nr == n);
    return g_array_index(way, Fork, depth++).taken;
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
    if (n == 1 || mode == CHOICE_FIRST) {
        return 0;
    }
    return mode == CHOICE_EXPLORE ? explore(n) : next_random() % n;
}

bool choice_once_in(unsigned n)
{
    return choice(n) == 0;
}
