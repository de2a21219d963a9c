/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Error: the domain of what can go wrong in vub-bench; only the text counts
 */
#ifndef VUB_BENCH_ERROR_H
#define VUB_BENCH_ERROR_H

#include <glib.h>

#define BENCH_ERROR g_quark_from_static_string("vub-bench")

/* Set @errp to a printf-like text. */
#define bench_error(errp, ...) g_set_error(errp, BENCH_ERROR, 0, __VA_ARGS__)

#endif /* VUB_BENCH_ERROR_H */
