#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Does systemd understand our unit? usage: verify-unit.sh UNIT PROGRAM
# PROGRAM stands in for the one that is not installed yet.
set -eu

if ! command -v systemd-analyze >/dev/null; then
    echo "systemd-analyze is missing"
    exit 77
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed "s,=/[^ ]*/opus-raid-service ,=$2 ," "$1" >"$scratch/opus-raid@.service"
systemd-analyze verify --man=no "$scratch/opus-raid@vm1.service" 2>&1 |
    tee "$scratch/log"
# It warns where it only ignores what it does not know.
[ ! -s "$scratch/log" ]
