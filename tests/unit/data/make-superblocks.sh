#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Make the golden superblocks: let mdadm and md write them in a user-mode Linux
# guest and keep the sector of each member that holds them.
#
#   make-superblocks.sh [DIR]    default: where this script is
#
# NAME.sb is one superblock after the other, 512 bytes each (room for 128
# device numbers, which is what mdadm makes); superblocks.list has a line
# "NAME minor-version device-bytes..." for each file. UUIDs and times differ
# in every run, so the files change as a whole or not at all.
set -eu -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
md=/sys/block/md0/md

# save NAME MINOR DEVICE...
save() {
    local name=$1 minor=$2 dev bytes sector
    shift 2
    printf '%s %s' "$name" "$minor" >> "$out/superblocks.list"
    : > "$out/$name.sb"
    for dev; do
        bytes=$(blockdev --getsize64 "$dev")
        case $minor in
        0) sector=$(((bytes / 512 - 16) / 8 * 8)) ;;
        1) sector=0 ;;
        2) sector=8 ;;
        esac
        dd "if=$dev" bs=512 "skip=$sector" count=1 iflag=direct status=none \
            >> "$out/$name.sb"
        printf ' %s' "$bytes" >> "$out/superblocks.list"
    done
    echo >> "$out/superblocks.list"
    echo "$name"
}

# create MINOR NR-DEVICES LEVEL mdadm-option...
create() {
    local minor=$1 nr=$2 level=$3 chunk=--chunk=64
    shift 3
    if [ "$level" = 1 ]; then
        chunk=
    fi
    mdadm --quiet --create /dev/md0 --run "--metadata=1.$minor" \
        --homehost=golden --name=sb "--raid-devices=$nr" "--level=$level" \
        ${chunk:+"$chunk"} "$@"
}

start() { mdadm --quiet --assemble /dev/md0 "$@"; }
stop() { mdadm --quiet --stop /dev/md0; }
write_some() { dd if=/dev/zero of=/dev/md0 bs=4k count=1 oflag=direct status=none; }

# Until the superblocks on the members are those of a clean array.
settle() { sleep 0.5; }

wipe() {
    local dev
    for dev in "${all[@]}"; do
        dd if=/dev/zero "of=$dev" bs=64k conv=fsync status=none 2> /dev/null ||
            true
    done
}

# made NAME MINOR NR-DEVICES LEVEL option... -- DEVICE...: as created
made() {
    local name=$1 minor=$2 nr=$3 level=$4 options=()
    shift 4
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    create "$minor" "$nr" "$level" "${options[@]}" "$@"
    stop
    save "$name" "$minor" "$@"
    wipe
}

plain_arrays() {
    local clean=(--assume-clean --bitmap=none) layout
    made raid0 2 2 0 -- "$a" "$b"
    made raid0-uneven 2 3 0 -- "$d" "$e" "$f"
    made raid1-end 0 2 1 "${clean[@]}" -- "$a" "$b"
    made raid1-bitmap 1 2 1 --assume-clean --bitmap=internal \
        -- "$a" "$b"
    made raid4 2 3 4 "${clean[@]}" -- "$a" "$b" "$c"
    made raid5-ppl 2 3 5 --assume-clean --consistency-policy=ppl \
        -- "$a" "$b" "$c"
    made raid5-ppl-end 0 3 5 --assume-clean \
        --consistency-policy=ppl -- "$a" "$b" "$c"
    made raid6-start 1 4 6 "${clean[@]}" -- "$a" "$b" "$c" "$d"
    made raid6-bitmap-end 0 4 6 --assume-clean --bitmap=internal \
        -- "$a" "$b" "$c" "$d"
    for layout in n2 f2 o2; do
        made "raid10-$layout" 2 4 10 "--layout=$layout" \
            "${clean[@]}" -- "$a" "$b" "$c" "$d"
    done
}

# A member fails, the spare takes its slot, the failed one is removed.
life_of_raid5() {
    local members=("$a" "$b" "$c" "$d" "$e")
    create 2 4 5 --spare-devices=1 --assume-clean --bitmap=none \
        "${members[@]}"
    echo 30 > $md/safe_mode_delay
    write_some
    save raid5-dirty 2 "${members[@]}"
    echo 0.02 > $md/safe_mode_delay
    settle
    save raid5-spare 2 "${members[@]}"
    echo frozen > $md/sync_action
    mdadm --quiet /dev/md0 --fail "$b"
    settle
    save raid5-failed 2 "${members[@]}"
    echo 1024 > $md/sync_max
    echo idle > $md/sync_action
    sleep 1
    write_some
    settle
    save raid5-rebuilding 2 "${members[@]}"
    echo max > $md/sync_max
    mdadm --quiet --wait /dev/md0 || true
    mdadm --quiet /dev/md0 --remove "$b"
    write_some
    settle
    stop
    save raid5-rebuilt 2 "${members[@]}"
    wipe
}

# Two fail one after the other; the first of them is taken back.
readded_raid6() {
    local members=("$a" "$b" "$c" "$d")
    create 2 4 6 --assume-clean --bitmap=internal "${members[@]}"
    write_some
    mdadm --quiet /dev/md0 --fail "$a" --remove "$a"
    write_some
    settle
    mdadm --quiet /dev/md0 --fail "$b" --remove "$b"
    write_some
    settle
    mdadm --quiet /dev/md0 --re-add "$a"
    mdadm --quiet --wait /dev/md0 || true
    write_some
    settle
    stop
    save raid6-readded 2 "${members[@]}"
    wipe
}

# Each half runs without the other.
split_raid1() {
    create 2 2 1 --assume-clean --bitmap=none "$a" "$b"
    stop
    start --run "$a"
    write_some
    settle
    stop
    save raid1-left-behind 2 "$a" "$b"
    start --run "$b"
    write_some
    settle
    stop
    save raid1-split 2 "$a" "$b"
    wipe
}

refused_arrays() {
    create 2 2 1 --assume-clean --bitmap=none "$a" "$b"
    echo '100 8' > $md/dev-"${a#/dev/}"/bad_blocks
    write_some
    settle
    stop
    save raid1-badblocks 2 "$a" "$b"
    wipe

    create 2 2 1 --spare-devices=1 --assume-clean --bitmap=none \
        "$a" "$b" "$c"
    echo 1024 > $md/sync_max
    mdadm --quiet /dev/md0 --replace "$a"
    sleep 1
    save raid1-replacement 2 "$a" "$b" "$c"
    echo max > $md/sync_max
    mdadm --quiet --wait /dev/md0 || true
    settle
    stop
    save raid1-replaced 2 "$a" "$b" "$c"
    wipe

    create 2 3 5 --assume-clean --write-journal "$d" "$a" "$b" "$c"
    stop
    save raid5-journal 2 "$a" "$b" "$c" "$d"
    wipe

    create 2 3 5 --assume-clean --bitmap=none "$a" "$b" "$c"
    mdadm --quiet /dev/md0 --add "$d"
    echo 200 > $md/sync_speed_min
    echo 200 > $md/sync_speed_max
    mdadm --quiet --grow /dev/md0 --raid-devices=4 --backup-file=/run/backup
    sleep 1
    save raid5-reshape 2 "$a" "$b" "$c" "$d"
}

if [ "${1:-}" = --in-guest ]; then
    out=$2
    all=(/dev/ubd{a..f})
    a=${all[0]} b=${all[1]} c=${all[2]} d=${all[3]} e=${all[4]} f=${all[5]}
    plain_arrays
    life_of_raid5
    readded_raid6
    split_raid1
    refused_arrays
    exit
fi

out=$(cd "${1:-$here}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
disks=()
for size in 12M 12M 12M 13M 14M 15M; do
    disk=$scratch/${#disks[@]}.img
    truncate -s "$size" "$disk"
    disks+=("--disk=$disk")
done
rm -f "$out"/*.sb "$out/superblocks.list"
/usr/bin/python3 "$here/../../guest/uml-run" "--rw=$out" "${disks[@]}" -- \
    bash "$here/make-superblocks.sh" --in-guest "$out"
