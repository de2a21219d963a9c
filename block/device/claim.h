/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Claim: a block device is for one user alone
 */
#ifndef BLOCK_DEVICE_CLAIM_H
#define BLOCK_DEVICE_CLAIM_H

#include "block/block_int-common.h"

typedef struct DeviceClaim DeviceClaim;

/**
 * device_claim_take: keep all others from a block device
 * @fd:    any descriptor of it
 * @owner: a node that may claim it more than once, each time by a user of its
 *         own, or NULL
 * @user:  "member 'm0'", say, for errors
 *
 * Main loop only. Waits for half a second for a program that only looks at it.
 * Returns NULL and an error that begins with IN_USE when it is used by somebody
 * else, in the kernel, another process or this one. If it can't be claimed for
 * another reason, there is a warning, and a claim that keeps nobody off.
 */
DeviceClaim *device_claim_take(int fd, const BlockDriverState *owner,
                               const char *user, Error **errp);

/* NULL is allowed. Main loop only. */
void device_claim_release(DeviceClaim *claim);

/*
 * What is behind a node that reaches its drive by another way than a block
 * device: a descriptor of the block device of the same drive, or -1. It is
 * forgotten with -1. Main loop only.
 */
void device_beside_set(const BlockDriverState *bs, int fd);
int device_beside(const BlockDriverState *bs);

#endif /* BLOCK_DEVICE_CLAIM_H */
