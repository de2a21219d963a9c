/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test util/nvme/command: each bit of a command is where the standard has it
 */

#include <glib.h>
#include <string.h>

#include "util/nvme/command.h"
#include "util/nvme/identify.h"

#define LBA     0x0123456789abcdefull

/* The first words are one of CDW0, 2 of the data's addresses apart. */
static void assert_sqe(NvCommand command, const uint32_t cdw[6], uint8_t opcode)
{
    uint8_t out[NV_COMMAND_BYTES];
    uint8_t want[NV_COMMAND_BYTES] = { opcode, 0, 0x34, 0x12, 7 };

    for (unsigned i = 0; i < 8; i++) {
        want[24 + i] = 0x10 + i;
        want[32 + i] = 0x20 + i;
    }
    for (unsigned i = 0; i < 6; i++) {
        for (unsigned byte = 0; byte < 4; byte++) {
            want[40 + 4 * i + byte] = cdw[i] >> 8 * byte;
        }
    }
    nv_command_encode(&command, 0x1234, 0x1716151413121110, 0x2726252423222120,
                      out);
    g_assert_cmpmem(out, sizeof(out), want, sizeof(want));
}

static void test_blocks(void)
{
    static const uint32_t counts[] = { 1, 2, 65535, 65536 };

    for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++) {
        for (unsigned flags = 0; flags < 4; flags++) {
            bool fua = flags & 1, deallocate = flags & 2;
            uint32_t n = counts[i];
            uint32_t cdw[6] = { 0x89abcdef, 0x01234567, n - 1 };

            if (flags == 0) {
                assert_sqe(nv_read(7, LBA, n), cdw, 2);
            }
            cdw[2] |= fua ? 0x40000000 : 0;
            if (!deallocate) {
                assert_sqe(nv_write(7, LBA, n, fua), cdw, 1);
            }
            cdw[2] |= deallocate ? 0x02000000 : 0;
            assert_sqe(nv_write_zeroes(7, LBA, n, deallocate, fua), cdw, 8);
        }
    }
}

static void test_others(void)
{
    assert_sqe(nv_flush(7), (uint32_t[6]) { 0 }, 0);
    assert_sqe(nv_discard(7, 1), (uint32_t[6]) { 0, 4 }, 9);
    assert_sqe(nv_discard(7, 256), (uint32_t[6]) { 255, 4 }, 9);
    assert_sqe(nv_identify_command(7, NV_CNS_CONTROLLER_NVM),
               (uint32_t[6]) { 6 }, 6);
}

static void test_discard_range(void)
{
    static const uint8_t want[NV_DISCARD_RANGE_BYTES] = {
        0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff,
        0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01,
    };
    uint8_t range[NV_DISCARD_RANGE_BYTES];

    memset(range, 0xee, sizeof(range));
    nv_discard_range(range, LBA, 0xfffffffe);
    g_assert_cmpmem(range, sizeof(range), want, sizeof(want));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/nvme-command/blocks", test_blocks);
    g_test_add_func("/nvme-command/others", test_others);
    g_test_add_func("/nvme-command/discard-range", test_discard_range);
    return g_test_run();
}
