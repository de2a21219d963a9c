# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a guest does with one md array, whose members are the files of one host
# directory.  The functions print facts, one "name=value" a line; the host
# judges.  One array at a time, /dev/md0.
#
# Members are loop devices on the host's directory, mounted for this array
# only: so a guest has as many as it likes, and no cached byte survives from
# before the host last wrote to them.  A new process costs a guest some 30 ms,
# so there are few.
set -eu -o pipefail
shopt -s inherit_errexit

md=/dev/md0
md_sys=/sys/block/md0/md
loops=()
loop_blocks=512
kernel_mark="attach $BASHPID $EPOCHREALTIME"
# Waiting for input that never comes costs a guest less than running sleep.
exec {never}<> <(:)

fact() {
    echo "$1=$2"
}

# wait_until COMMAND...: at most a minute
wait_until() {
    local tries=1200
    until "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -eq 0 ]; then
            echo "timed out: $*"
            cat /proc/mdstat
            return 1
        fi
        read -rt 0.05 <&"$never" || true
    done
}

# attach DIR FILE...: the files become ${loops[@]}, of blocks of $loop_blocks
attach() {
    local dir=$1 file
    shift
    mount_host_dir "$dir"
    loops=()
    for file; do
        loops+=("$(losetup --sector-size "$loop_blocks" --find --show \
            "$dir/$file")")
    done
    echo "$kernel_mark" > /dev/kmsg
}

no_loops() {
    local backing
    for backing in /sys/block/loop*/loop/backing_file; do
        [ ! -e "$backing" ] || return 1
    done
}

# detach DIR: everything is on the host when it returns
detach() {
    losetup --detach-all
    wait_until no_loops
    wait_until umount "$1"
}

# md_get NAME: an attribute of the array in $REPLY, empty when it has none
md_get() {
    REPLY=
    if [ -e "$md_sys/$1" ]; then
        read -r 2> /dev/null < "$md_sys/$1" || true
    fi
}

# is_quiet [N]: nothing to resync or recover, and N members missing
is_quiet() {
    md_get sync_action
    [ "${REPLY:-idle}" = idle ] || return 1
    md_get resync_start
    [ "${REPLY:-none}" = none ] || return 1
    md_get degraded
    [ "${REPLY:-0}" = "${1:-${REPLY:-0}}" ]
}

# create OPTION...: with every member in ${loops[@]}, resync awaited
create() {
    mdadm --create "$md" --run "$@" --raid-devices="${#loops[@]}" \
        "${loops[@]}" 2>&1
    wait_until is_quiet 0
}

# assemble OPTION...: the status of mdadm, and what the array is then
assemble() {
    local status=0
    mdadm --assemble "$md" "$@" "${loops[@]}" 2>&1 || status=$?
    fact assemble_status "$status"
    show_state
}

# must_not_start OPTION...: what assemble said; the members are free again
must_not_start() {
    assemble "$@"
    kernel_words
    if [ -e "$md_sys" ]; then
        stop
    fi
}

show_state() {
    local name
    for name in array_state degraded resync_start sync_action; do
        md_get "$name"
        fact "$name" "$REPLY"
    done
}

# What the kernel said since attach.
kernel_words() {
    dmesg --notime | sed "1,/$kernel_mark/d"
}

# mdadm's and the kernel's own words; ask the kernel late, as a resync may
# start late
words() {
    mdadm --detail "$md" 2>&1 || true
    kernel_words
}

array_bytes() {
    read -r < /sys/block/md0/size
    REPLY=$((REPLY * 512))
}

# fill FILE: the start of FILE all over the array, and no trace of it cached
fill() {
    array_bytes
    dd if="$1" of="$md" bs=1M iflag=count_bytes conv=fsync status=none \
        count="$REPLY"
    blockdev --flushbufs "$md"
}

# A line of sha256sum, for the host to read.
checksum() {
    array_bytes
    fact size "$REPLY"
    sha256sum "$md"
}

# dump FILE: all that md reads
dump() {
    dd if="$md" of="$1" bs=1M status=none
}

# Let md compare redundancy with data; raid0 has none.
check() {
    if [ -e "$md_sys/sync_action" ]; then
        echo check > "$md_sys/sync_action"
        wait_until is_quiet
        md_get mismatch_cnt
        fact mismatch_cnt "$REPLY"
    else
        fact mismatch_cnt 0
    fi
}

stop() {
    mdadm --stop "$md" 2>&1
}
