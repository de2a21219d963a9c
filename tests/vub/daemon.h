/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A storage daemon with one vhost-user-blk export of the node "disk".
 */
#ifndef TESTS_VUB_DAEMON_H
#define TESTS_VUB_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define DISK_BYTES      (16 << 20)
#define DISK_SECTORS    (DISK_BYTES / 512)

/* What the export's node is made of; each holds DISK_BYTES. */
typedef enum DiskKind {
    DISK_FILE,              /* a sparse file */
    DISK_DIRECT,            /* a file, past the host's cache, by workers */
    DISK_NULL,              /* reads zeroes; each request ends at once */
    DISK_SLOW,              /* a file; reads and writes take half a second */
    DISK_STUCK,             /* a file; reads and writes take minutes */
    DISK_BAD_FLUSH,         /* a file; each flush fails */
} DiskKind;

typedef struct Daemon {
    pid_t pid;
    int qmp;                /* a socket: the monitor */
    char *socket;           /* path of the export's */
    char *disk;             /* path of the file, if the disk has one */
    char *log;              /* path of what it writes to stderr */
    char *options;          /* of the export, see daemon_start */
} Daemon;

/*
 * Start the daemon named by $OPUS_DAEMON. @options: of the export, in the form
 * of the command line ("writable=on,num-queues=2"). It listens on return.
 */
Daemon *daemon_start(DiskKind kind, const char *options);

/* Kill it as a crash would, and start it with the same options and file. */
void daemon_crash(Daemon *daemon);
void daemon_restart(Daemon *daemon, DiskKind kind);

/*
 * Ask it to end; it must do so with status 0 (with a sanitizer built in that
 * is: without a report), whatever was done to it before.
 */
void daemon_stop(Daemon *daemon);

/* Run a command of the monitor, in JSON. The case fails if that fails. */
void daemon_qmp(Daemon *daemon, const char *command);

/* How many files it has open. */
unsigned daemon_open_files(const Daemon *daemon);

/* How much it wrote to stderr. */
size_t daemon_log_bytes(const Daemon *daemon);

/* How long a wait for it may take: $VUB_PATIENCE seconds, or a minute. */
unsigned patience_ms(void);
/* For what is read from or written to that socket. */
void limit_patience(int fd);

/* Read or write the file behind the disk, beside the daemon. */
void daemon_peek(const Daemon *daemon, void *buf, size_t bytes, off_t off);
void daemon_poke(const Daemon *daemon, const void *buf, size_t bytes,
                 off_t off);

#endif /* TESTS_VUB_DAEMON_H */
