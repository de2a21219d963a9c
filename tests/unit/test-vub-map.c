/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of export/vub-map and vub-guard: what of a file is mapped, and given
 * back; how much may be; and what is left of memory that vanishes.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "export/vub-guard.h"
#include "export/vub-map.h"
#include "export/vub-memory.h"

#define TIB (1ull << 40)
#define HUGE_BYTES (2u << 20)

static int file_of(uint64_t bytes, unsigned flags)
{
    int fd = memfd_create("map", MFD_CLOEXEC | flags);

    if (fd >= 0) {
        g_assert_cmpint(ftruncate(fd, bytes), ==, 0);
    }
    return fd;
}

static unsigned count_maps(void)
{
    g_autofree char *text = NULL;
    unsigned nr = 0;

    g_assert_true(g_file_get_contents("/proc/self/maps", &text, NULL, NULL));
    for (char *at = text; (at = strstr(at, "map")); at++) {
        nr += g_str_has_prefix(at - 6, "memfd:map");
    }
    return nr;
}

/* Where it begins and ends in its file, page by page and between pages. */
static void test_part(void)
{
    int fd = file_of(16 * 4096, 0);

    for (uint64_t off = 0; off < 3 * 4096; off += 1024) {
        VubMap *map = vub_map_file(fd, off, 5000, "part", NULL);
        uint8_t byte = off / 1024 + 1;

        vub_map_data(map)[0] = byte;
        vub_map_data(map)[4999] = byte;
        g_assert_cmpuint(vub_map_bytes(map), <=, 3 * 4096);
        g_assert_cmpuint(vub_map_bytes(map) % 4096, ==, 0);
        g_assert_false(vub_map_lost(map));
        vub_map_free(map);
        for (unsigned i = 0; i < 2; i++) {
            uint8_t there;

            g_assert_cmpint(pread(fd, &there, 1, off + 4999 * i), ==, 1);
            g_assert_cmphex(there, ==, byte);
        }
    }
    g_assert_null(vub_map_file(fd, 0, 16 * 4096 + 1, "part", NULL));
    g_assert_null(vub_map_file(fd, 16 * 4096, 1, "part", NULL));
    g_assert_null(vub_map_file(fd, UINT64_MAX, 2, "part", NULL));
    g_assert_null(vub_map_file(fd, 0, 0, "part", NULL));
    g_assert_null(vub_map_file(-1, 0, 1, "part", NULL));
    vub_map_free(NULL);
    g_assert_cmpuint(count_maps(), ==, 0);
    close(fd);
}

/*
 * Huge pages need not be there to be mapped. A length that is no multiple of
 * them is rounded up by mmap, and refused by munmap.
 */
static void test_huge(void)
{
    int fd = file_of(4 * HUGE_BYTES, MFD_HUGETLB);

    if (fd < 0) {
        g_test_skip("no huge pages in this kernel");
        return;
    }
    for (unsigned i = 0; i < 8; i++) {
        VubMap *map = vub_map_file(fd, i * 4096, HUGE_BYTES + 4096 * i + 1,
                                   "huge", NULL);

        g_assert_nonnull(map);
        g_assert_cmpuint(vub_map_bytes(map) % HUGE_BYTES, ==, 0);
        vub_map_free(map);
    }
    g_assert_cmpuint(count_maps(), ==, 0);
    close(fd);
}

static VubMemory *add(VubMemory *mem, uint64_t at, uint64_t bytes, int fd,
                      GError **errp)
{
    VubMemory *more = vub_memory_add(mem, at, at, bytes, 0, fd, errp);

    if (more) {
        vub_memory_unref(mem);
    }
    return more;
}

/* Files may be as large as one likes: they cost nothing while they are empty */
static void test_one_client(void)
{
    g_autoptr(GError) err = NULL;
    int fd = file_of(2 * TIB, 0);
    VubMemory *mem = vub_memory_new();
    uint64_t at;

    for (at = 0; at < VUB_MEMORY_MAX_BYTES; at += 2 * TIB) {
        mem = add(mem, at, 2 * TIB, fd, NULL);
        g_assert_nonnull(mem);
    }
    g_assert_null(add(mem, at, 4096, fd, &err));
    g_assert_nonnull(strstr(err->message, "more than one client may have"));
    vub_memory_unref(mem);
    close(fd);
}

static void test_all_clients(void)
{
    g_autoptr(GError) err = NULL;
    int fd = file_of(4 * TIB, 0);
    GPtrArray *maps = g_ptr_array_new_with_free_func(
        (GDestroyNotify)vub_map_free);
    VubMap *map;

    while (maps->len < VUB_MAP_MAX_BYTES / (4 * TIB)) {
        map = vub_map_file(fd, 0, 4 * TIB, "much", NULL);
        g_assert_nonnull(map);
        g_ptr_array_add(maps, map);
    }
    g_assert_null(vub_map_file(fd, 0, 4096, "much", &err));
    g_assert_nonnull(strstr(err->message, "more than can be mapped"));
    /* Who goes makes room. */
    g_ptr_array_set_size(maps, maps->len - 1);
    map = vub_map_file(fd, 0, 4 * TIB, "much", NULL);
    g_assert_nonnull(map);
    vub_map_free(map);
    g_ptr_array_unref(maps);
    close(fd);
}

static void test_number(void)
{
    int fd = file_of(4096, 0);
    GPtrArray *maps = g_ptr_array_new_with_free_func(
        (GDestroyNotify)vub_map_free);

    for (unsigned i = 0; i < VUB_MAP_MAX_MAPS; i++) {
        VubMap *map = vub_map_file(fd, 0, 4096, "many", NULL);

        g_assert_nonnull(map);
        g_ptr_array_add(maps, map);
    }
    g_assert_null(vub_map_file(fd, 0, 4096, "many", NULL));
    g_ptr_array_unref(maps);
    close(fd);
}

static bool event_came(void)
{
    uint64_t count;

    return read(vub_guard_event_fd(), &count, sizeof(count)) ==
           sizeof(count);
}

/* Only what vanished is lost, as a whole, at the first touch, and for ever. */
static void test_lost(void)
{
    int fd = file_of(4 * 4096, 0), other_fd = file_of(4096, 0);
    VubMap *map = vub_map_file(fd, 0, 4 * 4096, "lost", NULL);
    VubMap *other = vub_map_file(other_fd, 0, 4096, "kept", NULL);
    unsigned losses = vub_guard_losses();
    /* volatile: what is there changes by the load itself */
    volatile uint8_t *data = vub_map_data(map);

    g_assert_false(event_came());
    data[0] = data[3 * 4096] = 0x11;
    vub_map_data(other)[0] = 0x22;
    g_assert_cmpint(ftruncate(fd, 4096), ==, 0);
    g_assert_cmphex(data[0], ==, 0x11);
    g_assert_false(vub_map_lost(map));

    errno = E2BIG;
    g_assert_cmphex(data[3 * 4096], ==, 0);
    g_assert_cmpint(errno, ==, E2BIG);
    g_assert_true(vub_map_lost(map));
    g_assert_cmpuint(vub_guard_losses(), ==, losses + 1);
    g_assert_true(event_came());
    g_assert_cmphex(data[0], ==, 0);
    data[4096] = 0x33;
    g_assert_cmpint(ftruncate(fd, 4 * 4096), ==, 0);
    g_assert_cmphex(data[4096], ==, 0x33);
    g_assert_true(vub_map_lost(map));
    g_assert_false(vub_map_lost(other));
    g_assert_cmphex(vub_map_data(other)[0], ==, 0x22);
    vub_map_free(map);

    /* The next one is no heir to it. */
    map = vub_map_file(fd, 0, 4096, "next", NULL);
    g_assert_false(vub_map_lost(map));
    g_assert_cmphex(vub_map_data(map)[0], ==, 0x11);
    vub_map_free(map);
    vub_map_free(other);
    close(fd);
    close(other_fd);
}

/*
 * Entries are used again for mappings of other places and sizes, while others
 * vanish: that must never replace memory that is not theirs.
 */
static void *churn(void *stop)
{
    int small = file_of(4096, 0), large = file_of(1 << 30, 0);

    while (!__atomic_load_n((bool *)stop, __ATOMIC_RELAXED)) {
        VubMap *one = vub_map_file(small, 0, 4096, "small", NULL);
        VubMap *two = vub_map_file(large, 0, 1 << 30, "large", NULL);

        vub_map_free(one);
        vub_map_free(two);
    }
    close(small);
    close(large);
    return NULL;
}

static void test_used_again(void)
{
    bool stop = false;
    GThread *thread = g_thread_new("churn", churn, &stop);
    int fd = file_of(4096, 0), kept_fd = file_of(4096, 0);
    VubMap *kept = vub_map_file(kept_fd, 0, 4096, "kept", NULL);

    vub_map_data(kept)[0] = 0x55;
    for (unsigned i = 0; i < 3000; i++) {
        VubMap *map = vub_map_file(fd, 0, 4096, "gone", NULL);

        g_assert_cmpint(ftruncate(fd, 0), ==, 0);
        /* volatile: a load each time */
        g_assert_cmphex(*(volatile uint8_t *)vub_map_data(map), ==, 0);
        g_assert_true(vub_map_lost(map));
        vub_map_free(map);
        g_assert_cmpint(ftruncate(fd, 4096), ==, 0);
        g_assert_cmphex(vub_map_data(kept)[0], ==, 0x55);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELAXED);
    g_thread_join(thread);
    g_assert_false(vub_map_lost(kept));
    vub_map_free(kept);
    close(fd);
    close(kept_fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/export/vub-map/part", test_part);
    g_test_add_func("/export/vub-map/huge", test_huge);
    g_test_add_func("/export/vub-map/one-client", test_one_client);
    g_test_add_func("/export/vub-map/all-clients", test_all_clients);
    g_test_add_func("/export/vub-map/number", test_number);
    g_test_add_func("/export/vub-guard/lost", test_lost);
    g_test_add_func("/export/vub-guard/used-again", test_used_again);
    return g_test_run();
}
