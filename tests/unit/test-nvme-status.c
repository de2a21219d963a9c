/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/nvme/status: no status but one is success, each has an errno that
 * an array can judge by, and what is worth a retry
 */

#include <errno.h>
#include <glib.h>

#include "util/nvme/status.h"

#define ALL             0x8000u
#define CODE_MASK       0x7ffu
#define DELAY(n)        ((n) << NV_STATUS_DELAY_SHIFT)

static void test_success(void)
{
    for (unsigned status = 0; status < ALL; status++) {
        bool good = (status & CODE_MASK) == 0;

        g_assert_cmpint(nv_status_errno(status) == 0, ==, good);
        g_assert_cmpint(nv_status_class(status) == NV_STATUS_GOOD, ==, good);
    }
}

/* Only these: what is said of them elsewhere rests on it. */
static void test_errno(void)
{
    static const int known[] = {
        0, EIO, EBUSY, ENXIO, ENOSPC, EROFS, ENOTSUP, EINVAL,
    };

    for (unsigned status = 0; status < ALL; status++) {
        bool found = false;

        for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
            found |= nv_status_errno(status) == -known[i];
        }
        g_assert_true(found);
        g_assert_nonnull(nv_status_name(status));
        /* The rest of the status does not change what the code means. */
        g_assert_cmpint(nv_status_errno(status), ==,
                        nv_status_errno(status & CODE_MASK));
    }
}

static void test_retry(void)
{
    for (unsigned status = 0; status < ALL; status++) {
        NvStatusClass what = nv_status_class(status);
        bool retry = nv_status_may_retry(status);

        g_assert_cmpuint(nv_status_delay(status), ==,
                         status / DELAY(1) % 4);
        if (status & NV_STATUS_DNR) {
            g_assert_false(retry);
            continue;
        }
        g_assert_cmpint(retry, ==, what == NV_STATUS_BUSY ||
                        what == NV_STATUS_PATH || what == NV_STATUS_FAILED);
    }
}

typedef struct Case {
    uint16_t status;
    int err;
    NvStatusClass what;
} Case;

static void test_known(void)
{
    static const Case cases[] = {
        { 0x000, 0, NV_STATUS_GOOD },
        { 0x001, ENOTSUP, NV_STATUS_UNSUPPORTED },
        { 0x002, EINVAL, NV_STATUS_REFUSED },
        { 0x006, EIO, NV_STATUS_FAILED },
        { 0x00b, ENXIO, NV_STATUS_PATH },
        { 0x020, EROFS, NV_STATUS_PROTECTED },
        { 0x080, EINVAL, NV_STATUS_REFUSED },
        { 0x081, ENOSPC, NV_STATUS_FULL },
        { 0x082, EBUSY, NV_STATUS_BUSY },
        { 0x0ff, EIO, NV_STATUS_FAILED },       /* in no table */
        { 0x100, EIO, NV_STATUS_FAILED },       /* a code of 0 of its type */
        { 0x182, EROFS, NV_STATUS_PROTECTED },
        { 0x200, EIO, NV_STATUS_MEDIUM },
        { 0x281, EIO, NV_STATUS_MEDIUM },
        { 0x287, EIO, NV_STATUS_MEDIUM },
        { 0x300, ENXIO, NV_STATUS_PATH },
        { 0x370, ENXIO, NV_STATUS_PATH },
        { 0x3aa, ENXIO, NV_STATUS_PATH },
        { 0x400, EIO, NV_STATUS_FAILED },       /* reserved type */
        { 0x700, EIO, NV_STATUS_FAILED },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_assert_cmpint(nv_status_errno(cases[i].status), ==, -cases[i].err);
        g_assert_cmpint(nv_status_class(cases[i].status), ==, cases[i].what);
    }
    g_assert_cmpstr(nv_status_name(0x4281), ==, "unrecovered read error");
    g_assert_cmpstr(nv_status_name(0x0ff), ==, "unknown error");
    g_assert_cmpstr(nv_status_name(0x400), ==, "reserved status");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme-status/success", test_success);
    g_test_add_func("/nvme-status/errno", test_errno);
    g_test_add_func("/nvme-status/retry", test_retry);
    g_test_add_func("/nvme-status/known", test_known);
    return g_test_run();
}
