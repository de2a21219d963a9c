/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Assembly refusal: why members make no array, and what to do about it
 */
#ifndef BLOCK_OPUS_RAID_SETUP_ASSEMBLY_REFUSAL_H
#define BLOCK_OPUS_RAID_SETUP_ASSEMBLY_REFUSAL_H

#include "block/opus-raid/array/opus-raid.h"

/* Set @errp to what @a says; its refusal is not RAID_REFUSE_NONE. */
void GRAPH_RDLOCK opus_assembly_refuse(const OpusRaid *s,
                                       const RaidAssembly *a, Error **errp);

#endif /* BLOCK_OPUS_RAID_SETUP_ASSEMBLY_REFUSAL_H */
