#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The main job on real data: a RAID5 of five members is created, exported over
# vhost-user-blk, filled through a client, loses a member while it runs, and
# gives all data back. Usage: contrib/demo.sh [BUILD-DIR]
set -eu -o pipefail
cd "$(dirname "$0")/.."

build=$(cd "${1:-build}" && pwd)
member_mib=128
dir=$(mktemp -d /tmp/opus-raid-demo.XXXXXX)
disk="driver=virtio-blk-vhost-user,path=$dir/vhost.sock,cache.direct=on"
nbd_pid=

say() { printf '\n== %s\n' "$*"; }

# The daemon's QMP monitor is on its standard input and output.
start_daemon() {
    coproc QSD { exec "$build/qemu-storage-daemon" "$@" 2>"$dir/qsd.log"; }
    qsd_pid=$QSD_PID
    exec 8<&"${QSD[0]}" 9>&"${QSD[1]}"
    qmp '{"execute": "qmp_capabilities"}' >/dev/null
}

# Send a command, print its answer.
qmp() {
    local line
    printf '%s\n' "$1" >&9
    while read -r line <&8; do
        case $line in
        '{"return"'*) printf '%s\n' "$line"; return ;;
        '{"error"'*) printf '%s\n' "$line" >&2; return 1 ;;
        esac
    done
    echo "The storage daemon has ended:" >&2
    cat "$dir/qsd.log" >&2
    return 1
}

clean_up() {
    [ -z "${qsd_pid:-}" ] || kill "$qsd_pid" 2>/dev/null || true
    [ -z "$nbd_pid" ] || kill "$nbd_pid" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$dir"
}
trap clean_up EXIT

wait_for() {
    for _ in $(seq 100); do
        [ -e "$1" ] && return
        sleep 0.1
    done
    echo "$1 did not appear" >&2
    return 1
}

create_array() {
    local answer
    qmp '{"execute": "blockdev-create", "arguments": {"job-id": "create",
          "options": {"driver": "opus-raid", "level": "raid5",
                      "chunk-size": 65536, "name": "demo",
                      "members": ["m0", "m1", "m2", "m3", "m4"]}}}' >/dev/null
    for _ in $(seq 100); do
        answer=$(qmp '{"execute": "query-jobs"}')
        case $answer in
        *'"error"'*) echo "$answer" >&2; return 1 ;;
        *'"concluded"'*) break ;;
        esac
        sleep 0.1
    done
    qmp '{"execute": "job-dismiss", "arguments": {"id": "create"}}' >/dev/null
}

# What query-opus-raid says of the array, shortened to what matters here.
show_state() {
    qmp '{"execute": "query-opus-raid"}' | /usr/bin/python3 -c '
import json, sys
a = json.load(sys.stdin)["return"][0]
print("  %(node-name)s: %(level)s, %(slots)d slots, chunk %(chunk-size)d, "
      "%(size)d bytes, state: %(state)s" % a)
for m in a["members"]:
    print("    slot %d: %-10s %-8s read errors: %d" %
          (m["slot"], m["state"], m.get("node-name", "-"), m["read-errors"]))'
}

sum_of_disk() {
    rm -f "$dir/copy"
    "$build/qemu-img" convert -O raw --image-opts \
        "driver=raw,file.driver=virtio-blk-vhost-user,file.path=$dir/vhost.sock,file.cache.direct=on" \
        "$dir/copy"
    sha256sum <"$dir/copy" | cut -d ' ' -f 1
    rm -f "$dir/copy"
}

# One row of the table: name, read or write, block size, number of requests.
bench() {
    local seconds
    seconds=$("$build/qemu-img" bench ${2:+"$2"} -d 32 -s "$3" -S "$3" \
        -c "$4" --image-opts "$disk" |
        sed -n 's/^Run completed in \([0-9.]*\) seconds.*/\1/p')
    awk -v name="$1" -v s="$seconds" -v bs="$3" -v n="$4" 'BEGIN {
        printf "    %-28s %9.0f requests/s %9.1f MiB/s\n",
               name, n / s, n * bs / s / 1048576 }'
}

bench_all() {
    bench "4 KiB sequential read" "" 4096 20000
    bench "256 KiB sequential read" "" 262144 2000
    bench "4 KiB sequential write" -w 4096 10000
    bench "256 KiB full-stripe write" -w 262144 2000
}

if ! "$build/qemu-img" --help | grep -q virtio-blk-vhost-user; then
    echo "This build has no vhost-user-blk client (libblkio was missing when" \
         "it was set up); install libblkio-dev, remove $build, start again." >&2
    exit 1
fi

say "Five members of $member_mib MiB; number 2 is on a server of its own"
for i in 0 1 2 3 4; do
    truncate -s "${member_mib}M" "$dir/m$i.img"
done
"$build/qemu-nbd" -t -f raw --cache=writeback -k "$dir/m2.sock" \
    "$dir/m2.img" &
nbd_pid=$!
disown "$nbd_pid"
wait_for "$dir/m2.sock"

start_daemon \
    --chardev stdio,id=qmp --monitor qmp \
    --object iothread,id=io0 \
    --blockdev "driver=file,node-name=m0,filename=$dir/m0.img" \
    --blockdev "driver=file,node-name=m1,filename=$dir/m1.img" \
    --blockdev "driver=nbd,node-name=m2,server.type=unix,server.path=$dir/m2.sock" \
    --blockdev "driver=file,node-name=m3,filename=$dir/m3.img" \
    --blockdev "driver=file,node-name=m4,filename=$dir/m4.img"

say "Create a RAID5 with 64 KiB chunks, assemble it, export it"
create_array
qmp '{"execute": "blockdev-add", "arguments": {"driver": "opus-raid",
      "node-name": "r0", "members": ["m0", "m1", "m2", "m3", "m4"]}}' \
    >/dev/null
qmp '{"execute": "block-export-add", "arguments": {"type": "vhost-user-blk",
      "id": "disk", "node-name": "r0", "iothread": "io0", "writable": true,
      "addr": {"type": "unix", "path": "'"$dir/vhost.sock"'"}}}' >/dev/null
show_state

say "Throughput with all members (files in $(dirname "$dir"), queue depth 32)"
bench_all

say "Fill the disk with random data through a vhost-user-blk client"
bytes=$((4 * (member_mib - 2) * 1048576))
head -c "$bytes" /dev/urandom >"$dir/data"
"$build/qemu-img" convert -n -f raw --target-image-opts "$dir/data" "$disk"
before=$(sum_of_disk)
echo "  SHA-256 before: $before"

say "Pull member 2: its server is killed while the disk is in use"
kill -9 "$nbd_pid"
nbd_pid=
after=$(sum_of_disk)
echo "  SHA-256 after:  $after"
show_state
sed 's/^/  daemon: /' "$dir/qsd.log"
if [ "$before" != "$after" ]; then
    echo "The data has changed: this must not happen" >&2
    exit 1
fi

say "Throughput without member 2"
bench_all

qmp '{"execute": "quit"}' >/dev/null
wait "$qsd_pid" || true
qsd_pid=

say "Done: the same data with all members and without one"
cat <<END
  Programs:    $build/qemu-storage-daemon, qemu-img, qemu-io, qemu-nbd
  Next:        README.rst has a command line to copy; docs/operations.rst tells
               how to create, assemble, inspect and recover arrays;
               contrib/check.sh runs the tests.
END
