/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What libFuzzer calls; it has no header of its own. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Run one input; 0 when it may go into the corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif /* TESTS_FUZZ_FUZZ_H */
