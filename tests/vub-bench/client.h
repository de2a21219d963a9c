/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client: random reads from a vhost-user-blk socket, one thread for each queue
 */
#ifndef VUB_BENCH_CLIENT_H
#define VUB_BENCH_CLIENT_H

#include <glib.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include "latency.h"

#define CLIENT_MAX_QUEUES   16
#define CLIENT_MAX_DEPTH    128

typedef struct ClientSpec {
    unsigned nr_queues;         /* 1 .. CLIENT_MAX_QUEUES */
    unsigned depth;             /* of each queue: 1 .. CLIENT_MAX_DEPTH */
    uint32_t bytes;             /* of each request */
    bool polling;               /* or sleeping, until a notification */
    bool timed;                 /* take the time of each request */
} ClientSpec;

typedef struct Client Client;

/*
 * Connect to @socket_path and start the load on @cpus; the threads have them in
 * turn. @spec and @cpus must outlive the client. NULL and @errp on failure.
 */
Client *client_start(const ClientSpec *spec, const char *socket_path,
                     const cpu_set_t *cpus, GError **errp);

/* Requests that have ended since the start. Any thread, at any time. */
uint64_t client_requests(const Client *client);

/* From now on record times, if they are taken at all. Any thread. */
void client_record(Client *client);

/*
 * Let all requests end, disconnect and free @client. False and @errp if one
 * failed. @latency, if not NULL, becomes what has been recorded.
 */
bool client_stop(Client *client, Latency *latency, GError **errp);

#endif /* VUB_BENCH_CLIENT_H */
