/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Notify: a client's descriptor by which we tell it, or are told
 *
 * It is an eventfd, a pipe or a socket that the client has too. So it is the
 * client who says whether reads and writes block, at any time; and it can see
 * to it that they would. Ours never do.
 */

#ifndef OPUS_VUB_NOTIFY_H
#define OPUS_VUB_NOTIFY_H

#include <stdbool.h>

typedef enum VubNotifyKind {
    VUB_NOTIFY_NONE,
    VUB_NOTIFY_EVENTFD,
    VUB_NOTIFY_PIPE,
    VUB_NOTIFY_SOCKET,
} VubNotifyKind;

typedef struct VubNotify {
    int fd;
    VubNotifyKind kind;
} VubNotify;

#define VUB_NOTIFY_INIT { .fd = -1 }

/* False: it is of a kind whose reads or writes could block. */
bool vub_notify_can(int fd);

/* Takes @fd over, to be told by it or to tell; -1: none. */
void vub_notify_open(VubNotify *notify, int fd, bool to_be_told);
void vub_notify_close(VubNotify *notify);

/* What can't be told has been told before: a counter or a pipe is full. */
void vub_notify_tell(const VubNotify *notify);

/* Takes what we were told. False: the other end is closed. */
bool vub_notify_take(const VubNotify *notify);

#endif /* OPUS_VUB_NOTIFY_H */
