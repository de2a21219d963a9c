/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status: what an NVMe drive answers, and what that means
 *
 * A status here is the status field of a completion without its phase bit, as
 * Linux hands it to programs: bits 7..0 the code, 10..8 its type, 12..11 which
 * delay to keep before a retry, 13 that the error log says more, 14 that a
 * retry is no use (DNR).
 *
 * Pure; any thread.
 */
#ifndef UTIL_NVME_STATUS_H
#define UTIL_NVME_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#define NV_STATUS_TYPE_SHIFT    8
#define NV_STATUS_DELAY_SHIFT   11
#define NV_STATUS_DNR           0x4000u

/* What matters to who has sent the request. */
typedef enum NvStatusClass {
    NV_STATUS_GOOD,
    NV_STATUS_MEDIUM,       /* these blocks can't be read, or written */
    NV_STATUS_BUSY,         /* not now; nothing is wrong */
    NV_STATUS_PATH,         /* the way to the drive, or the drive, is lost */
    NV_STATUS_FULL,         /* there is no room behind a thin namespace */
    NV_STATUS_PROTECTED,    /* nothing may be written */
    NV_STATUS_UNSUPPORTED,  /* the drive does not know the command */
    NV_STATUS_REFUSED,      /* the command, or a field of it, is wrong */
    NV_STATUS_FAILED,       /* all the rest, and what nobody knows */
} NvStatusClass;

NvStatusClass nv_status_class(uint16_t status);

/**
 * nv_status_errno: 0, or what a block driver returns, negative
 *
 * Never -EAGAIN, which tells the caller to try again for ever: see
 * nv_status_may_retry().
 */
int nv_status_errno(uint16_t status);

/*
 * The same command may succeed a little later. Of a medium that can't be read,
 * that is left to who has the data elsewhere.
 */
bool nv_status_may_retry(uint16_t status);

/* Which of the drive's retry delays to keep, 1..3, or 0 for none. */
unsigned nv_status_delay(uint16_t status);

/* Two or three words for people, never NULL. */
const char *nv_status_name(uint16_t status);

#endif /* UTIL_NVME_STATUS_H */
