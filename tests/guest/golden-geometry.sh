#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Regenerate the table of placements that the unit tests compare with, from
# what Linux md does in a guest; with --check, compare only.
#
# usage: golden-geometry.sh [--check]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
table=$here/../unit/golden-geometry.inc
new=$(mktemp)
trap 'rm -f "$new"' EXIT

status=0
"$here/uml-run" --timeout 600 -- \
    /usr/bin/python3 "$here/golden-geometry.py" > "$new" || status=$?
if [ "$status" -ne 0 ]; then
    cat "$new" >&2
    exit "$status"
fi

if [ "${1-}" = --check ]; then
    diff -u "$table" "$new"
else
    cat "$new" > "$table"
fi
