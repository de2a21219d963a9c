/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vclock: the time that QEMU sees in a simulation
 */
#ifndef OPUS_SIM_VCLOCK_H
#define OPUS_SIM_VCLOCK_H

#include <stdint.h>

/* Called when there is nothing left that could ever happen; must not return. */
typedef void VclockHang(void);

void vclock_start(VclockHang *hang);

/* Let time pass. */
void vclock_advance(int64_t ns);

/* Nanoseconds since the start of the program. */
int64_t vclock_ns(void);

#endif /* OPUS_SIM_VCLOCK_H */
