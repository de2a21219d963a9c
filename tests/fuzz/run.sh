#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Build one fuzzer and run it for a while, starting from the corpus that is
# kept for it.
#
#   run.sh CLANG SOURCE-DIR TARGET SECONDS
#
# It leaves a failing input in the current directory. With 0 seconds it leaves
# the fuzzer there instead, to look into such an input or to renew the corpus:
#
#   mkdir new && ./fuzz-TARGET -max_total_time=600 new SOURCE-DIR/.../TARGET
#   mkdir min && ./fuzz-TARGET -merge=1 min new SOURCE-DIR/.../TARGET
set -eu -o pipefail

clang=$1 source=$(cd "$2" && pwd) target=$3 seconds=$4
core=("$source"/util/raid/*.c "$source/tests/unit/assemble-rules.c")
flags=() libs=(-lisal)
case $target in
nvme-*)
    core=("$source"/util/nvme/*.c)
    read -ra flags < <(pkg-config --cflags glib-2.0)
    read -ra libs < <(pkg-config --libs glib-2.0)
    ;;
vub-*)
    core=("$source"/export/{vub-chain,vub-guard,vub-inflight}.c
          "$source"/export/vub-inflight-packed.c
          "$source"/export/{vub-log,vub-map,vub-notify,vub-memory,vub-request,vub-message}.c
          "$source"/export/{vub-ring,vub-ring-packed,vub-ring-split}.c
          "$source"/export/{vub-device,vub-device-memory,vub-device-state}.c
          "$source"/export/vub-device-vring.c
          "$source"/tests/unit/{device-rig,ring-driver}.c)
    read -ra flags < <(pkg-config --cflags glib-2.0)
    read -ra libs < <(pkg-config --libs glib-2.0)
    flags+=(-D_GNU_SOURCE -pthread)
    ;;
esac
sanitizers=("-fsanitize=fuzzer,address,undefined"
            -fno-sanitize-recover=undefined)

skip() {
    echo "skipped: $1"
    exit 77
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

command -v "$clang" > /dev/null || skip "$clang is not installed"
echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
    "$clang" -w -x c "${sanitizers[@]}" -o "$scratch/probe" - 2> /dev/null ||
    skip "$clang cannot link libFuzzer"

"$clang" -std=gnu11 -Wall -Wextra -Werror -O1 -g "${sanitizers[@]}" \
    "${flags[@]}" -I "$source" "$source/tests/fuzz/fuzz-$target.c" \
    "${core[@]}" "${libs[@]}" \
    -o "$scratch/fuzz-$target"
if [ "$seconds" = 0 ]; then
    mv "$scratch/fuzz-$target" .
    exit
fi

# libFuzzer adds what it finds to the first directory. By default it reports a
# failure with status 77, which would be taken for a skipped test.
mkdir "$scratch/new"
"$scratch/fuzz-$target" "-max_total_time=$seconds" -max_len=4200 -timeout=10 \
    -error_exitcode=1 -timeout_exitcode=1 -print_final_stats=1 \
    "-artifact_prefix=$PWD/fuzz-$target-" \
    "$scratch/new" "$source/tests/fuzz/corpus/$target"
