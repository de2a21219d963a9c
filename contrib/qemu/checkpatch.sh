#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# QEMU's coding style, by its own checker, for every C file of ours.
# usage: checkpatch.sh TREE (of QEMU)
set -eu
cd "$(dirname "$0")/../.."

# No "./" ahead of the names: for files in tests/ other rules hold.
files=$(find -- */ -path 'build*' -prune -o -name '*.[ch]' -print | sort)
report=$(echo "$files" | xargs perl "$1/scripts/checkpatch.pl" --no-tree \
    --no-signoff --terse -f) && status=0 || status=$?
echo "$report" | grep -E ': (ERROR|WARNING): ' || true
echo "$(echo "$files" | wc -l) files checked"
exit "$status"
