#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# From a fresh clone to a verdict: installs what is needed (as root), builds
# into ./build and runs all tests; then runs the unit tests once more, built
# with sanitizers into ./build-sanitizers. The last line counts; the status is 0
# if nothing failed.
set -eu
cd "$(dirname "$0")/.."

contrib/install-deps.sh

set_up() {
    if [ ! -f "$1/build.ninja" ]; then
        meson setup "$@"
    fi
}

# Failures are counted from the logs at the end, so none may be an old one.
rm -f build*/meson-logs/testlog.json build-sanitizers/report.*
set_up build
meson compile -C build
meson test -C build --print-errorlogs || true

# The second build takes the first one's source: nothing is fetched again.
# Reports go to files, so that none is missed in a test that passed.
report=log_path=$PWD/build-sanitizers/report
export ASAN_OPTIONS="$report"
export UBSAN_OPTIONS="$report:halt_on_error=1:print_stacktrace=1"
set_up build-sanitizers -Dsanitizers=address,undefined \
    -Dqemu_source=build/qemu/pristine
meson test -C build-sanitizers --suite unit --print-errorlogs || true

exec tests/count-results.py build build-sanitizers
