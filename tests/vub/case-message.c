/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: messages in a right frame that ask for what cannot be.
 *
 * Each must be refused by its reply, change nothing, and leave the connection
 * and the ring that runs beside it as they are.
 */
#include <glib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cases.h"
#include "rig.h"

/* What each case tries it on: ring 0 runs, ring 1 has a size but no more. */
#define FREE_RING   1
#define NR_QUEUES   2

static void open_message_rig(Rig *rig)
{
    rig_open(rig, DISK_FILE, "writable=on,num-queues=2", SPLIT);
    front_ask_state(rig->front, WIRE_SET_VRING_NUM, FREE_RING, 64);
}

static FrontOutcome try_state(Front *front, uint32_t request, uint32_t index,
                              uint32_t num)
{
    struct vhost_vring_state state = { index, num };

    return front_try(front, request, &state, sizeof(state), NULL, 0);
}

static void expect_refused(Front *front, FrontOutcome outcome)
{
    if (outcome != FRONT_REFUSED) {
        g_error("it was %s", outcome == FRONT_CLOSED ? "answered by closing"
                                                     : "accepted");
    }
    front_sync(front);
}

/* Ring 0 went on all the time, and ring 1 can still be made to run. */
static void close_message_rig(Rig *rig)
{
    FrontRing *other;

    expect_write_and_read(rig->ring, 0, 0x19);
    other = ring_open(rig->front, FREE_RING);
    expect_write_and_read(other, 8, 0x20);
    ring_free(other);
    rig_close(rig);
}

typedef struct StateCase {
    uint32_t request;
    uint32_t index;
    uint32_t num;
    const char *what;
} StateCase;

static const StateCase state_cases[] = {
    { WIRE_SET_VRING_NUM, NR_QUEUES, 64, "a size for a ring there is not" },
    { WIRE_SET_VRING_NUM, UINT32_MAX, 64, "a size for the last ring of all" },
    { WIRE_SET_VRING_NUM, 0, 64, "another size for a ring that runs" },
    { WIRE_SET_VRING_BASE, NR_QUEUES, 0, "a base for a ring there is not" },
    { WIRE_SET_VRING_BASE, 0, 7, "another base for a ring that runs" },
    { WIRE_SET_VRING_ENABLE, NR_QUEUES, 1, "to enable a ring there is not" },
    { WIRE_SET_VRING_ENABLE, UINT32_MAX, 1, "to enable the last of all" },
};

static void bad_state(const void *arg)
{
    const StateCase *c = arg;
    Rig rig;

    open_message_rig(&rig);
    expect_refused(rig.front, try_state(rig.front, c->request, c->index,
                                        c->num));
    close_message_rig(&rig);
}

/*
 * What only is wrong for this kind of ring may be refused when it is told, or
 * when the ring is to start.
 */
static FrontOutcome try_start(Front *front, unsigned num,
                              const struct vhost_vring_addr *address)
{
    uint64_t index = address->index;
    int kick = eventfd(0, EFD_CLOEXEC);
    FrontOutcome outcome;

    outcome = try_state(front, WIRE_SET_VRING_NUM, index, num);
    if (outcome == FRONT_ACCEPTED) {
        outcome = front_try(front, WIRE_SET_VRING_ADDR, address,
                            sizeof(*address), NULL, 0);
    }
    if (outcome == FRONT_ACCEPTED) {
        outcome = front_try(front, WIRE_SET_VRING_KICK, &index, 8, &kick, 1);
    }
    close(kick);
    return outcome;
}

typedef struct SizeCase {
    unsigned num;
    const char *what;
} SizeCase;

static const SizeCase size_cases[] = {
    { 0, "a ring of size 0" },
    { 100, "a size that is not a power of two" },
    { 4096, "a size that is too large" },
    { 65536, "a size of more than 16 bits" },
    { 1u << 31, "a size of 32 bits" },
};

static void bad_size(const void *arg)
{
    const SizeCase *c = arg;
    struct vhost_vring_addr address;
    Rig rig;

    open_message_rig(&rig);
    ring_address(rig.ring, &address);
    address.index = FREE_RING;
    expect_refused(rig.front, try_start(rig.front, c->num, &address));
    close_message_rig(&rig);
}

typedef struct AddressCase {
    int64_t desc, avail, used;      /* added to addresses that would do */
    const char *what;
} AddressCase;

#define END ((int64_t)FRONT_MEM_BYTES)

static const AddressCase address_cases[] = {
    { END, 0, 0, "descriptors outside the memory" },
    { 0, END, 0, "an avail ring outside the memory" },
    { 0, 0, END, "a used ring outside the memory" },
    { -4096, 0, 0, "descriptors before the memory" },
    { END - 1008, 0, 0, "descriptors that run out of the memory" },
    { 0, END - 4224, 0, "an avail ring that runs out of the memory" },
    { 0, 0, END - 8700, "a used ring that runs out of the memory" },
    { 8, 0, 0, "descriptors at an odd place" },
    { 0, 1, 0, "an avail ring at an odd place" },
    { 0, 0, 2, "a used ring at an odd place" },
    { INT64_MIN, 0, 0, "descriptors at no address" },
};

static void bad_address(const void *arg)
{
    const AddressCase *c = arg;
    struct vhost_vring_addr address = { .index = FREE_RING };
    Rig rig;

    open_message_rig(&rig);
    address.desc_user_addr = (uintptr_t)rig.front->mem + c->desc;
    address.avail_user_addr = (uintptr_t)rig.front->mem + 4096 + c->avail;
    address.used_user_addr = (uintptr_t)rig.front->mem + 8192 + c->used;
    expect_refused(rig.front, try_start(rig.front, 64, &address));
    close_message_rig(&rig);
}

static void address_of_no_ring(const void *arg)
{
    struct vhost_vring_addr address;
    Rig rig;

    open_message_rig(&rig);
    ring_address(rig.ring, &address);
    address.index = NR_QUEUES;
    expect_refused(rig.front, front_try(rig.front, WIRE_SET_VRING_ADDR,
                                        &address, sizeof(address), NULL, 0));
    address.index = UINT32_MAX;
    expect_refused(rig.front, front_try(rig.front, WIRE_SET_VRING_ADDR,
                                        &address, sizeof(address), NULL, 0));
    close_message_rig(&rig);
}

static void running_ring_to_nowhere(const void *arg)
{
    struct vhost_vring_addr address;
    Rig rig;

    open_message_rig(&rig);
    ring_address(rig.ring, &address);
    address.used_user_addr += FRONT_MEM_BYTES;
    expect_refused(rig.front, front_try(rig.front, WIRE_SET_VRING_ADDR,
                                        &address, sizeof(address), NULL, 0));
    close_message_rig(&rig);
}

static void start_without_address(const void *arg)
{
    uint64_t index = FREE_RING;
    int kick = eventfd(0, 0);
    Rig rig;

    open_message_rig(&rig);
    expect_refused(rig.front, front_try(rig.front, WIRE_SET_VRING_KICK, &index,
                                        8, &kick, 1));
    close(kick);
    close_message_rig(&rig);
}

static void start_without_memory(const void *arg)
{
    struct vhost_vring_addr address = { .index = 0 };
    Rig rig;

    rig.daemon = daemon_start(DISK_FILE, "writable=on");
    rig.front = front_connect(rig.daemon->socket);
    front_negotiate(rig.front, ~(SPLIT | FRONT_BIT(VHOST_F_LOG_ALL)), ~0ull);
    address.desc_user_addr = (uintptr_t)rig.front->mem;
    address.avail_user_addr = (uintptr_t)rig.front->mem + 4096;
    address.used_user_addr = (uintptr_t)rig.front->mem + 8192;
    expect_refused(rig.front, try_start(rig.front, 64, &address));
    front_share_memory(rig.front);
    rig.ring = ring_open(rig.front, 0);
    expect_works(rig.ring);
    rig_close(&rig);
}

static const uint32_t fd_requests[] = {
    WIRE_SET_VRING_KICK, WIRE_SET_VRING_CALL, WIRE_SET_VRING_ERR,
};

static void file_of_no_ring(const void *arg)
{
    Rig rig;

    open_message_rig(&rig);
    for (unsigned i = 0; i < G_N_ELEMENTS(fd_requests); i++) {
        for (uint64_t index = NR_QUEUES; index < 256; index += 23) {
            expect_refused(rig.front,
                           front_try(rig.front, fd_requests[i], &index, 8,
                                     &rig.ring->call, 1));
        }
    }
    close_message_rig(&rig);
}

/* Bit 8 says "none", and then there is none; without it there is one. */
static void file_that_is_not_there(const void *arg)
{
    Rig rig;

    open_message_rig(&rig);
    for (unsigned i = 0; i < G_N_ELEMENTS(fd_requests); i++) {
        uint64_t index = FREE_RING;

        expect_refused(rig.front, front_try(rig.front, fd_requests[i], &index,
                                            8, NULL, 0));
    }
    close_message_rig(&rig);
}

/*
 * The reply is one of its own, and there is no base to put in it. So only
 * that the daemon and its next client go on is asked for.
 */
static void base_of_no_ring(const void *arg)
{
    static const uint32_t indexes[] = { NR_QUEUES, 255, 0x7fffffff,
                                        UINT32_MAX };
    Rig rig;

    open_message_rig(&rig);
    for (unsigned i = 0; i < G_N_ELEMENTS(indexes); i++) {
        struct vhost_vring_state state = { indexes[i], 0 };
        WireMsg reply;

        if (!front_send(rig.front, WIRE_GET_VRING_BASE, 0, &state,
                        sizeof(state), NULL, 0) ||
            !front_receive(rig.front, &reply)) {
            rig_reconnect(&rig, SPLIT);
        }
    }
    expect_works(rig.ring);
    rig_close(&rig);
}

static void unknown_is_refused(const void *arg)
{
    static const uint32_t requests[] = {
        WIRE_UNKNOWN, WIRE_SEND_RARP, WIRE_IOTLB_MSG, WIRE_POSTCOPY_ADVISE,
        WIRE_RESET_DEVICE, WIRE_VRING_KICK, 0x7fffffff,
    };
    uint64_t payload = 0;
    Rig rig;

    open_message_rig(&rig);
    for (unsigned i = 0; i < G_N_ELEMENTS(requests); i++) {
        expect_refused(rig.front, front_try(rig.front, requests[i], &payload,
                                            8, NULL, 0));
    }
    close_message_rig(&rig);
}

static void unknown_without_reply(const void *arg)
{
    uint64_t payload = 0;
    Rig rig;

    open_message_rig(&rig);
    front_send(rig.front, WIRE_UNKNOWN, 0, &payload, 8, NULL, 0);
    front_sync(rig.front);
    close_message_rig(&rig);
}

static void invalid_without_reply_closes(const void *arg)
{
    struct vhost_vring_state state = { NR_QUEUES, 1 };
    WireMsg reply;
    Rig rig;

    open_message_rig(&rig);
    front_send(rig.front, WIRE_SET_VRING_ENABLE, 0, &state, sizeof(state),
               NULL, 0);
    g_assert_false(front_receive(rig.front, &reply));
    rig_reconnect(&rig, SPLIT);
    expect_works(rig.ring);
    rig_close(&rig);
}

void add_message_cases(void)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(state_cases); i++) {
        case_add(bad_state, &state_cases[i], "messages: refused is %s",
                 state_cases[i].what);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(size_cases); i++) {
        case_add(bad_size, &size_cases[i], "messages: refused is %s",
                 size_cases[i].what);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(address_cases); i++) {
        case_add(bad_address, &address_cases[i], "messages: refused is %s",
                 address_cases[i].what);
    }
    case_add(address_of_no_ring, NULL,
             "messages: refused are addresses for a ring there is not");
    case_add(running_ring_to_nowhere, NULL,
             "messages: refused is to move a running ring out of the memory");
    case_add(start_without_address, NULL,
             "messages: refused is to start a ring of no address");
    case_add(start_without_memory, NULL,
             "messages: refused is to start a ring without memory");
    case_add(file_of_no_ring, NULL,
             "messages: refused are files for a ring there is not");
    case_add(file_that_is_not_there, NULL,
             "messages: refused is a file that is not there");
    case_add(base_of_no_ring, NULL,
             "messages: the base of a ring there is not does no harm");
    case_add(unknown_is_refused, NULL,
             "messages: refused are requests nobody offered");
    case_add(unknown_without_reply, NULL,
             "messages: an unknown one that wants no reply is passed over");
    case_add(invalid_without_reply_closes, NULL,
             "messages: a wrong one that wants no reply ends the connection");
}
