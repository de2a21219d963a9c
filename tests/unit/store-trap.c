/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Store trap: calls back before each single store to some memory
 *
 * Owns:      the handlers of SIGSEGV and SIGTRAP. The memory is read-only; the
 *            instruction that faults is executed alone, with the memory open.
 * Knows not: who stores, and what.
 * Threads:   one.
 */
#include <glib.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "store-trap.h"

#define PAGE_BYTES 4096
#define MAX_RANGES 4

static struct {
    uint8_t *start;
    size_t bytes;
} ranges[MAX_RANGES];
static unsigned nr_ranges;
static void (*callback)(void);

void store_trap_watch(void *start, size_t bytes)
{
    uintptr_t first = (uintptr_t)start / PAGE_BYTES * PAGE_BYTES;
    uintptr_t end = (uintptr_t)start + bytes;

    g_assert_cmpuint(nr_ranges, <, MAX_RANGES);
    ranges[nr_ranges].start = (uint8_t *)first;
    ranges[nr_ranges++].bytes = (end - first + PAGE_BYTES - 1) / PAGE_BYTES *
                                PAGE_BYTES;
}

void store_trap_forget(void)
{
    nr_ranges = 0;
}

/* Where there are EFLAGS to set. */
#ifdef REG_EFL

#define TRAP_FLAG 0x100     /* EFLAGS: one instruction, then SIGTRAP */

static void protect(int protection)
{
    for (unsigned i = 0; i < nr_ranges; i++) {
        if (mprotect(ranges[i].start, ranges[i].bytes, protection) < 0) {
            g_error("store-trap: mprotect failed");
        }
    }
}

static void on_fault(int signal, siginfo_t *info, void *opaque)
{
    ucontext_t *context = opaque;
    uint8_t *where = info->si_addr;

    for (unsigned i = 0; i < nr_ranges; i++) {
        if (where >= ranges[i].start &&
            where < ranges[i].start + ranges[i].bytes) {
            callback();
            protect(PROT_READ | PROT_WRITE);
            context->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
            return;
        }
    }
    /* A fault of its own right: let it happen again, and kill. */
    sigaction(signal, &(struct sigaction) { .sa_handler = SIG_DFL }, NULL);
}

static void on_step(int signal, siginfo_t *info, void *opaque)
{
    ucontext_t *context = opaque;

    (void)signal;
    (void)info;
    protect(PROT_READ);
    context->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

void store_trap_init(void (*before)(void))
{
    struct sigaction fault = {
        .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO,
    };
    struct sigaction step = {
        .sa_sigaction = on_step, .sa_flags = SA_SIGINFO,
    };

    callback = before;
    g_assert_cmpint(sigaction(SIGSEGV, &fault, NULL), ==, 0);
    g_assert_cmpint(sigaction(SIGTRAP, &step, NULL), ==, 0);
}

bool store_trap_works(void)
{
    return true;
}

void store_trap_begin(void)
{
    protect(PROT_READ);
}

void store_trap_end(void)
{
    protect(PROT_READ | PROT_WRITE);
}

#else

void store_trap_init(void (*before)(void))
{
    callback = before;
}

bool store_trap_works(void)
{
    return false;
}

void store_trap_begin(void)
{
}

void store_trap_end(void)
{
}

#endif
