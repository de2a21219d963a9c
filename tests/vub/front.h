/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A vhost-user front-end: the connection, its messages, the shared memory.
 *
 * What a case expects is in the name of the call: front_ask() is accepted or
 * the case fails, front_try() says what became of it.
 */
#ifndef TESTS_VUB_FRONT_H
#define TESTS_VUB_FRONT_H

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <stdbool.h>
#include <stddef.h>

#include "wire.h"

/* Guest memory. Neither address is 0, and no two kinds are alike. */
#define FRONT_GUEST_BASE    0x40000000ull
#define FRONT_MEM_BYTES     (32u << 20)

#define FRONT_BIT(n)        (1ull << (n))

typedef enum FrontOutcome {
    FRONT_ACCEPTED,
    FRONT_REFUSED,          /* a reply says no; the connection goes on */
    FRONT_CLOSED,
} FrontOutcome;

typedef struct Front {
    int fd;
    int backend_fd;         /* our end of the back-end's channel, or -1 */
    uint64_t offered;       /* features */
    uint64_t offered_protocol;
    uint64_t features;      /* those that were acknowledged */
    uint64_t protocol;
    int mem_fd;
    uint8_t *mem;
    size_t mem_used;        /* a stack that only grows */
} Front;

/* --- connection ---------------------------------------------------------- */

/* Connect; nothing is said yet. Memory is there, but not shared. */
Front *front_connect(const char *path);

/*
 * Connect and negotiate all that is offered but the @without features, then
 * share the memory.
 */
Front *front_open(const char *path, uint64_t without);
void front_close(Front *front);

/* Connect again, with the same features and the memory as it is. */
void front_return(Front *front, const char *path);

/* Negotiate what is offered of both; the protocol's part first. */
void front_negotiate(Front *front, uint64_t features, uint64_t protocol);

/* SET_MEM_TABLE: all of the memory as one region. */
void front_share_memory(Front *front);
void front_memory_table(const Front *front, WireMemTable *table);

/* --- messages ------------------------------------------------------------ */

/* Any bytes, with any files. Returns false if the connection is gone. */
bool front_send_bytes(Front *front, const void *bytes, size_t size,
                      const int *fds, unsigned nr_fds);
bool front_send(Front *front, uint32_t request, uint32_t flags,
                const void *payload, uint32_t size, const int *fds,
                unsigned nr_fds);

/* Wait for the next message; false if the connection was closed instead. */
bool front_receive(Front *front, WireMsg *msg);

/* Send it with NEED_REPLY and wait for what becomes of it. */
FrontOutcome front_try(Front *front, uint32_t request, const void *payload,
                       uint32_t size, const int *fds, unsigned nr_fds);

/* The case fails unless it is accepted (REPLY_ACK or not). */
void front_ask(Front *front, uint32_t request, const void *payload,
               uint32_t size, const int *fds, unsigned nr_fds);
void front_ask_u64(Front *front, uint32_t request, uint64_t value);
void front_ask_state(Front *front, uint32_t request, unsigned index,
                     unsigned num);
/* The kick, call or err file of a ring. */
void front_ask_fd(Front *front, uint32_t request, unsigned index, int fd);

/* For requests that have a reply of their own. */
uint64_t front_get_u64(Front *front, uint32_t request);
uint32_t front_get_base(Front *front, unsigned index);
/* Returns the size in the reply: 0 is a refusal. */
uint32_t front_get_config(Front *front, uint32_t offset, uint32_t size,
                          void *bytes);
void front_get_blk_config(Front *front, struct virtio_blk_config *config);
FrontOutcome front_try_config(Front *front, uint32_t offset, uint32_t size,
                              uint32_t flags, const void *bytes);

/* Returns once the back-end has dealt with all messages sent so far. */
void front_sync(Front *front);

/* True if the connection is open and answers. */
bool front_alive(Front *front);

/* Give the back-end a channel of its own (SET_BACKEND_REQ_FD). */
void front_open_channel(Front *front);

/* Next message on the channel, answered if it wants that; false: none yet. */
bool front_channel_receive(Front *front, WireMsg *msg, int timeout_ms);

/* --- memory -------------------------------------------------------------- */

/* Zeroed guest memory, never given back. @align: a power of two. */
void *front_alloc(Front *front, size_t bytes, size_t align);
uint64_t front_gpa(const Front *front, const void *ptr);

/* A new file in memory of that many bytes. */
int memory_file(size_t bytes);

#endif /* TESTS_VUB_FRONT_H */
