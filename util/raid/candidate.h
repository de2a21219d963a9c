/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Candidate: what one is by itself, for belonging.c and assemble.c
 */
#ifndef UTIL_RAID_CANDIDATE_H
#define UTIL_RAID_CANDIDATE_H

#include "assemble.h"

/**
 * raid_bad_features: feature bits that are not understood, or that contradict
 * others or the level. Reshape, journal and the like are understood: they have
 * a refusal of their own.
 */
uint32_t raid_bad_features(const MdSuper *sb);

/* Is it called so? Of "host:name", as mdadm has it, the second part will do. */
bool raid_has_name(const MdSuper *sb, const char *wanted);

/**
 * raid_candidates_sort: by slot, device number and the rest of their contents
 *
 * Only candidates that nothing can tell apart keep the order they came in.
 */
void raid_candidates_sort(const RaidCandidate **list, unsigned nr);

#endif /* UTIL_RAID_CANDIDATE_H */
