/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Device: the character device of a namespace, and the block device beside it
 *
 * Owns: descriptors, what the kernel's files tell, and errors for people.
 * Must not know: nodes, requests.
 * Threads: main loop, but for the size.
 *
 * Commands go to the character device, which claims nothing and does not tell
 * when the namespace changes its size. The block device does both, so it is
 * open as well, to read, and no I/O is done by it.
 */

#include "qemu/osdep.h"
#include <linux/fs.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "qemu/memalign.h"
#include "qemu/units.h"
#include "block/nvme-uring/device.h"
#include "block/nvme-uring/ring.h"
#include "block/nvme-uring/trace.h"
#include "util/nvme/command.h"
#include "util/nvme/status.h"

#define SUBSYSTEM       "nvme-generic"
#define CHAR_PREFIX     "ng"
#define BLOCK_PREFIX    "nvme"

/* Identify Controller: its version, and the first that has these answers */
#define VERSION_AT      80
#define HAS_DESCRIPTORS 0x010300u
#define HAS_NVM_LIMITS  0x010400u

#define PASSTHROUGH_HINT \
    "Linux before 6.2 lets only programs with CAP_SYS_ADMIN send commands to " \
    "drives.\nRun the program as root, or give it that capability.\n"
#define KERNEL_HINT \
    "Linux 5.19 or later has it. The drive's block device with driver " \
    "host_device and aio=io_uring needs less.\n"
#define IO_URING_HINT \
    "See the sysctl kernel.io_uring_disabled, and what filters the program's " \
    "system calls.\n"

/* --- what sysfs tells ---------------------------------------------------- */

/* "ng0n1"; NULL if it is none of these. Free it. */
static char *char_name(dev_t dev)
{
    g_autofree char *link = g_strdup_printf("/sys/dev/char/%u:%u", major(dev),
                                            minor(dev));
    g_autofree char *subsystem_link = g_strdup_printf("%s/subsystem", link);
    g_autofree char *subsystem = realpath(subsystem_link, NULL);
    g_autofree char *path = realpath(link, NULL);

    if (!subsystem || !path || !g_str_has_suffix(subsystem, "/" SUBSYSTEM)) {
        return NULL;
    }
    return g_path_get_basename(path);
}

/* The directory of the block device of @name, if it is of the same drive. */
static char *block_directory(const char *name)
{
    g_autofree char *dir = g_strdup_printf("/sys/class/block/" BLOCK_PREFIX
                                           "%s", name + strlen(CHAR_PREFIX));
    g_autofree char *other = g_strdup_printf("/sys/class/" SUBSYSTEM
                                             "/%s/device", name);
    g_autofree char *device = g_strdup_printf("%s/device", dir);
    g_autofree char *ours = realpath(other, NULL);
    g_autofree char *its = realpath(device, NULL);

    return ours && its && !strcmp(ours, its) ? g_steal_pointer(&dir) : NULL;
}

static bool queue_value(const char *dir, const char *name, uint64_t *value)
{
    g_autofree char *path = g_strdup_printf("%s/queue/%s", dir, name);
    g_autofree char *text = NULL;

    return g_file_get_contents(path, &text, NULL, NULL) &&
           qemu_strtou64(g_strchomp(text), NULL, 10, value) == 0;
}

/* --- opening ------------------------------------------------------------- */

static int open_char(NvmeUring *n, Error **errp)
{
    ERRP_GUARD();
    int err;

    n->writable = true;
    n->fd = qemu_open(n->filename, O_RDWR, errp);
    if (n->fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM)) {
        n->writable = false;
        error_free(*errp);
        *errp = NULL;
        n->fd = qemu_open(n->filename, O_RDONLY, errp);
    }
    if (n->fd >= 0) {
        return 0;
    }
    err = errno;
    if (err == EACCES || err == EPERM) {
        error_append_hint(errp, "Run the program as root, or have udev give "
                          "%s to its user.\n", n->filename);
    } else if (err == ENOENT) {
        error_append_hint(errp, "Drives that the kernel drives are /dev/ng0n1 "
                          "and so on. One that is bound to vfio-pci has no "
                          "such file.\n");
    }
    return -err;
}

static int refuse_block_device(const char *filename, dev_t dev, Error **errp)
{
    g_autofree char *link = g_strdup_printf("/sys/dev/block/%u:%u", major(dev),
                                            minor(dev));
    g_autofree char *path = realpath(link, NULL);
    g_autofree char *name = path ? g_path_get_basename(path) : NULL;
    g_autofree char *other = name && g_str_has_prefix(name, BLOCK_PREFIX)
        ? g_strdup_printf("/dev/" CHAR_PREFIX "%s",
                          name + strlen(BLOCK_PREFIX)) : NULL;
    ERRP_GUARD();

    error_setg(errp, "'%s' is a block device, and this driver needs the "
               "character device of an NVMe namespace", filename);
    if (other && g_file_test(other, G_FILE_TEST_EXISTS)) {
        error_append_hint(errp, "Give it %s.\n", other);
    } else {
        error_append_hint(errp, "Use driver host_device for it.\n");
    }
    return -EINVAL;
}

static int refuse_other(const char *filename, Error **errp)
{
    ERRP_GUARD();

    error_setg(errp, "'%s' is not the character device of an NVMe namespace",
               filename);
    error_append_hint(errp, "Those are /dev/ng0n1 and so on; /dev/nvme0 is a "
                      "whole controller.\n");
    return -EINVAL;
}

static int check_kind(NvmeUring *n, char **name, Error **errp)
{
    struct stat st;
    int ret;

    if (fstat(n->fd, &st) < 0) {
        error_setg_errno(errp, errno, "Cannot look at '%s'", n->filename);
        return -EINVAL;
    }
    if (S_ISBLK(st.st_mode)) {
        return refuse_block_device(n->filename, st.st_rdev, errp);
    }
    *name = S_ISCHR(st.st_mode) ? char_name(st.st_rdev) : NULL;
    ret = *name ? ioctl(n->fd, NVME_IOCTL_ID) : -1;
    if (ret <= 0) {
        return refuse_other(n->filename, errp);
    }
    n->nsid = ret;
    return 0;
}

/* Returns 0, a status, or a negative errno. */
static int identify(int fd, uint32_t nsid, uint8_t cns, uint8_t *data)
{
    NvCommand c = nv_identify_command(nsid, cns);
    struct nvme_passthru_cmd cmd = {
        .opcode = c.opcode,
        .nsid = c.nsid,
        .cdw10 = c.cdw10,
        .addr = (uintptr_t)data,
        .data_len = NV_IDENTIFY_BYTES,
    };
    int ret = RETRY_ON_EINTR(ioctl(fd, NVME_IOCTL_ADMIN_CMD, &cmd));

    return ret < 0 ? -errno : ret;
}

static int identify_failed(const NvmeUring *n, int ret, Error **errp)
{
    ERRP_GUARD();

    if (ret > 0) {
        error_setg(errp, "'%s' does not say what it is: %s (0x%x)",
                   n->filename, nv_status_name(ret), ret);
        return -EIO;
    }
    error_setg_errno(errp, -ret, "Cannot ask '%s' what it is", n->filename);
    if (ret == -EACCES || ret == -EPERM) {
        error_append_hint(errp, PASSTHROUGH_HINT);
    }
    return ret;
}

static int read_limits(NvmeUring *n, Error **errp)
{
    QEMU_AUTO_VFREE uint8_t *data = qemu_memalign(NV_IDENTIFY_BYTES,
                                                  4 * NV_IDENTIFY_BYTES);
    uint8_t *ctrl = data, *ns = ctrl + NV_IDENTIFY_BYTES;
    uint8_t *nvm = ns + NV_IDENTIFY_BYTES;
    uint8_t *descriptors = nvm + NV_IDENTIFY_BYTES;
    const char *refusal;
    uint32_t version;
    int ret;

    ret = identify(n->fd, 0, NV_CNS_CONTROLLER, ctrl);
    if (ret == 0) {
        ret = identify(n->fd, n->nsid, NV_CNS_NAMESPACE, ns);
    }
    if (ret) {
        return identify_failed(n, ret, errp);
    }
    version = ldl_le_p(ctrl + VERSION_AT);
    if (version < HAS_NVM_LIMITS ||
        identify(n->fd, 0, NV_CNS_CONTROLLER_NVM, nvm)) {
        nvm = NULL;
    }
    if (version < HAS_DESCRIPTORS ||
        identify(n->fd, n->nsid, NV_CNS_DESCRIPTORS, descriptors)) {
        descriptors = NULL;
    }
    refusal = nv_identify(ctrl, ns, nvm, descriptors, NV_PAGE_BYTES,
                          &n->limits);
    if (refusal) {
        ERRP_GUARD();

        error_setg(errp, "'%s' can't be used: the namespace %s", n->filename,
                   refusal);
        error_append_hint(errp, "'nvme format' can give it another format; "
                          "all that is on it is lost then.\n");
        return -ENOTSUP;
    }
    return 0;
}

/* Without it, all works, but others are not kept off. */
static int open_block_device(const NvmeUring *n, const char *dir)
{
    g_autofree char *base = dir ? g_path_get_basename(dir) : NULL;
    g_autofree char *path = base ? g_strdup_printf("/dev/%s", base) : NULL;
    int fd = path ? open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    int err = path ? errno : ENOENT;

    if (fd >= 0 && ioctl(fd, NVME_IOCTL_ID) != n->nsid) {
        close(fd);
        fd = -1;
        err = ENXIO;
    }
    if (fd < 0) {
        warn_report("'%s' can't be kept from other programs, nor a new size "
                    "of it be seen: its block device can't be opened: %s",
                    n->filename, strerror(err));
    }
    return fd;
}

/*
 * The kernel refuses what is more than its own limits. What it knows of drives
 * that don't keep what they promise is in them, too.
 */
static void keep_kernel_limits(NvmeUring *n, const char *dir)
{
    uint32_t block = n->limits.block_bytes;
    uint64_t max = MIN(n->limits.transfer_blocks * block, 1 * GiB);
    uint64_t value;

    n->max_pages = 32;          /* fewer than any kernel takes */
    if (dir && queue_value(dir, "max_segments", &value) && value > 0) {
        n->max_pages = MIN(value, IOV_MAX);
    }
    if (dir && queue_value(dir, "max_hw_sectors_kb", &value) && value > 0) {
        max = MIN(max, value * KiB);
    }
    if (dir && queue_value(dir, "write_zeroes_max_bytes", &value)) {
        n->limits.zero_blocks = value ? n->limits.zero_blocks : 0;
    }
    if (dir && queue_value(dir, "discard_max_hw_bytes", &value)) {
        n->limits.discard_blocks = value ? n->limits.discard_blocks : 0;
    }
    max = MIN(max, pow2floor(n->max_pages * NV_PAGE_BYTES));
    n->max_transfer = MAX(max / block, 1) * block;
}

static int try_failed(const NvmeUring *n, int ret, Error **errp)
{
    ERRP_GUARD();

    error_setg_errno(errp, -ret, "Cannot send commands to '%s' by io_uring",
                     n->filename);
    if (ret == -EOPNOTSUPP || ret == -EINVAL || ret == -ENOTTY) {
        error_append_hint(errp, KERNEL_HINT);
    } else if (ret == -EACCES) {
        error_append_hint(errp, PASSTHROUGH_HINT);
    } else if (ret == -ENOSYS || ret == -EPERM) {
        error_append_hint(errp, IO_URING_HINT);
    } else if (ret == -ENOMEM) {
        error_append_hint(errp, "Rings count as locked memory: see "
                          "'ulimit -l'.\n");
    }
    return ret;
}

/* That commands get there; whether these blocks can be read does not matter. */
static int try_read(NvmeUring *n, Error **errp)
{
    QEMU_AUTO_VFREE void *buf = qemu_memalign(NV_PAGE_BYTES,
                                              n->limits.block_bytes);
    NvCommand c = nv_read(n->nsid, 0, 1);
    struct nvme_uring_cmd cmd = {
        .opcode = c.opcode,
        .nsid = c.nsid,
        .cdw12 = c.cdw12,
        .addr = (uintptr_t)buf,
        .data_len = n->limits.block_bytes,
    };
    int ret = nvme_rings_try(n->rings, &cmd);

    return ret < 0 ? try_failed(n, ret, errp) : 0;
}

int nvme_device_open(NvmeUring *n, Error **errp)
{
    g_autofree char *name = NULL;
    g_autofree char *dir = NULL;
    int ret;

    n->block_fd = -1;
    ret = open_char(n, errp);
    if (ret < 0) {
        return ret;
    }
    ret = check_kind(n, &name, errp);
    if (ret == 0) {
        ret = read_limits(n, errp);
    }
    if (ret < 0) {
        qemu_close(n->fd);
        return ret;
    }
    dir = block_directory(name);
    keep_kernel_limits(n, dir);
    n->block_fd = open_block_device(n, dir);
    n->rings = nvme_rings_new(n->fd);
    ret = try_read(n, errp);
    if (ret < 0) {
        nvme_device_close(n);
        return ret;
    }
    trace_nvme_uring_open(n->filename, n->nsid, n->limits.block_bytes,
                          n->limits.blocks, n->max_transfer,
                          n->limits.zero_blocks, n->limits.zero_deallocates,
                          n->limits.volatile_cache);
    return 0;
}

void nvme_device_close(NvmeUring *n)
{
    nvme_rings_free(n->rings);
    if (n->block_fd >= 0) {
        close(n->block_fd);
    }
    qemu_close(n->fd);
}

int64_t nvme_device_bytes(const NvmeUring *n)
{
    uint64_t bytes;
    int block;

    if (n->block_fd < 0) {
        return n->limits.blocks * n->limits.block_bytes;
    }
    if (ioctl(n->block_fd, BLKSSZGET, &block) < 0 ||
        ioctl(n->block_fd, BLKGETSIZE64, &bytes) < 0) {
        return -errno;
    }
    return block == n->limits.block_bytes ? bytes : -EIO;
}
