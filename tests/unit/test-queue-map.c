/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/queue-map: which iothread serves which queue, and each
 * wrong mapping with its reason.
 */
#include <string.h>

#include "export/queue-map.h"

#define MAX_QUEUES 64

static void refused(const QueueMapEntry *entries, unsigned nr,
                    unsigned num_queues, const char *why)
{
    unsigned entry_of[MAX_QUEUES];
    g_autoptr(GError) err = NULL;

    g_assert_false(queue_map_resolve(entries, nr, num_queues, entry_of, &err));
    if (!strstr(err->message, why)) {
        g_assert_cmpstr(err->message, ==, why);
    }
    g_assert_false(queue_map_resolve(entries, nr, num_queues, entry_of,
                                     NULL));
}

/* In turn, and no entry beyond num_queues is written. */
static void test_in_turn(void)
{
    static const QueueMapEntry entries[] = {
        { .iothread = "a" }, { .iothread = "b" }, { .iothread = "c" },
    };

    for (unsigned nr = 1; nr <= 3; nr++) {
        for (unsigned num_queues = 1; num_queues < MAX_QUEUES; num_queues++) {
            unsigned entry_of[MAX_QUEUES], turn = 0;

            memset(entry_of, 0xee, sizeof(entry_of));
            g_assert_true(queue_map_resolve(entries, nr, num_queues, entry_of,
                                            NULL));
            for (unsigned i = 0; i < num_queues; i++) {
                g_assert_cmpuint(entry_of[i], ==, turn);
                turn = turn + 1 == nr ? 0 : turn + 1;
            }
            g_assert_cmphex(entry_of[num_queues], ==, 0xeeeeeeee);
        }
        g_assert_cmpuint(queue_map_default_queues(entries, nr, 77), ==, 77);
    }
}

static void test_named(void)
{
    static const uint16_t first[] = { 3, 0 }, second[] = { 1 };
    static const uint16_t third[] = { 4, 2, 5 };
    static const QueueMapEntry entries[] = {
        { "a", first, 2 }, { "b", second, 1 }, { "c", third, 3 },
    };
    static const unsigned expected[] = { 0, 1, 2, 0, 2, 2 };
    unsigned entry_of[6];

    g_assert_cmpuint(queue_map_default_queues(entries, 3, 77), ==, 6);
    g_assert_true(queue_map_resolve(entries, 3, 6, entry_of, NULL));
    g_assert_cmpmem(entry_of, sizeof(entry_of), expected, sizeof(expected));
    refused(entries, 3, 5, "iothread 'c' is to serve queue 5");
    refused(entries, 3, 7, "no iothread serves queue 6");
    refused(entries, 2, 6, "no iothread serves queue 2");
}

static void test_refused(void)
{
    static const uint16_t first[] = { 0, 1 }, second[] = { 1 };
    static const uint16_t twice[] = { 0, 0 };
    const QueueMapEntry same[] = {
        { .iothread = "a" }, { .iothread = "b" }, { .iothread = "a" },
    };
    const QueueMapEntry mixed[] = {
        { "a", first, 2 }, { .iothread = "b" },
    };
    const QueueMapEntry mixed_late[] = {
        { .iothread = "a" }, { .iothread = "b" }, { "c", first, 2 },
    };
    const QueueMapEntry both[] = {
        { "a", first, 2 }, { "b", second, 1 },
    };
    const QueueMapEntry itself[] = { { "a", twice, 2 } };
    const QueueMapEntry none[] = { { "a", first, 2 }, { "b", second, 0 } };
    unsigned entry_of[2];

    refused(NULL, 0, 1, "empty");
    refused(same, 3, 3, "'a' is listed twice");
    refused(mixed, 2, 2, "'a' and 'b' differ");
    refused(mixed_late, 3, 2, "'a' and 'c' differ");
    refused(both, 2, 2, "queue 1 is given to iothread 'b'");
    refused(itself, 1, 2, "queue 0 is given to iothread 'a'");
    /* A list that is there and empty: nothing is for that iothread. */
    g_assert_true(queue_map_resolve(none, 2, 2, entry_of, NULL));
    g_assert_cmpuint(queue_map_default_queues(none, 2, 77), ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/queue-map/in-turn", test_in_turn);
    g_test_add_func("/export/queue-map/named", test_named);
    g_test_add_func("/export/queue-map/refused", test_refused);
    return g_test_run();
}
