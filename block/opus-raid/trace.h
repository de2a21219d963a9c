/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "trace/trace-block_opus_raid.h"
