/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a disk and reads it back, many requests at once, until it is told to
 * end by SIGTERM; then reads all of it once more. Runs in a guest, where it is
 * the only program with a memory: it knows the last write of each block.
 *
 * usage: disk-load DISK OFFSET BYTES CPU THREADS
 *     The threads share out the bytes from the offset on, and run on that CPU.
 *     Prints how much was written and read; the status says if all was well.
 *     What a DISK is, disk.h says.
 *
 * Threads: each has its own part of the disk and its own state; "stop" and
 * "failed" are of all.
 * Invariants: a block whose write was completed is read as it was written,
 * every sector of it: neither an earlier write nor another block's.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define SECTOR_BYTES 512
#define BLOCK_BYTES 4096
#define MAX_BLOCKS 8            /* in a request */
#define MAX_THREADS 64

/* What each sector begins with. */
typedef struct Stamp {
    uint64_t off_bytes;
    uint64_t generation;
} Stamp;

typedef struct Worker {
    pthread_t thread;
    unsigned number;
    uint64_t off_bytes;         /* of its part of the disk */
    unsigned nr_blocks;
    uint64_t *generation;       /* of each block; 0: not written yet */
    uint64_t last_generation;
    uint64_t random;
    uint8_t *buf;
    unsigned long written;      /* requests */
    unsigned long read;
} Worker;

static atomic_bool stop;
static atomic_bool failed;

static void on_sigterm(int signum)
{
    (void)signum;
    atomic_store(&stop, true);
}

static void fail(const char *what, uint64_t off_bytes, const char *why)
{
    printf("%s at %llu: %s\n", what, (unsigned long long)off_bytes, why);
    atomic_store(&failed, true);
}

static unsigned random_below(Worker *w, unsigned limit)
{
    w->random = w->random * 6364136223846793005u + 1442695040888963407u;
    return (w->random >> 33) % limit;
}

static void transfer(Worker *w, bool is_write, unsigned first, unsigned nr)
{
    uint64_t off_bytes = w->off_bytes + (uint64_t)first * BLOCK_BYTES;
    size_t bytes = (size_t)nr * BLOCK_BYTES;
    int ret = disk_transfer(w->number, is_write, w->buf, bytes, off_bytes);

    if (ret < 0) {
        fail(is_write ? "write" : "read", off_bytes, strerror(-ret));
    }
}

static void write_blocks(Worker *w, unsigned first, unsigned nr)
{
    uint64_t generation = ++w->last_generation;
    uint64_t off_bytes = w->off_bytes + (uint64_t)first * BLOCK_BYTES;

    for (unsigned done = 0; done < nr * BLOCK_BYTES; done += SECTOR_BYTES) {
        Stamp stamp = { off_bytes + done, generation };

        memset(w->buf + done, generation, SECTOR_BYTES);
        memcpy(w->buf + done, &stamp, sizeof(stamp));
    }
    transfer(w, true, first, nr);
    for (unsigned i = first; i < first + nr; i++) {
        w->generation[i] = generation;
    }
    w->written++;
}

static bool sector_is(const uint8_t *sector, const Stamp *stamp)
{
    Stamp found;

    memcpy(&found, sector, sizeof(found));
    if (found.off_bytes != stamp->off_bytes ||
        found.generation != stamp->generation) {
        printf("a sector has offset %llu, generation %llu, not %llu, %llu\n",
               (unsigned long long)found.off_bytes,
               (unsigned long long)found.generation,
               (unsigned long long)stamp->off_bytes,
               (unsigned long long)stamp->generation);
        return false;
    }
    for (unsigned i = sizeof(found); i < SECTOR_BYTES; i++) {
        if (sector[i] != (uint8_t)stamp->generation) {
            printf("byte %u of a sector is %u\n", i, sector[i]);
            return false;
        }
    }
    return true;
}

static void check_blocks(Worker *w, unsigned first, unsigned nr)
{
    uint64_t off_bytes = w->off_bytes + (uint64_t)first * BLOCK_BYTES;

    memset(w->buf, 0, (size_t)nr * BLOCK_BYTES);
    transfer(w, false, first, nr);
    for (unsigned done = 0; done < nr * BLOCK_BYTES; done += SECTOR_BYTES) {
        Stamp stamp = { off_bytes + done,
                        w->generation[first + done / BLOCK_BYTES] };

        if (stamp.generation && !sector_is(w->buf + done, &stamp)) {
            fail("check", off_bytes + done, "not what was written");
            return;
        }
    }
    w->read++;
}

static void *work(void *opaque)
{
    Worker *w = opaque;

    while (!atomic_load(&stop) && !atomic_load(&failed)) {
        unsigned nr = 1 + random_below(w, MAX_BLOCKS);
        unsigned first = random_below(w, w->nr_blocks - nr + 1);

        if (random_below(w, 3)) {
            write_blocks(w, first, nr);
        } else {
            check_blocks(w, first, nr);
        }
    }
    for (unsigned i = 0; i < w->nr_blocks && !atomic_load(&failed); i++) {
        check_blocks(w, i, 1);
    }
    return NULL;
}

static void start(Worker *w, unsigned number, uint64_t off_bytes,
                  unsigned nr_blocks)
{
    *w = (Worker) {
        .number = number,
        .off_bytes = off_bytes,
        .nr_blocks = nr_blocks,
        .generation = calloc(nr_blocks, sizeof(*w->generation)),
        .random = off_bytes,
    };
    w->buf = disk_buffer(number, MAX_BLOCKS * BLOCK_BYTES);
    if (!w->generation || !w->buf ||
        pthread_create(&w->thread, NULL, work, w)) {
        fail("start", off_bytes, "no memory");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static Worker workers[MAX_THREADS];
    const struct sigaction end = { .sa_handler = on_sigterm };
    unsigned long written = 0, read = 0;
    unsigned nr, nr_blocks;
    uint64_t off_bytes;
    cpu_set_t cpus;

    setvbuf(stdout, NULL, _IOLBF, 0);
    nr = argc == 6 ? atoi(argv[5]) : 0;
    nr_blocks = nr ? (uint64_t)atoll(argv[3]) / nr / BLOCK_BYTES : 0;
    if (nr > MAX_THREADS || nr_blocks < MAX_BLOCKS) {
        printf("usage: disk-load DISK OFFSET BYTES CPU THREADS\n");
        return 2;
    }
    off_bytes = atoll(argv[2]);
    CPU_ZERO(&cpus);
    CPU_SET(atoi(argv[4]), &cpus);
    if (disk_open(argv[1], nr) || sched_setaffinity(0, sizeof(cpus), &cpus)) {
        printf("%s, CPU %s: %s\n", argv[1], argv[4], strerror(errno));
        return 1;
    }
    sigaction(SIGTERM, &end, NULL);
    for (unsigned i = 0; i < nr; i++) {
        start(&workers[i], i,
              off_bytes + (uint64_t)i * nr_blocks * BLOCK_BYTES, nr_blocks);
    }
    for (unsigned i = 0; i < nr; i++) {
        pthread_join(workers[i].thread, NULL);
        written += workers[i].written;
        read += workers[i].read;
    }
    printf("%lu written, %lu read\n", written, read);
    return atomic_load(&failed);
}
