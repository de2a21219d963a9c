/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guard: memory of a client that may vanish
 *
 * Owns: the process's handler of SIGBUS, in front of the one that was there.
 * Must not know: what the memory is for.
 * Threads: any. The handler runs in whichever thread touched the memory, and
 * takes no lock: entries are never freed, only used again, and what it reads
 * of them is atomic.
 */

#include "vub-guard.h"

#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct Guarded {
    struct Guarded *next;
    uintptr_t base;             /* 0: not in use */
    size_t bytes;
} Guarded;

static Guarded *list;           /* atomic; grows at its head */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t handler_once = PTHREAD_ONCE_INIT;
static struct sigaction previous;

static bool replace_memory(uintptr_t addr)
{
    static const char text[] = "vhost-user-blk: a client took away memory "
                               "that it shares; its guest reads zeroes now\n";

    for (Guarded *it = __atomic_load_n(&list, __ATOMIC_ACQUIRE); it;
         it = it->next) {
        uintptr_t base = __atomic_load_n(&it->base, __ATOMIC_ACQUIRE);
        size_t bytes = __atomic_load_n(&it->bytes, __ATOMIC_RELAXED);

        if (base && addr - base < bytes) {
            /* Not in POSIX's list of what a handler may do; in Linux it may. */
            if (mmap((void *)base, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                     -1, 0) == MAP_FAILED) {
                return false;
            }
            return write(STDERR_FILENO, text, sizeof(text) - 1) != 0;
        }
    }
    return false;
}

static void handle_sigbus(int sig, siginfo_t *info, void *context)
{
    if (replace_memory((uintptr_t)info->si_addr)) {
        return;
    }
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(sig, info, context);
    } else if (previous.sa_handler != SIG_DFL &&
               previous.sa_handler != SIG_IGN) {
        previous.sa_handler(sig);
    } else {
        /* Once more, and then for good: the instruction is tried again. */
        signal(SIGBUS, SIG_DFL);
    }
}

static void install_handler(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_sigaction = handle_sigbus;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
}

void vub_guard_add(void *base, size_t bytes)
{
    Guarded *it;

    pthread_once(&handler_once, install_handler);
    pthread_mutex_lock(&list_lock);
    for (it = list; it && it->base; it = it->next) {
        /* look on for one that is not in use */
    }
    if (!it) {
        it = g_new0(Guarded, 1);
        it->next = list;
        __atomic_store_n(&list, it, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&it->bytes, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&it->base, (uintptr_t)base, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&list_lock);
}

void vub_guard_remove(void *base)
{
    pthread_mutex_lock(&list_lock);
    for (Guarded *it = list; it; it = it->next) {
        if (it->base == (uintptr_t)base) {
            __atomic_store_n(&it->base, 0, __ATOMIC_RELEASE);
            break;
        }
    }
    pthread_mutex_unlock(&list_lock);
}

void vub_guard_this_thread(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
