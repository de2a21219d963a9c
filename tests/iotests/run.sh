#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One of our tests, run by QEMU's own "check".
# usage: run.sh WORK EMULATOR NAME
#
# WORK is the directory qemu/ of our build; EMULATOR may be a stand-in. Status:
# that of check, 77 when the test did not apply. Member files go to memory
# where there is room for them: superblocks are flushed often.
set -eu
work=$1 emulator=$2 name=$3

parent=$work
if [ -w /dev/shm ] && [ "$(df -Pk /dev/shm | awk 'END { print $4 }')" -gt 1000000 ]
then
    parent=/dev/shm
fi
scratch=$(mktemp -d "$parent/opus-iotest-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 143' INT TERM

# check wants to find the daemon where QEMU's build has it, and it does.
cd "$work/build/tests/qemu-iotests"
export QEMU_PROG="$emulator" TEST_DIR="$scratch" PYTHONDONTWRITEBYTECODE=1
status=0
../../pyvenv/bin/python3 ./check -raw --color off "$name" >"$scratch/log" ||
    status=$?
cat "$scratch/log"
if grep -q '^Not run: ' "$scratch/log"; then
    status=77
fi
exit "$status"
