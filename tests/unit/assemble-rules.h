/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must hold for every verdict of raid_assemble(), said without looking at
 * how it gets there. For the unit tests and the fuzzer; aborts when broken.
 */
#ifndef TESTS_UNIT_ASSEMBLE_RULES_H
#define TESTS_UNIT_ASSEMBLE_RULES_H

#include "util/raid/assemble.h"

/* Print @what and abort unless @ok. */
void rule(bool ok, const char *what);

/* Does @a's table of roles say anything else of @b than @b itself? */
bool rule_disowns(const MdSuper *a, const MdSuper *b);

/* Assemble, check the verdict, leave it in @out. */
bool rules_assemble(const RaidCandidate *candidates, unsigned nr,
                    const RaidAssembleOptions *options, RaidAssembly *out);

/**
 * rules_assemble_orders: the same in other orders
 *
 * All of them when there are no more than @max_orders, otherwise so many that
 * follow from @seed. The verdict must be the same in each but for the indices,
 * which must name candidates that hold the same. @out is that of the order
 * given.
 */
bool rules_assemble_orders(const RaidCandidate *candidates, unsigned nr,
                           const RaidAssembleOptions *options,
                           unsigned max_orders, uint32_t seed,
                           RaidAssembly *out);

#endif /* TESTS_UNIT_ASSEMBLE_RULES_H */
