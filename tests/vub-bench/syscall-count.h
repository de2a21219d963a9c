/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Syscall-count: how many system calls another process makes
 */
#ifndef VUB_BENCH_SYSCALL_COUNT_H
#define VUB_BENCH_SYSCALL_COUNT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct SyscallCount {
    GArray *fds;                /* one for each thread; NULL when closed */
} SyscallCount;

/*
 * Count from now on, in all threads that @pid has, and those they start. False
 * and @errp where the kernel does not allow it (it wants root).
 */
bool syscall_count_open(SyscallCount *count, pid_t pid, GError **errp);
void syscall_count_close(SyscallCount *count);

uint64_t syscall_count_read(const SyscallCount *count);

#endif /* VUB_BENCH_SYSCALL_COUNT_H */
