/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Judge: does an array hold what it should?
 *
 * A broken promise ends the program. All functions: main loop.
 */
#ifndef OPUS_SIM_JUDGE_H
#define OPUS_SIM_JUDGE_H

#include "oracle.h"
#include "subject.h"

/**
 * judge_content: read all of the open array
 * @settle: what is there stays there
 *
 * Returns false when it can't be read.
 */
bool judge_content(Oracle *oracle, bool settle);

/**
 * judge_redundancy: take members away
 * @in_sync: disks that make the array; its redundancy is right everywhere
 *
 * Opens the array without each set of members that it can do without; of
 * pairs, for each first one some second one. The power is cut before and
 * after. Returns the number of times that it was opened.
 */
unsigned judge_redundancy(const SubjectSpec *spec, Oracle *oracle,
                          uint64_t in_sync);

#endif /* OPUS_SIM_JUDGE_H */
