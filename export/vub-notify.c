/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notify: a client's descriptor by which we tell it, or are told
 *
 * Owns: how it is written and read without ever waiting.
 * Must not know: what it tells.
 * Threads: any; a descriptor belongs to one.
 *
 * O_NONBLOCK belongs to the open file, which the client shares and can change
 * between a look and the call that follows. A pipe can be opened anew, for
 * ourselves; sockets have a flag for each call, and so have reads of eventfds.
 * For writes to these there is none. But the kernel signals an eventfd when an
 * asynchronous request is done, and that never waits: so we have it read no
 * byte from an empty file.
 */

#include "vub-notify.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NR_EVENTS 64

/* A thread's own, so that no other waits for it. */
typedef struct Signaller {
    aio_context_t context;
    int empty_fd;
} Signaller;

static void signaller_free(gpointer opaque)
{
    Signaller *s = opaque;

    if (s->context) {
        syscall(SYS_io_destroy, s->context);
    }
    if (s->empty_fd >= 0) {
        close(s->empty_fd);
    }
    g_free(s);
}

static GPrivate signaller = G_PRIVATE_INIT(signaller_free);

static Signaller *get_signaller(void)
{
    Signaller *s = g_private_get(&signaller);

    if (!s) {
        s = g_new0(Signaller, 1);
        s->empty_fd = memfd_create("vub-notify", MFD_CLOEXEC);
        if (s->empty_fd < 0 ||
            syscall(SYS_io_setup, NR_EVENTS, &s->context) < 0) {
            s->context = 0;
        }
        g_private_set(&signaller, s);
    }
    return s;
}

/* False: the kernel has no such requests, or none for us. */
static bool signal_eventfd(int fd)
{
    Signaller *s = get_signaller();
    struct iocb request = {
        .aio_lio_opcode = IOCB_CMD_PREAD,
        .aio_fildes = s->empty_fd,
        .aio_flags = IOCB_FLAG_RESFD,
        .aio_resfd = fd,
    };
    struct iocb *requests[] = { &request };
    struct io_event events[NR_EVENTS];

    if (!s->context) {
        return false;
    }
    for (unsigned i = 0; i < 2; i++) {
        if (syscall(SYS_io_submit, s->context, 1, requests) == 1) {
            return true;
        }
        if (errno != EAGAIN) {
            return false;
        }
        /* There are as many results as it can hold; they are of no use. */
        syscall(SYS_io_getevents, s->context, 0, NR_EVENTS, events, NULL);
    }
    return false;
}

/* All that is left to do if there's no better way: it can still block. */
static bool is_ready(int fd, short events)
{
    struct pollfd pollfd = { .fd = fd, .events = events };

    return poll(&pollfd, 1, 0) == 1;
}

static VubNotifyKind kind_of(int fd)
{
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autofree char *target = NULL;
    struct stat info;

    if (fstat(fd, &info) < 0) {
        return VUB_NOTIFY_NONE;
    }
    if (S_ISFIFO(info.st_mode)) {
        return VUB_NOTIFY_PIPE;
    }
    if (S_ISSOCK(info.st_mode)) {
        return VUB_NOTIFY_SOCKET;
    }
    if (info.st_mode & S_IFMT) {
        return VUB_NOTIFY_NONE;
    }
    target = g_file_read_link(path, NULL);
    return !target || strstr(target, "[eventfd]") ? VUB_NOTIFY_EVENTFD
                                                  : VUB_NOTIFY_NONE;
}

bool vub_notify_can(int fd)
{
    return kind_of(fd) != VUB_NOTIFY_NONE;
}

void vub_notify_open(VubNotify *notify, int fd, bool to_be_told)
{
    *notify = (VubNotify) { .fd = fd };
    if (fd < 0) {
        return;
    }
    notify->kind = kind_of(fd);
    if (notify->kind == VUB_NOTIFY_PIPE) {
        g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
        int ours = open(path, O_CLOEXEC | O_NONBLOCK |
                              (to_be_told ? O_RDONLY : O_WRONLY));

        if (ours >= 0) {
            close(fd);
            notify->fd = ours;
        }
    }
}

void vub_notify_close(VubNotify *notify)
{
    if (notify->fd >= 0) {
        close(notify->fd);
    }
    *notify = (VubNotify) VUB_NOTIFY_INIT;
}

void vub_notify_tell(const VubNotify *notify)
{
    const uint64_t one = 1;

    if (notify->fd < 0) {
        return;
    }
    if (notify->kind == VUB_NOTIFY_SOCKET) {
        /* A stream or not: one message or some bytes, it's all the same. */
        (void)!send(notify->fd, &one, sizeof(one),
                    MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    if (notify->kind == VUB_NOTIFY_EVENTFD && signal_eventfd(notify->fd)) {
        return;
    }
    if (is_ready(notify->fd, POLLOUT)) {
        (void)!write(notify->fd, &one, sizeof(one));
    }
}

bool vub_notify_take(const VubNotify *notify)
{
    uint64_t count;
    struct iovec iov = { &count, sizeof(count) };
    ssize_t ret;

    if (notify->kind == VUB_NOTIFY_SOCKET) {
        ret = recv(notify->fd, &count, sizeof(count), MSG_DONTWAIT);
    } else {
        ret = preadv2(notify->fd, &iov, 1, -1, RWF_NOWAIT);
        if (ret < 0 && errno == EOPNOTSUPP) {
            ret = is_ready(notify->fd, POLLIN)
                  ? read(notify->fd, &count, sizeof(count)) : -1;
        }
    }
    return ret != 0;
}
