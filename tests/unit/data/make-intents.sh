#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Make the golden bitmaps and partial parity logs: let mdadm and md write them
# in a user-mode Linux guest and keep what lies on the members while the array
# is dirty.
#
#   make-intents.sh [DIR]    default: where this script is
#
# NAME.intent is, for one member after the other, 512 bytes of superblock, the
# start of the bitmap or log, and the start of the data area; intents.list has
# a line "NAME minor intent-sectors data-sectors device-bytes..." for each
# file. UUIDs and times differ in every run, so the files change as a whole or
# not at all.
set -eu -o pipefail

here=$(cd "$(dirname "$0")" && pwd)
md=/sys/block/md0/md

# u32 or s16 FILE BYTE: a little-endian number
u32() { od -A n -t d4 -j "$2" -N 4 "$1" | tr -d ' '; }
s16() { od -A n -t d2 -j "$2" -N 2 "$1" | tr -d ' '; }

sectors() { # FROM FIRST COUNT
    dd "if=$1" bs=512 "skip=$2" "count=$3" iflag=direct status=none
}

# save NAME MINOR INTENT-SECTORS DATA-SECTORS DEVICE...
save() {
    local name=$1 minor=$2 intent=$3 data=$4 dev bytes super sb=/run/sb at
    shift 4
    printf '%s %s %s %s' "$name" "$minor" "$intent" "$data" \
        >> "$out/intents.list"
    : > "$out/$name.intent"
    for dev; do
        bytes=$(blockdev --getsize64 "$dev")
        super=8
        if [ "$minor" = 0 ]; then
            super=$(((bytes / 512 - 16) / 8 * 8))
        fi
        sectors "$dev" "$super" 1 > $sb
        case $name in
        *ppl*) at=$(s16 $sb 96) ;;
        *) at=$(u32 $sb 96) ;;
        esac
        {
            cat $sb
            sectors "$dev" $((super + at)) "$intent"
            sectors "$dev" "$(u32 $sb 128)" "$data"
        } >> "$out/$name.intent"
        printf ' %s' "$bytes" >> "$out/intents.list"
    done
    echo >> "$out/intents.list"
    echo "$name"
}

# create MINOR NR-DEVICES LEVEL CHUNK-KIB mdadm-option... DEVICE...
create() {
    local minor=$1 nr=$2 level=$3 chunk=$4
    shift 4
    mdadm --quiet --create /dev/md0 --run "--metadata=1.$minor" \
        --homehost=golden --name=sb "--raid-devices=$nr" "--level=$level" \
        ${chunk:+"--chunk=$chunk"} --assume-clean "$@"
}

# Stopping clears the bits that creating left, and so does reopening a log.
reopen() {
    mdadm --quiet --stop /dev/md0
    mdadm --quiet --assemble /dev/md0 "$@"
    if [ -e $md/safe_mode_delay ]; then
        echo 30 > $md/safe_mode_delay
    fi
}

# put KIB KIB-COUNT BYTE: one write
put() {
    head -c "${2}K" /dev/zero | tr '\0' "\\$3" |
        dd of=/dev/md0 bs="${2}K" count=1 seek="$1K" oflag=direct,seek_bytes \
            iflag=fullblock status=none
}

finish() {
    local dev
    mdadm --quiet --stop /dev/md0
    for dev in "${all[@]}"; do
        dd if=/dev/zero "of=$dev" bs=64k conv=fsync status=none 2> /dev/null ||
            true
    done
}

# bitmap NAME MINOR LEVEL CHUNK-KIB BITMAP-CHUNK SECTORS mdadm-option...
# -- DEVICE...
bitmap() {
    local name=$1 minor=$2 level=$3 chunk=$4 bits=$5 length=$6 options=()
    shift 6
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    create "$minor" $# "$level" "$chunk" --bitmap=internal \
        ${bits:+"--bitmap-chunk=$bits"} "${options[@]}" "$@"
    reopen "$@"
    put 0 4 101
    put 5000 20 102
    put 9212 8 103
    save "$name" "$minor" "$length" 0 "$@"
    finish
}

bitmaps() {
    bitmap bm-raid1 2 1 '' 64K 1 -- "$a" "$b"
    bitmap bm-raid5 2 5 64 16K 1 -- "$a" "$b" "$c"
    bitmap bm-raid5-default 2 5 64 '' 1 -- "$a" "$b" "$c"
    bitmap bm-raid6-end 0 6 64 8K 1 -- "$a" "$b" "$c" "$d"
    bitmap bm-raid10 2 10 64 4K 2 --layout=f2 -- "$a" "$b" "$c" "$d"
    bitmap bm-raid10-end 0 10 64 4K 2 --layout=n2 -- "$a" "$b" "$c"

    # One member fails in between: its bitmap stays behind.
    create 2 2 1 '' --bitmap=internal --bitmap-chunk=64K "$a" "$b"
    reopen "$a" "$b"
    put 0 4 101
    mdadm --quiet /dev/md0 --fail "$b" --remove "$b"
    put 5000 20 102
    put 9212 8 103
    save bm-raid1-left 2 1 0 "$a" "$b"
    finish
}

# Logs of md grow along their space, one write behind the other: first the
# stripes are filled, then a write touches one chunk, another one two.
logs() {
    create 2 3 5 4 --consistency-policy=ppl "$a" "$b" "$c"
    reopen "$a" "$b" "$c"
    put 0 24 101
    put 0 4 102
    save ppl-one 2 24 8 "$a" "$b" "$c"
    finish

    create 0 4 5 8 --consistency-policy=ppl "$a" "$b" "$c" "$d"
    reopen "$a" "$b" "$c" "$d"
    put 0 24 103
    put 4 12 104
    save ppl-two 0 32 16 "$a" "$b" "$c" "$d"
    finish

    create 2 3 5 4 --consistency-policy=ppl "$a" "$b" "$c"
    reopen "$a" "$b" "$c"
    save ppl-empty 2 8 0 "$a" "$b" "$c"
    finish
}

if [ "${1:-}" = --in-guest ]; then
    out=$2
    all=(/dev/ubd{a..d})
    a=${all[0]} b=${all[1]} c=${all[2]} d=${all[3]}
    bitmaps
    logs
    exit
fi

out=$(cd "${1:-$here}" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
disks=()
for size in 12M 12M 12M 13M; do
    disk=$scratch/${#disks[@]}.img
    truncate -s "$size" "$disk"
    disks+=("--disk=$disk")
done
rm -f "$out"/*.intent "$out/intents.list"
/usr/bin/python3 "$here/../../guest/uml-run" "--rw=$out" "${disks[@]}" -- \
    bash "$here/make-intents.sh" --in-guest "$out"
