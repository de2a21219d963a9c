/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Check-alloc: a healthy array's reads take nothing from the heap
 */
#ifndef OPUS_BENCH_CHECK_ALLOC_H
#define OPUS_BENCH_CHECK_ALLOC_H

/**
 * check_alloc_run: the test behind "raid-bench --check-alloc"
 * @argv: of the program; it may start anew with another environment
 *
 * Prints TAP; returns the program's exit status. Main loop only.
 */
int check_alloc_run(char **argv);

#endif /* OPUS_BENCH_CHECK_ALLOC_H */
