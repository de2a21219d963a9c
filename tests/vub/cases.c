/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs the cases and prints TAP: see cases.h.
 *
 * Owns: the list, the process and the directory of each case.
 * Must not know: what a case does.
 * Invariant: a case that ends in any way but by returning has failed.
 */
#include "cases.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* No case takes a tenth of it; what waits for ever is ended by it. */
#define HANG_SECONDS    120

typedef struct Case {
    char *name;
    CaseFn *fn;
    const void *arg;
} Case;

static GArray *all_cases;
static char *current_dir;

void case_add(CaseFn *fn, const void *arg, const char *name, ...)
{
    Case new = { .fn = fn, .arg = arg };
    va_list ap;

    va_start(ap, name);
    new.name = g_strdup_vprintf(name, ap);
    va_end(ap);
    if (!all_cases) {
        all_cases = g_array_new(false, false, sizeof(Case));
    }
    g_array_append_val(all_cases, new);
}

const char *case_dir(void)
{
    return current_dir;
}

static void remove_dir(const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        g_remove(file);
    }
    g_clear_pointer(&dir, g_dir_close);
    g_rmdir(path);
}

/* What the daemon said, as comments between the results. */
static void show_log(const char *path)
{
    g_autofree char *file = g_build_filename(path, "log", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;

    if (!g_file_get_contents(file, &text, NULL, NULL)) {
        return;
    }
    lines = g_strsplit(g_strchomp(text), "\n", -1);
    for (unsigned i = 0; lines[i] && i < 20; i++) {
        printf("# daemon: %s\n", lines[i]);
    }
}

static void G_GNUC_NORETURN run_child(const Case *c)
{
    const struct rlimit no_core = { 0, 0 };

    setrlimit(RLIMIT_CORE, &no_core);
    alarm(HANG_SECONDS);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    c->fn(c->arg);
    _exit(0);
}

static bool run_case(const Case *c)
{
    g_autoptr(GError) err = NULL;
    int status;
    pid_t pid;

    current_dir = g_dir_make_tmp("vub-XXXXXX", &err);
    g_assert_no_error(err);
    fflush(stdout);
    pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        run_child(c);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (status) {
        printf("# %s\n", WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
                                             : "ended early");
        show_log(current_dir);
    }
    remove_dir(current_dir);
    g_clear_pointer(&current_dir, g_free);
    return status == 0;
}

static bool chosen(const Case *c, int nr_words, char **words)
{
    for (int i = 0; i < nr_words; i++) {
        if (strstr(c->name, words[i])) {
            return true;
        }
    }
    return nr_words == 0;
}

int cases_run(int argc, char **argv)
{
    unsigned ran = 0, failed = 0;

    if (argc > 1 && !strcmp(argv[1], "--list")) {
        for (unsigned i = 0; i < all_cases->len; i++) {
            puts(g_array_index(all_cases, Case, i).name);
        }
        return 0;
    }
    for (unsigned i = 0; i < all_cases->len; i++) {
        const Case *c = &g_array_index(all_cases, Case, i);

        if (chosen(c, argc - 1, argv + 1)) {
            bool good = run_case(c);

            failed += !good;
            printf("%s %u - %s\n", good ? "ok" : "not ok", ++ran, c->name);
        }
    }
    printf("1..%u\n# %u of %u failed\n", ran, failed, ran);
    return failed || !ran;
}
