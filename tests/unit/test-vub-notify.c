/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-notify: whatever a client does with its descriptors,
 * neither a write nor a read waits. One that did would be the end of the test.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "export/vub-notify.h"

#define PATIENCE_S 60

static void set_blocking(int fd, bool blocking)
{
    int flags = fcntl(fd, F_GETFL);

    g_assert_cmpint(fcntl(fd, F_SETFL, blocking ? flags & ~O_NONBLOCK
                                                : flags | O_NONBLOCK), ==, 0);
}

static void test_eventfd(void)
{
    int theirs = eventfd(0, 0);
    VubNotify notify;
    uint64_t count = UINT64_MAX - 1;

    vub_notify_open(&notify, dup(theirs), false);
    g_assert_cmpint(notify.kind, ==, VUB_NOTIFY_EVENTFD);
    /* More than there is room for results that nobody looks at. */
    for (unsigned i = 0; i < 1000; i++) {
        vub_notify_tell(&notify);
    }
    g_assert_cmpint(read(theirs, &count, sizeof(count)), ==, sizeof(count));
    g_assert_cmpuint(count, ==, 1000);

    count = UINT64_MAX - 1;
    g_assert_cmpint(write(theirs, &count, sizeof(count)), ==, sizeof(count));
    for (unsigned i = 0; i < 3; i++) {
        vub_notify_tell(&notify);
    }
    vub_notify_close(&notify);
    g_assert_cmpint(notify.fd, ==, -1);

    /* There is nothing to take: somebody else took it. */
    vub_notify_open(&notify, dup(theirs), true);
    g_assert_cmpint(read(theirs, &count, sizeof(count)), ==, sizeof(count));
    g_assert_true(vub_notify_take(&notify));
    count = 5;
    g_assert_cmpint(write(theirs, &count, sizeof(count)), ==, sizeof(count));
    g_assert_true(vub_notify_take(&notify));
    set_blocking(theirs, false);
    g_assert_cmpint(read(theirs, &count, sizeof(count)), ==, -1);
    vub_notify_close(&notify);
    close(theirs);
}

static void test_pipe(void)
{
    VubNotify teller, told;
    int ends[2];
    char byte;

    g_assert_cmpint(pipe(ends), ==, 0);
    vub_notify_open(&teller, dup(ends[1]), false);
    vub_notify_open(&told, dup(ends[0]), true);
    g_assert_cmpint(teller.kind, ==, VUB_NOTIFY_PIPE);
    vub_notify_tell(&teller);
    g_assert_true(vub_notify_take(&told));
    /* Empty: it was made to block, but that is not our open file. */
    g_assert_true(vub_notify_take(&told));
    set_blocking(ends[1], false);
    while (write(ends[1], &byte, 1) == 1) {
        /* fill it */
    }
    set_blocking(ends[1], true);
    vub_notify_tell(&teller);

    vub_notify_close(&teller);
    close(ends[1]);
    while (vub_notify_take(&told)) {
        /* drain it; the end comes behind */
    }
    vub_notify_close(&told);
    close(ends[0]);
}

static void test_socket(void)
{
    VubNotify teller, told;
    int ends[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    vub_notify_open(&teller, ends[0], false);
    vub_notify_open(&told, ends[1], true);
    g_assert_cmpint(told.kind, ==, VUB_NOTIFY_SOCKET);
    g_assert_true(vub_notify_take(&told));
    for (unsigned i = 0; i < 100000; i++) {
        vub_notify_tell(&teller);
    }
    g_assert_true(vub_notify_take(&told));
    vub_notify_close(&told);
    /* Nobody is there; that is no reason for a signal. */
    vub_notify_tell(&teller);
    vub_notify_close(&teller);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
    vub_notify_open(&told, ends[1], true);
    close(ends[0]);
    g_assert_false(vub_notify_take(&told));
    vub_notify_close(&told);
}

static void test_kinds(void)
{
    int wrong[] = {
        open("/dev/null", O_RDWR), open("/proc/self/maps", O_RDONLY),
        open("/", O_RDONLY), timerfd_create(CLOCK_MONOTONIC, 0),
        epoll_create1(0), -1,
    };
    VubNotify none = VUB_NOTIFY_INIT;
    int ends[2], event = eventfd(0, 0);

    for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_false(vub_notify_can(wrong[i]));
        if (wrong[i] >= 0) {
            close(wrong[i]);
        }
    }
    g_assert_true(vub_notify_can(event));
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_true(vub_notify_can(ends[0]) && vub_notify_can(ends[1]));
    close(ends[0]);
    close(ends[1]);
    close(event);
    vub_notify_tell(&none);
    vub_notify_close(&none);
    vub_notify_open(&none, -1, false);
    vub_notify_tell(&none);
}

int main(int argc, char **argv)
{
    alarm(PATIENCE_S);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-notify/eventfd", test_eventfd);
    g_test_add_func("/export/vub-notify/pipe", test_pipe);
    g_test_add_func("/export/vub-notify/socket", test_socket);
    g_test_add_func("/export/vub-notify/kinds", test_kinds);
    return g_test_run();
}
