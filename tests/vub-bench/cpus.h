/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cpus: which CPUs the server has, and which the client
 */
#ifndef VUB_BENCH_CPUS_H
#define VUB_BENCH_CPUS_H

#include <sched.h>
#include <stdbool.h>

/*
 * Deal out the CPUs this process may use: the upper half to the server, the
 * others to the client. With only one, both get it, and the result is false.
 */
bool cpus_split(cpu_set_t *server, cpu_set_t *client);

/* Read a list such as "0,2-3"; false if it is none. */
bool cpus_parse(const char *text, cpu_set_t *cpus);

#endif /* VUB_BENCH_CPUS_H */
