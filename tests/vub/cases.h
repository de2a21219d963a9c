/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cases: each a sentence that says what must hold, and a function that aborts
 * when it does not. Each runs in a process and a directory of its own, so
 * that one that fails, hangs or crashes takes no other with it.
 */
#ifndef TESTS_VUB_CASES_H
#define TESTS_VUB_CASES_H

#include <stdint.h>

typedef void CaseFn(const void *arg);

/* @name: "group: sentence"; a copy is kept. @arg must live on. */
void case_add(CaseFn *fn, const void *arg, const char *name, ...)
    __attribute__((format(printf, 3, 4)));

/* The running case's own directory; it goes with the case. */
const char *case_dir(void);

/*
 * Run the cases whose name holds any of the words on the command line (all
 * without words) and print TAP. "--list" only prints names. Returns the exit
 * status: words that choose no case are a failure.
 */
int cases_run(int argc, char **argv);

/* One for each file of cases. */
void add_chain_cases(void);
void add_config_cases(void);
void add_feature_cases(void);
void add_framing_cases(void);
void add_inflight_cases(void);
void add_life_cases(void);
void add_log_cases(void);
void add_memory_cases(void);
void add_message_cases(void);
void add_notify_cases(void);
void add_provision_cases(void);
void add_request_cases(void);
void add_ring_cases(void);
void add_several_cases(void);
void add_unstable_cases(void);
void add_vanish_cases(void);

#endif /* TESTS_VUB_CASES_H */
