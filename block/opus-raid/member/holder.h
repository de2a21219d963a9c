/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holder: who else uses a block device
 */
#ifndef BLOCK_OPUS_RAID_MEMBER_HOLDER_H
#define BLOCK_OPUS_RAID_MEMBER_HOLDER_H

/* "/dev/sda", or "8:0" if sysfs does not tell. Free it. */
char *opus_device_name(dev_t dev);

/* The drive that a partition is on; of a drive the drive itself. */
dev_t opus_device_whole(dev_t dev);

/* Does a claim on one keep the other from being claimed? */
bool opus_devices_overlap(dev_t a, dev_t b);

/**
 * opus_holder_in_kernel: who in the kernel has claimed @dev, the drive that it
 * is on, or a partition of it
 *
 * "the md array /dev/md0", say, to be freed; NULL if there is none that can be
 * found. @hint is what to do about it, with a newline, to be freed as well.
 */
char *opus_holder_in_kernel(dev_t dev, char **hint);

/* The processes that have it open, this one aside; NULL if none is seen. */
char *opus_holder_processes(dev_t dev);

#endif /* BLOCK_OPUS_RAID_MEMBER_HOLDER_H */
