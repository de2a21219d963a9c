/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: several clients of one export. The first one's ring runs; whatever
 * the others do, it goes on.
 */
#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cases.h"
#include "rig.h"

/* With the first */
#define NR_CLIENTS 8

/* SET_VRING_KICK; the answer comes when the ring has started. */
static void ask_to_start(FrontRing *ring)
{
    uint64_t index = ring->index;

    g_assert_true(front_send(ring->front, WIRE_SET_VRING_KICK, WIRE_NEED_REPLY,
                             &index, sizeof(index), &ring->kick, 1));
}

static bool is_answered(Front *front)
{
    struct pollfd waiting = { .fd = front->fd, .events = POLLIN };

    return poll(&waiting, 1, 0) == 1;
}

static void expect_started(Front *front)
{
    WireMsg reply;

    g_assert_true(front_receive(front, &reply));
    g_assert_cmpuint(reply.header.request, ==, WIRE_SET_VRING_KICK);
    g_assert_cmpuint(reply.u64, ==, 0);
}

/* Everything is said and answered but the start; the first sees nothing. */
static FrontRing *connect_second(Rig *rig)
{
    struct virtio_blk_config config;
    Front *second = front_open(rig->daemon->socket, SPLIT);
    FrontRing *ring;

    front_get_blk_config(second, &config);
    g_assert_cmpuint(config.capacity, ==, DISK_SECTORS);
    front_open_channel(second);
    ring = ring_new(second, 0, RING_DEFAULT);
    ring_enable(ring, true);
    expect_write_and_read(rig->ring, 0, 0x21);
    return ring;
}

static void end_second(FrontRing *ring)
{
    Front *front = ring->front;

    ring_free(ring);
    front_close(front);
}

/*
 * As a guest is migrated to another process on this host: the destination
 * connects and asks first, and starts when the source has stopped.
 */
static void handed_over(const void *arg)
{
    Request r;
    FrontRing *ring;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    ring = connect_second(&rig);
    ask_to_start(ring);
    r = request_make(ring, VIRTIO_BLK_T_IN, 0, 4096);
    request_send(&r, false);
    let_it_be();
    g_assert_false(is_answered(ring->front));
    g_assert_cmpuint(ring_reap(ring), ==, 0);
    expect_write_and_read(rig.ring, 0, 0x22);

    front_get_base(rig.front, 0);
    expect_started(ring->front);
    g_assert_cmpuint(request_wait(&r), ==, VIRTIO_BLK_S_OK);
    g_assert_true(filled_with(r.data, r.bytes, 0x22));
    expect_write_and_read(ring, 8, 0x33);

    /* And back, as if that had failed; the source is still connected. */
    ring_free(rig.ring);
    rig.ring = ring_new(rig.front, 0, RING_DEFAULT);
    ring_enable(rig.ring, true);
    ask_to_start(rig.ring);
    let_it_be();
    g_assert_false(is_answered(rig.front));
    expect_write_and_read(ring, 16, 0x44);
    end_second(ring);
    expect_started(rig.front);
    expect_write_and_read(rig.ring, 16, 0x55);
    rig_close(&rig);
}

/* What it left in its ring is not to be done any more. */
static void dies_while_it_waits(const void *arg)
{
    uint8_t data[4096];
    unsigned files;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    expect_write_and_read(rig.ring, 0, 0x21);
    files = daemon_open_files(rig.daemon);
    for (unsigned i = 0; i < 20; i++) {
        FrontRing *ring = connect_second(&rig);
        Request r = request_make(ring, VIRTIO_BLK_T_OUT, 64, 4096);

        memset(r.data, 0x66, r.bytes);
        request_send(&r, false);
        ask_to_start(ring);
        end_second(ring);
    }
    expect_write_and_read(rig.ring, 0, 0x22);
    front_get_base(rig.front, 0);
    rig_reconnect(&rig, SPLIT);
    expect_write_and_read(rig.ring, 0, 0x23);
    daemon_peek(rig.daemon, data, sizeof(data), 64 * 512);
    g_assert_true(filled_with(data, sizeof(data), 0));
    g_assert_cmpuint(daemon_open_files(rig.daemon), <, files + 30);
    rig_close(&rig);
}

static void deleted_while_one_waits(const void *arg)
{
    FrontRing *ring;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    ring = connect_second(&rig);
    ask_to_start(ring);
    let_it_be();
    daemon_qmp(rig.daemon, "{\"execute\": \"block-export-del\", "
               "\"arguments\": {\"id\": \"exp\", \"mode\": \"hard\"}}");
    g_assert_false(front_alive(rig.front));
    end_second(ring);
    rig_close(&rig);
}


/* One that waits must not keep the daemon from all others. */
static void third_comes(const void *arg)
{
    struct pollfd fds[] = { { .events = POLLIN }, { .events = POLLIN } };
    struct virtio_blk_config config;
    FrontRing *waits, *waits_too;
    Front *third;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    waits = connect_second(&rig);
    ask_to_start(waits);
    waits_too = connect_second(&rig);
    ask_to_start(waits_too);
    third = front_open(rig.daemon->socket, SPLIT);
    front_get_blk_config(third, &config);
    expect_write_and_read(rig.ring, 0, 0x22);
    daemon_qmp(rig.daemon, "{\"execute\": \"query-block-exports\"}");
    g_assert_false(is_answered(waits->front));
    g_assert_false(is_answered(waits_too->front));
    front_close(third);

    /* They take turns, whichever is first. */
    front_get_base(rig.front, 0);
    fds[0].fd = waits->front->fd;
    fds[1].fd = waits_too->front->fd;
    g_assert_cmpint(poll(fds, 2, patience_ms()), ==, 1);
    if (fds[1].revents) {
        FrontRing *first = waits_too;

        waits_too = waits;
        waits = first;
    }
    expect_started(waits->front);
    expect_write_and_read(waits, 8, 0x33);
    g_assert_false(is_answered(waits_too->front));
    end_second(waits);
    expect_started(waits_too->front);
    expect_write_and_read(waits_too, 8, 0x44);
    end_second(waits_too);
    rig_close(&rig);
}

/* True if the daemon answers; it closes the connection of one too many. */
static bool is_let_in(Front *front)
{
    WireMsg reply;

    return front_send(front, WIRE_GET_FEATURES, 0, NULL, 0, NULL, 0) &&
           front_receive(front, &reply);
}

/* It comes in as soon as the daemon has noticed that a client left. */
static Front *come_in(const Rig *rig)
{
    Front *front;

    for (;;) {
        front = front_connect(rig->daemon->socket);
        if (is_let_in(front)) {
            return front;
        }
        front_close(front);
        g_usleep(1000);
    }
}

static void one_too_many(const void *arg)
{
    g_autofree char *log = NULL;
    Front *silent[NR_CLIENTS - 1];
    FrontRing *waits;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    waits = connect_second(&rig);
    ask_to_start(waits);
    for (unsigned i = 1; i < NR_CLIENTS - 1; i++) {
        silent[i] = front_connect(rig.daemon->socket);
    }
    for (unsigned i = 0; i < 100; i++) {
        Front *more = front_connect(rig.daemon->socket);

        g_assert_false(is_let_in(more));
        front_close(more);
        expect_write_and_read(rig.ring, 0, i + 1);
    }
    g_assert_true(g_file_get_contents(rig.daemon->log, &log, NULL, NULL));
    g_assert_nonnull(strstr(log, "export 'exp': a client is refused, there "
                            "are 8 already"));
    g_assert_null(strstr(strstr(log, "is refused") + 1, "is refused"));

    /* Each that leaves makes room: one that waits, one that said nothing. */
    end_second(waits);
    silent[0] = come_in(&rig);
    front_close(silent[1]);
    silent[1] = come_in(&rig);
    for (unsigned i = 0; i < NR_CLIENTS - 1; i++) {
        front_close(silent[i]);
    }
    expect_works(rig.ring);
    rig_close(&rig);
}

/* It asks, and asks, until there's no room for more questions or answers. */
static void reads_no_answers(const void *arg)
{
    const WireHeader question = { WIRE_GET_FEATURES, WIRE_VERSION, 0 };
    unsigned nr_sent = 0;
    Front *second;
    FrontRing *third;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    second = front_connect(rig.daemon->socket);
    for (;;) {
        struct pollfd room = { .fd = second->fd, .events = POLLOUT };

        if (send(second->fd, &question, sizeof(question),
                 MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(question)) {
            nr_sent++;
            continue;
        }
        g_assert_cmpint(errno, ==, EAGAIN);
        /* Full: for good, if the daemon has done what it is asked then. */
        expect_works(rig.ring);
        front_sync(rig.front);
        let_it_be();
        if (poll(&room, 1, 0) == 0) {
            break;
        }
    }
    g_assert_cmpuint(nr_sent, >, 100);
    front_sync(rig.front);
    expect_write_and_read(rig.ring, 0, 0x22);
    third = connect_second(&rig);
    ask_to_start(third);
    front_get_base(rig.front, 0);
    expect_started(third->front);
    expect_write_and_read(third, 0, 0x33);
    end_second(third);
    front_close(second);
    rig_close(&rig);
}

/* All that a client can say of memory and rings is said of its own. */
static void changes_its_own(const void *arg)
{
    int files[] = { eventfd(0, 0), eventfd(0, 0) };
    WireMemTable table;
    WireRegion region;
    FrontRing *ring;
    Front *second;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    ring = connect_second(&rig);
    second = ring->front;
    front_ask_fd(second, WIRE_SET_VRING_CALL, 0, files[0]);
    front_ask_fd(second, WIRE_SET_VRING_ERR, 0, files[1]);
    expect_write_and_read(rig.ring, 0, 0x22);
    ring_enable(ring, false);
    expect_write_and_read(rig.ring, 0, 0x23);
    front_memory_table(second, &table);
    region = table.region[0];
    for (unsigned i = 0; i < 100; i++) {
        WireMemReg reg = { 0, region };

        front_ask(second, WIRE_REM_MEM_REG, &reg, sizeof(reg), NULL, 0);
        expect_write_and_read(rig.ring, 0, i);
        front_share_memory(second);
        expect_write_and_read(rig.ring, 8, i);
    }
    front_get_base(second, 0);
    front_ask_state(second, WIRE_SET_VRING_NUM, 0, 4);
    front_ask_u64(second, WIRE_SET_FEATURES,
                  second->features & ~FRONT_BIT(VIRTIO_BLK_F_FLUSH));
    expect_write_and_read(rig.ring, 0, 0x24);
    g_assert_cmpuint(event_count(files[0]), ==, 0);
    g_assert_cmpuint(event_count(files[1]), ==, 0);
    end_second(ring);
    expect_write_and_read(rig.ring, 0, 0x25);
    close(files[0]);
    close(files[1]);
    rig_close(&rig);
}

static FrontOutcome share_more(Front *front, int file, uint64_t bytes)
{
    WireMemReg reg = { 0, { 1ull << 45, bytes, 1ull << 45, 0 } };

    return front_try(front, WIRE_ADD_MEM_REG, &reg, sizeof(reg), &file, 1);
}

/* What one client may share is not more for connecting twice. */
static void share_much(const void *arg)
{
    const uint64_t bytes = 20ull << 40;
    int file = memory_file(bytes);
    FrontRing *ring;
    Front *third;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    ring = connect_second(&rig);
    g_assert_cmpint(share_more(ring->front, file, bytes), ==, FRONT_ACCEPTED);
    third = front_open(rig.daemon->socket, SPLIT);
    g_assert_cmpint(share_more(third, file, bytes), ==, FRONT_CLOSED);
    front_close(third);
    expect_works(rig.ring);
    end_second(ring);
    g_assert_cmpint(share_more(rig.front, file, bytes), ==, FRONT_ACCEPTED);
    expect_works(rig.ring);
    close(file);
    rig_close(&rig);
}

/* Who runs is told at once, who waits when it starts: it asked before. */
static void resize_reaches_all(const void *arg)
{
    struct virtio_blk_config config;
    FrontRing *ring;
    WireMsg msg;
    Rig rig;

    rig_open(&rig, DISK_FILE, "writable=on", SPLIT);
    front_open_channel(rig.front);
    ring = connect_second(&rig);
    daemon_qmp(rig.daemon, "{\"execute\": \"block_resize\", \"arguments\": "
               "{\"node-name\": \"disk\", \"size\": 33554432}}");
    g_assert_true(front_channel_receive(rig.front, &msg, patience_ms()));
    g_assert_cmpuint(msg.header.request, ==, WIRE_BACKEND_CONFIG_CHANGE);
    front_get_base(rig.front, 0);
    ask_to_start(ring);
    expect_started(ring->front);
    g_assert_true(front_channel_receive(ring->front, &msg, patience_ms()));
    g_assert_cmpuint(msg.header.request, ==, WIRE_BACKEND_CONFIG_CHANGE);
    front_get_blk_config(ring->front, &config);
    g_assert_cmpuint(config.capacity, ==, 2 * DISK_SECTORS);
    end_second(ring);
    rig_close(&rig);
}

/* As if it were killed: the other one, which waits, gets the disk. */
static void first_dies(const void *arg)
{
    FrontRing *ring;
    Rig rig;

    rig_open(&rig, DISK_SLOW, "writable=on", SPLIT);
    ring = connect_second(&rig);
    ask_to_start(ring);
    for (unsigned i = 0; i < 16; i++) {
        Request r = request_make(rig.ring, VIRTIO_BLK_T_OUT, 64 + i * 8, 4096);

        request_send(&r, false);
    }
    let_it_be();
    g_assert_false(is_answered(ring->front));
    ring_free(rig.ring);
    front_close(rig.front);
    expect_started(ring->front);
    expect_write_and_read(ring, 64, 0x33);
    rig.ring = ring;
    rig.front = ring->front;
    rig_close(&rig);
}

void add_several_cases(void)
{
    case_add(handed_over, NULL,
             "clients: a second is answered, and starts when the first stops");
    case_add(third_comes, NULL,
             "clients: others are answered while two wait for the first");
    case_add(first_dies, NULL,
             "clients: one that waits starts when the first dies");
    case_add(dies_while_it_waits, NULL,
             "clients: one may hang up while it waits for the first");
    case_add(deleted_while_one_waits, NULL,
             "clients: an export is deleted while one waits for the first");
    case_add(one_too_many, NULL,
             "clients: one too many is cut off, and it is said once");
    case_add(reads_no_answers, NULL,
             "clients: one that reads no answers holds up nobody else");
    case_add(changes_its_own, NULL,
             "clients: a second changes nothing of the first");
    case_add(share_much, NULL,
             "clients: all of an export share no more memory than one may");
    case_add(resize_reaches_all, NULL,
             "clients: a resize is told to those who wait, too");
}
