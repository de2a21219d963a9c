/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-quiet: how many messages of a flood are said.
 */
#include <glib.h>

#include "export/vub-quiet.h"

#define START_NS (-123 * 1000000000ll)

static void test_flood(void)
{
    VubQuiet quiet = { 0 };
    unsigned nr_said = 0, unsaid;

    for (unsigned i = 0; i < 1000; i++) {
        nr_said += vub_quiet_may(&quiet, START_NS + i, &unsaid);
        g_assert_cmpuint(unsaid, ==, 0);
    }
    g_assert_cmpuint(nr_said, ==, VUB_QUIET_MESSAGES);
    g_assert_false(vub_quiet_may(&quiet, START_NS + VUB_QUIET_INTERVAL_NS - 1,
                                 &unsaid));
    /* The first of the next interval tells of those that were left out. */
    g_assert_true(vub_quiet_may(&quiet, START_NS + VUB_QUIET_INTERVAL_NS,
                                &unsaid));
    g_assert_cmpuint(unsaid, ==, 1001 - VUB_QUIET_MESSAGES);
    g_assert_true(vub_quiet_may(&quiet, START_NS + VUB_QUIET_INTERVAL_NS,
                                &unsaid));
    g_assert_cmpuint(unsaid, ==, 0);
}

static void test_few(void)
{
    VubQuiet quiet = { 0 };
    unsigned unsaid;

    for (int64_t i = 0; i < 1000; i++) {
        g_assert_true(vub_quiet_may(&quiet, START_NS +
                                    i * VUB_QUIET_INTERVAL_NS /
                                    VUB_QUIET_MESSAGES, &unsaid));
        g_assert_cmpuint(unsaid, ==, 0);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-quiet/flood", test_flood);
    g_test_add_func("/export/vub-quiet/few", test_few);
    return g_test_run();
}
