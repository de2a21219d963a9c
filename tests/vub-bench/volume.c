/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Volume: what is exported: a node named "volume"
 *
 * Owns: the files behind it; they stay for the next run, all but the members.
 * Must not know: the export, the load.
 * Threads: one.
 *
 * An array finds its members by their superblocks, and null-co remembers none.
 * So members start as format raw over a small file. Once the array has been
 * opened, raw is told to use null-co in the file's place; the array only reads,
 * and its superblock is read no more. The layer of raw remains: compare with
 * VOLUME_RAW to leave it aside, with VOLUME_NULL to count it as the array's.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include "error.h"
#include "volume.h"

#define NULL_BYTES      (1ull << 30)
#define FILE_BYTES      (128u << 20)
#define MEMBER_BYTES    (64u << 20)
#define NR_MEMBERS      5

static char *file_path(const char *directory)
{
    return g_build_filename(directory, "vub-bench.img", NULL);
}

static char *member_path(const VolumePlaces *places, unsigned i)
{
    g_autofree char *name = g_strdup_printf("vub-bench-member-%u.img", i);

    return g_build_filename(places->tmpfs, name, NULL);
}

/* Data in every block, so that reads have something to read. */
static bool write_file(const char *path, GError **errp)
{
    g_autofree char *data = g_malloc(1 << 20);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool ok = fd >= 0;

    memset(data, 0x5a, 1 << 20);
    if (ok && lseek(fd, 0, SEEK_END) != FILE_BYTES) {
        for (size_t off = 0; ok && off < FILE_BYTES; off += 1 << 20) {
            ok = pwrite(fd, data, 1 << 20, off) == 1 << 20;
        }
        ok = ok && fsync(fd) == 0;
    }
    if (!ok) {
        bench_error(errp, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static bool open_file(const char *directory, const char *direct, Qmp *qmp,
                      GError **errp)
{
    g_autofree char *path = file_path(directory);

    return write_file(path, errp) &&
        qmp_run(qmp, errp, "{'execute': 'blockdev-add', 'arguments': {"
                "'driver': 'file', 'node-name': 'volume', 'filename': '%s', "
                "'aio': 'io_uring', 'cache': {'direct': %s}}}", path, direct);
}

static bool open_null(const char *name, uint64_t bytes, Qmp *qmp, GError **errp)
{
    return qmp_run(qmp, errp, "{'execute': 'blockdev-add', 'arguments': {"
                   "'driver': 'null-co', 'node-name': '%s', "
                   "'read-zeroes': false, 'size': %" PRIu64 "}}", name, bytes);
}

static bool open_member(const VolumePlaces *places, unsigned i, Qmp *qmp,
                        GError **errp)
{
    g_autofree char *path = member_path(places, i);
    g_autofree char *null = g_strdup_printf("null%u", i);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && ftruncate(fd, MEMBER_BYTES) == 0;

    if (!ok) {
        bench_error(errp, "%s: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return ok &&
        qmp_run(qmp, errp, "{'execute': 'blockdev-add', 'arguments': {"
                "'driver': 'file', 'node-name': 'file%u', 'filename': '%s'}}",
                i, path) &&
        qmp_run(qmp, errp, "{'execute': 'blockdev-add', 'arguments': {"
                "'driver': 'raw', 'node-name': 'member%u', "
                "'file': 'file%u'}}", i, i) &&
        open_null(null, MEMBER_BYTES, qmp, errp);
}

static bool open_raid5(const VolumePlaces *places, Qmp *qmp, GError **errp)
{
    const char members[] =
        "['member0', 'member1', 'member2', 'member3', 'member4']";

    for (unsigned i = 0; i < NR_MEMBERS; i++) {
        if (!open_member(places, i, qmp, errp)) {
            return false;
        }
    }
    if (!qmp_run(qmp, errp, "{'execute': 'blockdev-create', 'arguments': {"
                 "'job-id': 'create', 'options': {'driver': 'opus-raid', "
                 "'level': 'raid5', 'chunk-size': 65536, "
                 "'assume-clean': true, 'members': %s}}}", members) ||
        !qmp_wait_job(qmp, "create", errp) ||
        !qmp_run(qmp, errp, "{'execute': 'blockdev-add', 'arguments': {"
                 "'driver': 'opus-raid', 'node-name': 'volume', "
                 "'read-only': true, 'members': %s}}", members)) {
        return false;
    }
    for (unsigned i = 0; i < NR_MEMBERS; i++) {
        if (!qmp_run(qmp, errp, "{'execute': 'blockdev-reopen', 'arguments': {"
                     "'options': [{'driver': 'raw', 'node-name': 'member%u', "
                     "'read-only': true, 'file': 'null%u'}]}}", i, i)) {
            return false;
        }
    }
    return true;
}

bool volume_open(VolumeKind kind, const VolumePlaces *places, Qmp *qmp,
                 GError **errp)
{
    switch (kind) {
    case VOLUME_NULL:
        return open_null("volume", NULL_BYTES, qmp, errp);
    case VOLUME_RAW:
        return open_null("null", NULL_BYTES, qmp, errp) &&
            qmp_run(qmp, errp, "{'execute': 'blockdev-add', 'arguments': {"
                    "'driver': 'raw', 'node-name': 'volume', "
                    "'file': 'null'}}");
    case VOLUME_TMPFS:
        return open_file(places->tmpfs, "false", qmp, errp);
    case VOLUME_DIRECT:
        return open_file(places->disk, "true", qmp, errp);
    case VOLUME_RAID5:
        return open_raid5(places, qmp, errp);
    }
    g_assert_not_reached();
}

void volume_remove_files(const VolumePlaces *places)
{
    g_autofree char *tmpfs = file_path(places->tmpfs);
    g_autofree char *disk = file_path(places->disk);

    unlink(tmpfs);
    unlink(disk);
    for (unsigned i = 0; i < NR_MEMBERS; i++) {
        g_autofree char *path = member_path(places, i);

        unlink(path);
    }
}
