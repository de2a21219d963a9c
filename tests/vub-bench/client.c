/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Client: random reads from a vhost-user-blk socket, one thread for each queue
 *
 * Owns: the libblkio instance, its memory, the threads.
 * Must not know: who serves the socket.
 * Threads: one per queue, each pinned to one CPU; stop, recording and requests
 * are atomic, all else belongs to the thread until it is joined.
 *
 * A polling thread turns off the queue's notifications and asks for completions
 * in a loop; a sleeping one waits in libblkio, on the queue's eventfd, and
 * takes all completions that are there when it wakes.
 */

#include <blkio.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include "client.h"
#include "error.h"

#define STALL_SECONDS   5

typedef struct ClientThread {
    Client *client;
    struct blkioq *queue;
    unsigned cpu;
    char *buffers;              /* depth of them */
    uint64_t nr_blocks;         /* of the volume, of a request's size */
    uint64_t random_state;
    unsigned in_flight;
    int error;                  /* a negative errno */
    uint64_t begun_ns[CLIENT_MAX_DEPTH];
    Latency *latency;           /* NULL unless timed */
    pthread_t id;
    bool is_running;
    _Alignas(64) uint64_t requests;     /* atomic */
} ClientThread;

struct Client {
    const ClientSpec *spec;
    struct blkio *blkio;
    struct blkio_mem_region memory;
    bool stop;                  /* atomic */
    bool recording;             /* atomic */
    ClientThread *threads;
};

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* Xorshift: cheap beside a request, and the same in each run. */
static uint64_t next_random(ClientThread *t)
{
    t->random_state ^= t->random_state << 13;
    t->random_state ^= t->random_state >> 7;
    t->random_state ^= t->random_state << 17;
    return t->random_state;
}

static void submit(ClientThread *t, unsigned slot)
{
    uint32_t bytes = t->client->spec->bytes;
    uint64_t block = next_random(t) % t->nr_blocks;

    if (t->latency) {
        t->begun_ns[slot] = now_ns();
    }
    blkioq_read(t->queue, block * bytes, t->buffers + (size_t)slot * bytes,
                bytes, (void *)(uintptr_t)slot, 0);
    t->in_flight++;
}

static void finish(ClientThread *t, const struct blkio_completion *done)
{
    unsigned slot = (uintptr_t)done->user_data;

    t->in_flight--;
    if (done->ret < 0) {
        t->error = done->ret;
        return;
    }
    if (t->latency &&
        __atomic_load_n(&t->client->recording, __ATOMIC_RELAXED)) {
        latency_add(t->latency, now_ns() - t->begun_ns[slot]);
    }
    if (!__atomic_load_n(&t->client->stop, __ATOMIC_RELAXED)) {
        submit(t, slot);
    }
}

/* Submit what is queued, take what has ended; returns how many, or -errno. */
static int turn(ClientThread *t, struct blkio_completion *done)
{
    const ClientSpec *spec = t->client->spec;
    struct timespec limit = { .tv_sec = STALL_SECONDS };

    return blkioq_do_io(t->queue, done, spec->polling ? 0 : 1, t->in_flight,
                        spec->polling ? NULL : &limit);
}

/*
 * A request that gets lost must not hang a polling thread either; it looks at
 * the clock now and then.
 */
static bool has_stalled(uint64_t *progress_ns, unsigned *idle_turns)
{
    if (++*idle_turns % 4096) {
        return false;
    }
    if (*idle_turns == 4096) {
        *progress_ns = now_ns();
    }
    return now_ns() - *progress_ns > STALL_SECONDS * 1000000000ull;
}

static void run(ClientThread *t)
{
    struct blkio_completion done[CLIENT_MAX_DEPTH];
    uint64_t progress_ns = 0;
    unsigned idle_turns = 0;

    for (unsigned i = 0; i < t->client->spec->depth; i++) {
        submit(t, i);
    }
    while (t->in_flight && !t->error) {
        int nr = turn(t, done);

        if (nr < 0) {
            t->error = nr;
        } else if (nr == 0 && has_stalled(&progress_ns, &idle_turns)) {
            t->error = -ETIME;
        } else if (nr > 0) {
            idle_turns = 0;
            __atomic_store_n(&t->requests, t->requests + nr, __ATOMIC_RELAXED);
        }
        for (int i = 0; i < nr; i++) {
            finish(t, &done[i]);
        }
    }
}

static void *thread_main(void *opaque)
{
    ClientThread *t = opaque;
    cpu_set_t cpu;

    CPU_ZERO(&cpu);
    CPU_SET(t->cpu, &cpu);
    sched_setaffinity(0, sizeof(cpu), &cpu);
    run(t);
    return NULL;
}

static bool blkio_failed(int ret, const char *what, GError **errp)
{
    if (ret < 0) {
        bench_error(errp, "%s: %s", what, blkio_get_error_msg());
    }
    return ret < 0;
}

static bool connect_blkio(Client *client, const char *socket_path,
                          uint64_t *capacity_bytes, GError **errp)
{
    const ClientSpec *spec = client->spec;
    int max_queues = 0;

    if (blkio_failed(blkio_create("virtio-blk-vhost-user", &client->blkio),
                     "libblkio", errp) ||
        blkio_failed(blkio_set_str(client->blkio, "path", socket_path),
                     "path", errp) ||
        blkio_failed(blkio_set_bool(client->blkio, "read-only", true),
                     "read-only", errp) ||
        blkio_failed(blkio_connect(client->blkio), "connect", errp) ||
        blkio_failed(blkio_get_int(client->blkio, "max-queues", &max_queues),
                     "max-queues", errp)) {
        return false;
    }
    if (max_queues < (int)spec->nr_queues) {
        bench_error(errp, "the export has %d queues, wanted are %u",
                    max_queues, spec->nr_queues);
        return false;
    }
    return
        !blkio_failed(blkio_set_int(client->blkio, "num-queues",
                                    spec->nr_queues), "num-queues", errp) &&
        !blkio_failed(blkio_start(client->blkio), "start", errp) &&
        !blkio_failed(blkio_get_uint64(client->blkio, "capacity",
                                       capacity_bytes), "capacity", errp);
}

static bool map_memory(Client *client, GError **errp)
{
    const ClientSpec *spec = client->spec;
    size_t bytes = (size_t)spec->nr_queues * spec->depth * spec->bytes;
    uint64_t align;

    if (blkio_failed(blkio_get_uint64(client->blkio, "mem-region-alignment",
                                      &align), "alignment", errp)) {
        return false;
    }
    bytes = (bytes + align - 1) / align * align;
    if (blkio_failed(blkio_alloc_mem_region(client->blkio, &client->memory,
                                            bytes), "memory", errp)) {
        return false;
    }
    /* Pages are there before the first request, and cost the server nothing. */
    memset(client->memory.addr, 0xa5, bytes);
    return !blkio_failed(blkio_map_mem_region(client->blkio, &client->memory),
                         "map memory", errp);
}

static unsigned nth_cpu(const cpu_set_t *cpus, unsigned n)
{
    n %= CPU_COUNT(cpus);
    for (unsigned cpu = 0; ; cpu++) {
        if (CPU_ISSET(cpu, cpus) && n-- == 0) {
            return cpu;
        }
    }
}

static void start_thread(Client *client, unsigned i, const cpu_set_t *cpus,
                         uint64_t capacity_bytes)
{
    const ClientSpec *spec = client->spec;
    ClientThread *t = &client->threads[i];

    t->client = client;
    t->queue = blkio_get_queue(client->blkio, i);
    t->cpu = nth_cpu(cpus, i);
    t->buffers = (char *)client->memory.addr +
                 (size_t)i * spec->depth * spec->bytes;
    t->nr_blocks = capacity_bytes / spec->bytes;
    t->random_state = 0x9e3779b97f4a7c15ull * (i + 1);
    t->latency = spec->timed ? g_new0(Latency, 1) : NULL;
    blkioq_set_completion_fd_enabled(t->queue, !spec->polling);
    t->is_running = pthread_create(&t->id, NULL, thread_main, t) == 0;
    if (!t->is_running) {
        t->error = -EAGAIN;
    }
}

Client *client_start(const ClientSpec *spec, const char *socket_path,
                     const cpu_set_t *cpus, GError **errp)
{
    Client *client = g_new0(Client, 1);
    uint64_t capacity_bytes = 0;

    client->spec = spec;
    client->threads = aligned_alloc(64, spec->nr_queues *
                                    sizeof(ClientThread));
    memset(client->threads, 0, spec->nr_queues * sizeof(ClientThread));
    if (!connect_blkio(client, socket_path, &capacity_bytes, errp) ||
        !map_memory(client, errp)) {
        client_stop(client, NULL, NULL);
        return NULL;
    }
    for (unsigned i = 0; i < spec->nr_queues; i++) {
        start_thread(client, i, cpus, capacity_bytes);
    }
    return client;
}

uint64_t client_requests(const Client *client)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < client->spec->nr_queues; i++) {
        sum += __atomic_load_n(&client->threads[i].requests, __ATOMIC_RELAXED);
    }
    return sum;
}

void client_record(Client *client)
{
    __atomic_store_n(&client->recording, true, __ATOMIC_RELAXED);
}

bool client_stop(Client *client, Latency *latency, GError **errp)
{
    int error = 0;

    __atomic_store_n(&client->stop, true, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < client->spec->nr_queues; i++) {
        ClientThread *t = &client->threads[i];

        if (t->is_running) {
            pthread_join(t->id, NULL);
        }
        error = error ?: t->error;
        if (latency && t->latency) {
            latency_merge(latency, t->latency);
        }
        g_free(t->latency);
    }
    if (client->blkio) {
        blkio_destroy(&client->blkio);
    }
    free(client->threads);
    g_free(client);
    if (error) {
        bench_error(errp, "a request failed: %s", strerror(-error));
    }
    return !error;
}
