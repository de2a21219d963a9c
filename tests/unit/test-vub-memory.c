/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-memory and vub-chain: the guest's memory table, and the
 * translation of addresses by it.
 */
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "export/vub-chain.h"

#define PAGE 4096u
#define GUEST 0x100000u
#define USER 0x7f0000000000u

static int file_of(uint64_t bytes)
{
    int fd = memfd_create("guest", MFD_CLOEXEC);

    g_assert_cmpint(ftruncate(fd, bytes), ==, 0);
    return fd;
}

/* Adds to *@mem, which gives way to the new snapshot. */
static void add(VubMemory **mem, uint64_t guest_addr, uint64_t user_addr,
                uint64_t bytes, uint64_t file_off, int fd)
{
    VubMemory *more = vub_memory_add(*mem, guest_addr, user_addr, bytes,
                                     file_off, fd, NULL);

    g_assert_nonnull(more);
    vub_memory_unref(*mem);
    *mem = more;
}

static void assert_refused(const VubMemory *mem, uint64_t guest_addr,
                           uint64_t user_addr, uint64_t bytes,
                           uint64_t file_off, int fd, const char *why)
{
    g_autoptr(GError) err = NULL;

    g_assert_null(vub_memory_add(mem, guest_addr, user_addr, bytes, file_off,
                                 fd, &err));
    g_assert_nonnull(strstr(err->message, why));
}

/* Three regions, two of them neighbours, added in no order. */
static VubMemory *some_memory(int fd)
{
    VubMemory *mem = vub_memory_new();

    add(&mem, GUEST + 8 * PAGE, USER + 8 * PAGE, 2 * PAGE, 8 * PAGE, fd);
    add(&mem, GUEST, USER + 64 * PAGE, PAGE, 0, fd);
    add(&mem, GUEST + PAGE, USER, PAGE, 4 * PAGE, fd);
    return mem;
}

/* Every byte of some pages, by a description of the table in words. */
static void test_at(void)
{
    int fd = file_of(16 * PAGE);
    VubMemory *mem = some_memory(fd);
    uint8_t *file = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
                         fd, 0);
    unsigned hint = 0;

    for (uint32_t i = 0; i < 16 * PAGE; i += 4) {
        memcpy(file + i, &i, 4);
    }
    for (uint64_t off = 0; off < 12 * PAGE; off += 4) {
        unsigned page = off / PAGE;
        bool there = page < 2 || page == 8 || page == 9;
        uint64_t file_off = page == 1 ? off + 3 * PAGE : off;
        uint64_t end = page == 0 ? PAGE : page == 1 ? 2 * PAGE : 10 * PAGE;
        uint64_t run_bytes = 0, back = 0;
        uint32_t *at = vub_memory_at(mem, GUEST + off, &run_bytes, &hint);

        g_assert_cmpint(!!at, ==, there);
        if (there) {
            g_assert_cmpuint(*at, ==, file_off);
            g_assert_cmpuint(run_bytes, ==, end - off);
            g_assert_true(vub_memory_guest_addr(mem, at, &back, &run_bytes));
            g_assert_cmphex(back, ==, GUEST + off);
            g_assert_cmpuint(run_bytes, ==, end - off);
        }
    }
    g_assert_false(vub_memory_guest_addr(mem, file, &(uint64_t){ 0 },
                                         &(uint64_t){ 0 }));
    munmap(file, 16 * PAGE);
    vub_memory_unref(mem);
    close(fd);
}

/* Any hint will do, and becomes the region that was hit. */
static void test_hint(void)
{
    static const unsigned hints[] = { 0, 1, 2, 3, 4, 1000, UINT_MAX };
    static const uint64_t addrs[] = {
        GUEST, GUEST + PAGE, GUEST + 8 * PAGE
    };
    int fd = file_of(16 * PAGE);
    VubMemory *mem = some_memory(fd), *none = vub_memory_new();
    uint64_t run_bytes;

    for (unsigned i = 0; i < G_N_ELEMENTS(hints); i++) {
        unsigned hint = hints[i];

        for (unsigned j = 0; j < G_N_ELEMENTS(addrs); j++) {
            hint = hints[i];
            g_assert_true(vub_memory_at(mem, addrs[j], &run_bytes, &hint) ==
                          mem->regions[j].host);
            g_assert_cmpuint(hint, ==, j);
        }
        hint = hints[i];
        g_assert_null(vub_memory_at(mem, 0, &run_bytes, &hint));
        g_assert_null(vub_memory_at(mem, UINT64_MAX, &run_bytes, &hint));
        if (hint < 2) {
            g_assert_null(vub_memory_at(none, 0, &run_bytes, &hint));
        }
    }
    vub_memory_unref(none);
    vub_memory_unref(mem);
    close(fd);
}

static void test_user(void)
{
    int fd = file_of(16 * PAGE);
    VubMemory *mem = some_memory(fd);
    uint8_t *host = mem->regions[2].host;

    g_assert_true(vub_memory_at_user(mem, USER + 8 * PAGE, 2 * PAGE) == host);
    g_assert_true(vub_memory_at_user(mem, USER + 9 * PAGE, PAGE) ==
                  host + PAGE);
    g_assert_true(vub_memory_at_user(mem, USER + 10 * PAGE - 1, 1) ==
                  host + 2 * PAGE - 1);
    g_assert_null(vub_memory_at_user(mem, USER + 8 * PAGE, 2 * PAGE + 1));
    g_assert_null(vub_memory_at_user(mem, USER + 10 * PAGE, 1));
    g_assert_null(vub_memory_at_user(mem, USER + 8 * PAGE - 1, 2));
    g_assert_null(vub_memory_at_user(mem, USER + 9 * PAGE, UINT64_MAX));
    g_assert_true(vub_memory_at_user(mem, USER + 64 * PAGE, 1) ==
                  mem->regions[0].host);
    vub_memory_unref(mem);
    close(fd);
}

static void test_add_refused(void)
{
    int fd = file_of(16 * PAGE), closed = file_of(0), ends[2];
    VubMemory *mem = some_memory(fd);
    const uint64_t far = 1ull << 40;

    assert_refused(mem, far, far, 0, 0, fd, "empty");
    assert_refused(mem, UINT64_MAX - PAGE + 1, far, PAGE, 0, fd, "wraps");
    assert_refused(mem, far, UINT64_MAX - PAGE + 1, PAGE, 0, fd, "wraps");
    assert_refused(mem, far, far, UINT64_MAX - 1, 0, fd, "wraps");
    assert_refused(mem, far, far, PAGE, INT64_MAX - PAGE + 1, fd, "wraps");
    assert_refused(mem, far, far, PAGE, UINT64_MAX - PAGE + 1, fd, "wraps");
    assert_refused(mem, far, far, PAGE, 15 * PAGE + 1, fd, "file");
    assert_refused(mem, far, far, 16 * PAGE + 1, 0, fd, "file");
    close(closed);
    assert_refused(mem, far, far, PAGE, 0, closed, "can't be mapped");
    g_assert_cmpint(pipe(ends), ==, 0);
    assert_refused(mem, far, far, PAGE, 0, ends[0], "can't be mapped");

    /* For the guest, then for the front-end: from below, inside, above. */
    assert_refused(mem, GUEST + 7 * PAGE, far, PAGE + 1, 0, fd, "overlaps");
    assert_refused(mem, GUEST + 9 * PAGE, far, 1, 0, fd, "overlaps");
    assert_refused(mem, GUEST + 10 * PAGE - 1, far, PAGE, 0, fd, "overlaps");
    assert_refused(mem, GUEST + 7 * PAGE, far, 5 * PAGE, 0, fd, "overlaps");
    assert_refused(mem, far, USER + 7 * PAGE, PAGE + 1, 0, fd, "overlaps");
    assert_refused(mem, far, USER + 9 * PAGE, 1, 0, fd, "overlaps");
    assert_refused(mem, far, USER + 10 * PAGE - 1, PAGE, 0, fd, "overlaps");
    g_assert_cmpuint(mem->nr_regions, ==, 3);

    /* Just beside, and all of the file. */
    add(&mem, GUEST + 7 * PAGE, USER + 7 * PAGE, PAGE, 15 * PAGE, fd);
    add(&mem, GUEST + 10 * PAGE, USER + 10 * PAGE, PAGE, 0, fd);
    vub_memory_unref(mem);
    close(ends[0]);
    close(ends[1]);
    close(fd);
}

static void test_many(void)
{
    int fd = file_of(PAGE);
    VubMemory *mem = vub_memory_new();

    for (unsigned i = 0; i < VUB_MEMORY_MAX_REGIONS; i++) {
        uint64_t at = (i * 17 % 509 + 1) * PAGE;

        add(&mem, at, at, PAGE, 0, fd);
    }
    assert_refused(mem, 0, 0, PAGE, 0, fd, "too many");
    for (unsigned i = 0; i < VUB_MEMORY_MAX_REGIONS; i++) {
        g_assert_cmphex(mem->regions[i].guest_addr, ==, (i + 1) * PAGE);
        g_assert_cmpint(vub_memory_find(mem, (i + 2) * PAGE - 1), ==, i);
    }
    vub_memory_unref(mem);
    close(fd);
}

static void test_remove(void)
{
    int fd = file_of(16 * PAGE);
    VubMemory *mem = some_memory(fd), *less;
    g_autoptr(GError) err = NULL;

    g_assert_null(vub_memory_remove(mem, GUEST, USER, PAGE, NULL));
    g_assert_null(vub_memory_remove(mem, GUEST, USER + 64 * PAGE, PAGE + 1,
                                    NULL));
    g_assert_null(vub_memory_remove(mem, GUEST + 1, USER + 64 * PAGE, PAGE,
                                    &err));
    g_assert_nonnull(strstr(err->message, "no memory region"));
    less = vub_memory_remove(mem, GUEST + PAGE, USER, PAGE, NULL);
    g_assert_cmpuint(less->nr_regions, ==, 2);
    g_assert_cmpint(vub_memory_find(less, GUEST + PAGE), ==, -1);
    g_assert_cmpint(vub_memory_find(less, GUEST + 8 * PAGE), ==, 1);
    vub_memory_unref(less);
    vub_memory_unref(mem);
    close(fd);
}

/* True if the page is mapped in this process. */
static bool is_mapped(void *page)
{
    unsigned char state;

    return mincore(page, PAGE, &state) == 0;
}

/* A mapping lives as long as any snapshot that has it, at the same place. */
static void test_sharing(void)
{
    int fd = file_of(16 * PAGE);
    VubMemory *mem = some_memory(fd), *less, *more;
    uint8_t *kept = mem->regions[0].host, *gone = mem->regions[1].host;

    close(fd);
    less = vub_memory_remove(mem, GUEST + PAGE, USER, PAGE, NULL);
    fd = file_of(PAGE);
    more = vub_memory_add(less, 0, 0, PAGE, 0, fd, NULL);
    close(fd);
    g_assert_true(less->regions[0].host == kept);
    g_assert_true(more->regions[1].host == kept);
    g_assert_true(vub_memory_ref(mem) == mem);
    vub_memory_unref(mem);
    g_assert_true(is_mapped(gone));
    vub_memory_unref(mem);
    g_assert_false(is_mapped(gone));
    g_assert_true(is_mapped(kept));
    vub_memory_unref(less);
    memset(kept, 1, PAGE);
    vub_memory_unref(more);
    g_assert_false(is_mapped(kept));
    vub_memory_unref(NULL);
}

/* --- chains over it --- */

/* A buffer over two neighbours is two vectors; over a gap it is none. */
static void test_chain(void)
{
    int fd = file_of(16 * PAGE);
    VubMemory *mem = some_memory(fd);
    struct iovec few[2], many[VUB_CHAIN_MAX_IOV];
    VubChain chain = { .short_iov = few, .short_max = 2, .long_iov = many };
    unsigned hint = 0;

    vub_chain_reset(&chain);
    g_assert_null(vub_chain_append(&chain, mem, GUEST + PAGE - 100, 300, false,
                                   &hint));
    g_assert_cmpuint(chain.nr_out, ==, 2);
    g_assert_true(chain.iov == few);
    g_assert_cmpuint(few[0].iov_len, ==, 100);
    g_assert_cmpuint(few[1].iov_len, ==, 200);
    g_assert_true(few[1].iov_base == mem->regions[1].host);
    g_assert_null(vub_chain_append(&chain, mem, GUEST + 8 * PAGE, 2 * PAGE,
                                   true, &hint));
    g_assert_true(chain.iov == many);
    g_assert_cmpuint(many[0].iov_len, ==, 100);
    g_assert_cmpuint(many[2].iov_len, ==, 2 * PAGE);
    g_assert_cmpuint(chain.out_bytes, ==, 300);
    g_assert_cmpuint(chain.in_bytes, ==, 2 * PAGE);
    g_assert_nonnull(vub_chain_append(&chain, mem, GUEST + PAGE, PAGE + 1,
                                      true, &hint));
    for (vub_chain_reset(&chain); chain.nr_in < VUB_CHAIN_MAX_IOV; ) {
        g_assert_null(vub_chain_append(&chain, mem, GUEST, 1, true, &hint));
    }
    g_assert_cmpstr(vub_chain_append(&chain, mem, GUEST, 1, true, &hint), ==,
                    "a chain that is too long");
    vub_memory_unref(mem);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-memory/at", test_at);
    g_test_add_func("/export/vub-memory/hint", test_hint);
    g_test_add_func("/export/vub-memory/user", test_user);
    g_test_add_func("/export/vub-memory/add-refused", test_add_refused);
    g_test_add_func("/export/vub-memory/many", test_many);
    g_test_add_func("/export/vub-memory/remove", test_remove);
    g_test_add_func("/export/vub-memory/sharing", test_sharing);
    g_test_add_func("/export/vub-memory/chain", test_chain);
    return g_test_run();
}
