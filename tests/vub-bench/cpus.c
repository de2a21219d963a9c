/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cpus: which CPUs the server has, and which the client
 *
 * Owns: nothing.
 * Must not know: what runs on them.
 * Threads: any.
 */

#include <glib.h>
#include "cpus.h"

bool cpus_split(cpu_set_t *server, cpu_set_t *client)
{
    cpu_set_t all;
    int seen = 0;

    sched_getaffinity(0, sizeof(all), &all);
    *server = *client = all;
    if (CPU_COUNT(&all) < 2) {
        return false;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_CLR(cpu, seen < CPU_COUNT(&all) / 2 ? server : client);
            seen++;
        }
    }
    return true;
}

bool cpus_parse(const char *text, cpu_set_t *cpus)
{
    char *end;

    CPU_ZERO(cpus);
    do {
        guint64 first = g_ascii_strtoull(text, &end, 10);
        guint64 last = first;

        if (end == text) {
            return false;
        }
        if (*end == '-') {
            text = end + 1;
            last = g_ascii_strtoull(text, &end, 10);
        }
        if (end == text || last >= CPU_SETSIZE || last < first) {
            return false;
        }
        for (guint64 cpu = first; cpu <= last; cpu++) {
            CPU_SET(cpu, cpus);
        }
        text = end + 1;
    } while (*end == ',');
    return *end == '\0';
}
