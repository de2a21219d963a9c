/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holder: who else uses a block device
 */
#ifndef BLOCK_DEVICE_HOLDER_H
#define BLOCK_DEVICE_HOLDER_H

/* "/dev/sda", or "8:0" if sysfs does not tell. Free it. */
char *device_name(dev_t dev);

/* The drive that a partition is on; of a drive the drive itself. */
dev_t device_whole(dev_t dev);

/* Does a claim on one keep the other from being claimed? */
bool devices_overlap(dev_t a, dev_t b);

/**
 * device_holder_in_kernel: who in the kernel has claimed @dev, the drive that it
 * is on, or a partition of it
 *
 * "the md array /dev/md0", say, to be freed; NULL if there is none that can be
 * found. @hint is what to do about it, with a newline, to be freed as well.
 */
char *device_holder_in_kernel(dev_t dev, char **hint);

/* The processes that have it open, this one aside; NULL if none is seen. */
char *device_holder_processes(dev_t dev);

#endif /* BLOCK_DEVICE_HOLDER_H */
