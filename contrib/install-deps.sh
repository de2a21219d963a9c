#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Installs, as root and by apt, what building and testing need on Debian 12
# and 13. When all is there it does nothing; when it may not install, it says
# what is missing and fails.
set -eu

# A C compiler and what the build runs. dpkg-dev unpacks Debian's source of
# QEMU; the keyring checks its signature.
build='gcc libc6-dev ninja-build meson pkgconf python3 python3-venv dpkg-dev
    debian-archive-keyring python3-docutils'
# libblkio makes qemu-io and qemu-img clients of a vhost-user-blk export.
libraries='libglib2.0-dev libpixman-1-dev libisal-dev liburing-dev libaio-dev
    libfuse3-dev libzstd-dev libblkio-dev'
# clang has libFuzzer; user-mode Linux runs the kernel's own md, and by patchelf
# one that was built for a newer system does; attr, bc, file and xfsprogs serve
# QEMU's iotests, perl its style checker. e2fsprogs fills file systems. fio
# loads guests; those of several CPUs are QEMU's, and busybox is all that is in
# them.
tests='clang libclang-rt-dev user-mode-linux patchelf mdadm xfsprogs e2fsprogs
    attr bc file perl fio qemu-system-x86 busybox-static'

missing_packages() {
    for package in $build $libraries $tests; do
        case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
        *' installed') ;;
        *) echo "$package" ;;
        esac
    done
}

# Debian 12 has no libblkio; Debian 13's needs no newer C library.
install_libblkio_of_trixie() {
    here=$(dirname "$0")
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    /usr/bin/python3 "$here/qemu/debian.py" deb "$scratch" \
        libblkio1 libblkio-dev >"$scratch/names"
    xargs -r dpkg -i <"$scratch/names"
}

if ! command -v dpkg-query >/dev/null; then
    echo "This is not a Debian system; needed are (Debian's names):" >&2
    # shellcheck disable=SC2086 # lists of words
    echo $build $libraries $tests >&2
    exit 1
fi
missing=$(missing_packages | tr '\n' ' ')
if [ -z "$missing" ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "Missing packages: $missing" >&2
    echo "Install them, or run this script as root where apt-get is." >&2
    exit 1
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update
wanted=$missing
if ! apt-cache show libblkio-dev >/dev/null 2>&1; then
    wanted=$(echo "$missing" | sed 's/libblkio-dev//')
fi
# shellcheck disable=SC2086 # a list of words
apt-get install -y --no-install-recommends $wanted
case $(missing_packages) in
*libblkio-dev*) install_libblkio_of_trixie ;;
esac
