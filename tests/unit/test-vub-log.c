/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-log: which bits are set, and what can't be mapped.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "export/vub-log.h"

#define FILE_BYTES 12288u
#define LOG_OFF 4096u
#define LOG_BYTES 64u
#define NR_PAGES (LOG_BYTES * 8)

static int file_of(uint64_t bytes)
{
    int fd = memfd_create("log", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, bytes), ==, 0);
    return fd;
}

/* Every range of some lengths, around each page's ends; page by page. */
static void test_mark(void)
{
    static const uint64_t lengths[] = {
        0, 1, 2, 4095, 4096, 4097, 8192, 3 * 4096 + 5, 1 << 20
    };
    int fd = file_of(FILE_BYTES);
    uint8_t *file = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                         fd, 0);
    VubLog *log = vub_log_map(fd, LOG_BYTES, LOG_OFF, NULL);

    for (unsigned i = 0; i < G_N_ELEMENTS(lengths); i++) {
        for (uint64_t at = 0; at < NR_PAGES * 4096ull + 8192; at += 1365) {
            uint64_t end = at + lengths[i];

            memset(file, 0, FILE_BYTES);
            vub_log_mark(log, at, lengths[i]);
            for (uint64_t page = 0; page < FILE_BYTES * 8; page++) {
                uint64_t first = (page - LOG_OFF * 8) * 4096;
                bool set = page >= LOG_OFF * 8 &&
                           page < LOG_OFF * 8 + NR_PAGES &&
                           at < first + 4096 && end > first && end > at;

                if (!set && file[page / 8] == 0) {
                    page |= 7;
                    continue;
                }
                g_assert_cmpint(file[page / 8] >> page % 8 & 1, ==, set);
            }
        }
    }
    vub_log_unref(log);
    munmap(file, FILE_BYTES);
    close(fd);
}

/* Beyond the log, and round the end of all addresses: nothing happens. */
static void test_beyond(void)
{
    int fd = file_of(FILE_BYTES);
    uint8_t *file = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                         fd, 0);
    VubLog *log = vub_log_map(fd, LOG_BYTES, 0, NULL);

    vub_log_mark(log, NR_PAGES * 4096ull, 1);
    vub_log_mark(log, UINT64_MAX, 1);
    vub_log_mark(log, UINT64_MAX, 2);
    vub_log_mark(log, UINT64_MAX - 4095, 8192);
    vub_log_mark(log, 4096, UINT64_MAX);
    for (unsigned i = 0; i < FILE_BYTES; i++) {
        g_assert_cmphex(file[i], ==, 0);
    }
    /* The bits of others stay. */
    file[0] = 0x81;
    vub_log_mark(log, 4096, UINT64_MAX - 4096);
    g_assert_cmphex(file[0], ==, 0xff);
    g_assert_cmphex(file[LOG_BYTES - 1], ==, 0xff);
    g_assert_cmphex(file[LOG_BYTES], ==, 0);
    vub_log_unref(log);
    munmap(file, FILE_BYTES);
    close(fd);
}

static void test_map(void)
{
    int fd = file_of(FILE_BYTES), ends[2];
    VubLog *log;

    g_assert_null(vub_log_map(fd, FILE_BYTES + 1, 0, NULL));
    g_assert_null(vub_log_map(fd, 8193, 4096, NULL));
    g_assert_null(vub_log_map(fd, 1, FILE_BYTES + 4096, NULL));
    g_assert_null(vub_log_map(fd, 0, 0, NULL));
    g_assert_null(vub_log_map(fd, 64, 64, NULL));
    g_assert_null(vub_log_map(fd, UINT64_MAX, 4096, NULL));
    g_assert_null(vub_log_map(-1, 64, 0, NULL));
    g_assert_cmpint(pipe(ends), ==, 0);
    g_assert_null(vub_log_map(ends[0], 64, 0, NULL));
    close(ends[0]);
    close(ends[1]);

    log = vub_log_map(fd, 8192, 4096, NULL);
    close(fd);
    g_assert_true(vub_log_ref(log) == log);
    vub_log_unref(log);
    vub_log_mark(log, 0, 1);
    vub_log_unref(log);
    vub_log_unref(NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-log/mark", test_mark);
    g_test_add_func("/export/vub-log/beyond", test_beyond);
    g_test_add_func("/export/vub-log/map", test_map);
    return g_test_run();
}
