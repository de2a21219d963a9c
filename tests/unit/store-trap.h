/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Store trap: calls back before each single store to some memory
 *
 * For tests of what a crash may leave behind: a process that is killed stops
 * between two stores. Only x86-64 has it; elsewhere nobody is called, and
 * only what lies between the operations is looked at.
 */
#ifndef TESTS_UNIT_STORE_TRAP_H
#define TESTS_UNIT_STORE_TRAP_H

#include <stdbool.h>
#include <stddef.h>

/*
 * @before runs in a signal handler, and must reach the memory by another
 * mapping: the one that is watched can't be written.
 */
void store_trap_init(void (*before)(void));
/* False: nobody will be called. */
bool store_trap_works(void);

/* One more range; it grows to whole pages. */
void store_trap_watch(void *start, size_t bytes);
void store_trap_forget(void);

/* Between these two each store to what is watched is trapped. */
void store_trap_begin(void);
void store_trap_end(void);

#endif /* TESTS_UNIT_STORE_TRAP_H */
