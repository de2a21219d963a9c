/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors of the export's core: a text for people, no codes
 */

#ifndef OPUS_VUB_ERROR_H
#define OPUS_VUB_ERROR_H

#include <glib.h>
#include <inttypes.h>

/* Sets @errp, which may be NULL, to a text without a full stop. */
#define vub_error_set(errp, ...) \
    g_set_error(errp, g_quark_from_static_string("vub"), 0, __VA_ARGS__)

#endif /* OPUS_VUB_ERROR_H */
