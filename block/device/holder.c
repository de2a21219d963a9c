/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Holder: who else uses a block device
 *
 * Owns: where the kernel tells it, and the words for it.
 * Must not know: arrays, nodes.
 * Threads: any; the files of proc and sysfs are all that is looked at.
 *
 * All of this is for people: what may be used is decided by the kernel alone.
 */

#include "qemu/osdep.h"
#include <sys/sysmacros.h>
#include "block/device/holder.h"

/* Processes are named up to this many. */
#define PROCESSES_MAX   3

static char *device_path(dev_t dev, const char *below)
{
    return g_strdup_printf("/sys/dev/block/%u:%u%s", major(dev), minor(dev),
                           below);
}

/* A file of one line, or NULL. */
static char *read_line(const char *path)
{
    char *text = NULL;

    if (g_file_get_contents(path, &text, NULL, NULL)) {
        g_strchomp(text);
    }
    return text;
}

static bool read_dev(const char *path, dev_t *dev)
{
    g_autofree char *text = read_line(path);
    unsigned high, low;

    if (!text || sscanf(text, "%u:%u", &high, &low) != 2) {
        return false;
    }
    *dev = makedev(high, low);
    return true;
}

char *device_name(dev_t dev)
{
    g_autofree char *path = device_path(dev, "/uevent");
    g_autofree char *text = read_line(path);
    g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);

    for (char **line = lines; *line; line++) {
        if (g_str_has_prefix(*line, "DEVNAME=")) {
            return g_strdup_printf("/dev/%s", *line + strlen("DEVNAME="));
        }
    }
    return g_strdup_printf("%u:%u", major(dev), minor(dev));
}

dev_t device_whole(dev_t dev)
{
    g_autofree char *mark = device_path(dev, "/partition");
    g_autofree char *whole = device_path(dev, "/../dev");
    dev_t found;

    return g_file_test(mark, G_FILE_TEST_EXISTS) && read_dev(whole, &found)
           ? found : dev;
}

bool devices_overlap(dev_t a, dev_t b)
{
    return a == b || device_whole(a) == b || device_whole(b) == a;
}

/* @dev, and what overlaps it. */
static GArray *overlapping(dev_t dev)
{
    GArray *devs = g_array_new(false, false, sizeof(dev_t));
    g_autofree char *top = device_path(dev, "");
    dev_t whole = device_whole(dev);
    const char *name;
    GDir *dir;

    g_array_append_val(devs, dev);
    if (whole != dev) {
        g_array_append_val(devs, whole);
        return devs;
    }
    dir = g_dir_open(top, 0, NULL);
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *mark = g_strdup_printf("%s/%s/partition", top, name);
        g_autofree char *file = g_strdup_printf("%s/%s/dev", top, name);
        dev_t part;

        if (g_file_test(mark, G_FILE_TEST_EXISTS) && read_dev(file, &part)) {
            g_array_append_val(devs, part);
        }
    }
    if (dir) {
        g_dir_close(dir);
    }
    return devs;
}

/* Another device that is made of it: md0, dm-3. */
static char *describe_holder(const char *holders, const char *name,
                             char **hint)
{
    g_autofree char *dm_name_file = g_strdup_printf("%s/%s/dm/name", holders,
                                                    name);
    g_autofree char *dm_uuid_file = g_strdup_printf("%s/%s/dm/uuid", holders,
                                                    name);
    g_autofree char *dm_name = read_line(dm_name_file);
    g_autofree char *dm_uuid = read_line(dm_uuid_file);

    if (g_str_has_prefix(name, "md")) {
        *hint = g_strdup_printf("Stop it with 'mdadm --stop /dev/%s', and keep "
                                "it from being assembled: see 'Drives that md "
                                "knows' in docs/operations.rst.\n", name);
        return g_strdup_printf("the md array /dev/%s", name);
    }
    if (!dm_name) {
        *hint = g_strdup_printf("End the use of /dev/%s first.\n", name);
        return g_strdup_printf("the device /dev/%s", name);
    }
    if (dm_uuid && g_str_has_prefix(dm_uuid, "mpath-")) {
        *hint = g_strdup_printf("Use /dev/mapper/%s as the member.\n",
                                dm_name);
    } else if (dm_uuid && g_str_has_prefix(dm_uuid, "LVM-")) {
        *hint = g_strdup("Deactivate its volume group with 'vgchange "
                         "--activate n'.\n");
    } else {
        *hint = g_strdup_printf("Take it away with 'dmsetup remove %s'.\n",
                                dm_name);
    }
    return g_strdup_printf("the device /dev/mapper/%s", dm_name);
}

static char *find_holder(dev_t dev, char **hint)
{
    g_autofree char *holders = device_path(dev, "/holders");
    GDir *dir = g_dir_open(holders, 0, NULL);
    const char *name = dir ? g_dir_read_name(dir) : NULL;
    char *who = name ? describe_holder(holders, name, hint) : NULL;

    if (dir) {
        g_dir_close(dir);
    }
    return who;
}

static bool is_device(const char *path, dev_t dev)
{
    struct stat st;

    return path[0] == '/' && stat(path, &st) == 0 && S_ISBLK(st.st_mode) &&
           st.st_rdev == dev;
}

/*
 * A line of mountinfo: ID, parent, major:minor, root, mount point, options,
 * tags; a dash; type, source. Some filesystems have a number of their own.
 */
static char *find_mount(dev_t dev, char **hint)
{
    g_autofree char *number = g_strdup_printf("%u:%u", major(dev),
                                              minor(dev));
    g_autofree char *text = read_line("/proc/self/mountinfo");
    g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);

    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", -1);
        const char *tail = strstr(*line, " - ");
        g_auto(GStrv) end = g_strsplit(tail ? tail + 3 : "", " ", -1);

        if (g_strv_length(words) < 5 || g_strv_length(end) < 2) {
            continue;
        }
        if (!strcmp(words[2], number) || is_device(end[1], dev)) {
            *hint = g_strdup_printf("Unmount it with 'umount %s'.\n",
                                    words[4]);
            return g_strdup_printf("the %s filesystem that is mounted on %s",
                                   end[0], words[4]);
        }
    }
    return NULL;
}

static char *find_swap(dev_t dev, char **hint)
{
    g_autofree char *text = read_line("/proc/swaps");
    g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);

    for (char **line = lines; *line; line++) {
        char *end = strchr(*line, ' ');

        if (end) {
            *end = 0;
        }
        if (is_device(*line, dev)) {
            *hint = g_strdup_printf("End that with 'swapoff %s'.\n", *line);
            return g_strdup("swap space");
        }
    }
    return NULL;
}

char *device_holder_in_kernel(dev_t dev, char **hint)
{
    g_autoptr(GArray) devs = overlapping(dev);
    char *who = NULL;

    *hint = NULL;
    for (unsigned i = 0; i < devs->len && !who; i++) {
        dev_t d = g_array_index(devs, dev_t, i);

        who = find_holder(d, hint) ?: find_mount(d, hint) ?:
              find_swap(d, hint);
    }
    return who;
}

/* Without asking a server that may not answer. */
static bool has_open(const char *fds, const char *name, const GArray *devs)
{
    g_autofree char *path = g_strdup_printf("%s/%s", fds, name);
    struct statx st;

    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0 ||
        !S_ISBLK(st.stx_mode)) {
        return false;
    }
    for (unsigned i = 0; i < devs->len; i++) {
        if (g_array_index(devs, dev_t, i) ==
            makedev(st.stx_rdev_major, st.stx_rdev_minor)) {
            return true;
        }
    }
    return false;
}

static bool process_has_open(const char *pid, const GArray *devs)
{
    g_autofree char *fds = g_strdup_printf("/proc/%s/fd", pid);
    GDir *dir = g_dir_open(fds, 0, NULL);
    const char *name;
    bool found = false;

    while (dir && !found && (name = g_dir_read_name(dir))) {
        found = has_open(fds, name, devs);
    }
    if (dir) {
        g_dir_close(dir);
    }
    return found;
}

char *device_holder_processes(dev_t dev)
{
    g_autoptr(GArray) devs = overlapping(dev);
    g_autoptr(GString) who = g_string_new(NULL);
    GDir *dir = g_dir_open("/proc", 0, NULL);
    const char *pid;
    unsigned nr = 0;

    while (dir && nr < PROCESSES_MAX && (pid = g_dir_read_name(dir))) {
        g_autofree char *comm_file = g_strdup_printf("/proc/%s/comm", pid);
        g_autofree char *comm = NULL;

        if (!g_ascii_isdigit(pid[0]) || atoi(pid) == getpid() ||
            !process_has_open(pid, devs)) {
            continue;
        }
        comm = read_line(comm_file);
        g_string_append_printf(who, "%sprocess %s (%s)", nr++ ? ", " : "",
                               pid, comm ?: "?");
    }
    if (dir) {
        g_dir_close(dir);
    }
    return nr ? g_strdup(who->str) : NULL;
}
