#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# From a fresh clone to a running array: installs what is needed (as root),
# builds into ./build, and shows the main job on real data.
set -eu
cd "$(dirname "$0")/.."

contrib/install-deps.sh
if [ ! -f build/build.ninja ]; then
    meson setup build
fi
meson compile -C build qemu
exec contrib/demo.sh build
