/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guard: memory of a client that may vanish
 *
 * Owns: the process's handler of SIGBUS, in front of the one that was there.
 * Must not know: what the memory is for.
 * Threads: any. The handler runs in whichever thread touched the memory, and
 * takes no lock: entries are never freed, only used again, and what it reads
 * of them is atomic.
 * Invariants: a mapping is flagged as lost before any thread can read a zero
 * in the place of what was there.
 */

#include "vub-guard.h"

#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

struct VubGuard {
    struct VubGuard *next;
    /*
     * Odd while the rest is written. An entry is used again for another
     * mapping, and the base of one must not be taken with the size of another.
     */
    unsigned sequence;
    uintptr_t base;             /* 0: not in use */
    size_t bytes;
    bool lost;
};

unsigned vub_guard_nr_lost;
static VubGuard *list;          /* atomic; grows at its head */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t handler_once = PTHREAD_ONCE_INIT;
static struct sigaction previous;
static int event_fd = -1;

/*
 * True if @addr is in @guard's mapping. That can't go meanwhile: the thread
 * that touched it has a reference to it, and is in our handler.
 */
static bool guards(const VubGuard *guard, uintptr_t addr, uintptr_t *base,
                   size_t *bytes)
{
    unsigned before, after;

    do {
        before = __atomic_load_n(&guard->sequence, __ATOMIC_ACQUIRE);
        *base = __atomic_load_n(&guard->base, __ATOMIC_RELAXED);
        *bytes = __atomic_load_n(&guard->bytes, __ATOMIC_RELAXED);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        after = __atomic_load_n(&guard->sequence, __ATOMIC_RELAXED);
        /* One that changes now is not that of a mapping in use. */
    } while (before != after && !(before & 1));
    return !(before & 1) && *base && addr - *base < *bytes;
}

static void set_range(VubGuard *guard, uintptr_t base, size_t bytes)
{
    __atomic_store_n(&guard->sequence, guard->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    __atomic_store_n(&guard->base, base, __ATOMIC_RELAXED);
    __atomic_store_n(&guard->bytes, bytes, __ATOMIC_RELAXED);
    __atomic_store_n(&guard->sequence, guard->sequence + 1, __ATOMIC_RELEASE);
}

static bool replace_memory(uintptr_t addr)
{
    const uint64_t one = 1;

    for (VubGuard *it = __atomic_load_n(&list, __ATOMIC_ACQUIRE); it;
         it = it->next) {
        uintptr_t base;
        size_t bytes;

        if (!guards(it, addr, &base, &bytes)) {
            continue;
        }
        /* Before any thread can go on with zeroes. */
        __atomic_store_n(&it->lost, true, __ATOMIC_RELEASE);
        __atomic_fetch_add(&vub_guard_nr_lost, 1, __ATOMIC_SEQ_CST);
        /* Not in POSIX's list of what a handler may do; in Linux it may. */
        if (mmap((void *)base, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                 -1, 0) == MAP_FAILED) {
            return false;
        }
        /* If it can't be written, it has been signalled already. */
        return write(__atomic_load_n(&event_fd, __ATOMIC_ACQUIRE), &one,
                     sizeof(one)) != 0;
    }
    return false;
}

static void handle_sigbus(int sig, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    /* One that a process sent has no address. */
    bool replaced = info->si_code > 0 &&
                    replace_memory((uintptr_t)info->si_addr);

    errno = saved_errno;
    if (replaced) {
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

VubGuard *vub_guard_add(void *base, size_t bytes)
{
    VubGuard *it;

    pthread_once(&handler_once, install_handler);
    /* Who maps it looks into it, too. */
    vub_guard_this_thread();
    pthread_mutex_lock(&list_lock);
    for (it = list; it && it->base; it = it->next) {
        /* look on for one that is not in use */
    }
    if (!it) {
        it = g_new0(VubGuard, 1);
        it->next = list;
        __atomic_store_n(&list, it, __ATOMIC_RELEASE);
    }
    __atomic_store_n(&it->lost, false, __ATOMIC_RELAXED);
    set_range(it, (uintptr_t)base, bytes);
    pthread_mutex_unlock(&list_lock);
    return it;
}

void vub_guard_remove(VubGuard *guard)
{
    pthread_mutex_lock(&list_lock);
    set_range(guard, 0, 0);
    pthread_mutex_unlock(&list_lock);
}

bool vub_guard_lost(const VubGuard *guard)
{
    return __atomic_load_n(&guard->lost, __ATOMIC_ACQUIRE);
}

int vub_guard_event_fd(void)
{
    pthread_mutex_lock(&list_lock);
    if (event_fd < 0) {
        __atomic_store_n(&event_fd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                         __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&list_lock);
    return event_fd;
}

void vub_guard_this_thread(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGBUS);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
