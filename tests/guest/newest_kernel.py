#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The newest user-mode Linux that Debian has, and the mdadm of its time.

Owns: BUILD/newest-kernel, where they are unpacked.
Must not know: what is tested.

They come from the first of the suites below that has them, fetched once for
each build directory.  Their C library comes with them, as that of this machine
is older; it is written into the programs where it is, so they don't survive
that the build directory moves, and are fetched again.

usage: newest_kernel.py [--refresh]
    Fetch, and print what there is; --refresh asks Debian again.
"""
import contextlib
import fcntl
import glob
import os
import shutil
import subprocess
import sys
import tempfile
import time

import debs
import opus
import uml
from shell import Unavailable

SUITES = ('sid', 'trixie-backports', 'trixie')
# Not all suites have all; without a kernel the rest is of no use.
KERNEL_PACKAGE = 'user-mode-linux'
PACKAGES = (KERNEL_PACKAGE, 'mdadm', 'libc6', 'libudev1')
PROGRAMS = ('usr/bin/linux.uml', 'usr/sbin/mdadm')
LIBRARY = 'libc.so.6'
LOADER = 'ld-linux-x86-64.so.2'
# What could not be had is asked for again, but not by each test.
RETRY_SECONDS = 900

DIRECTORY = os.path.join(os.path.abspath(opus.BUILD), 'newest-kernel')
TREE = os.path.join(DIRECTORY, 'tree')
KERNEL, MDADM = (os.path.join(TREE, program) for program in PROGRAMS)
MODULES = os.path.join(TREE, 'usr/lib/uml/modules')
REASON = os.path.join(DIRECTORY, 'unavailable')


def starts():
    """Is there a kernel, and is it where its libraries were written into it?"""
    try:
        return subprocess.run([KERNEL, '--version'], capture_output=True,
                              timeout=30, check=False).returncode == 0
    except OSError:
        return False


def patch(tree):
    """Let the programs of @tree, which will be TREE, find their libraries."""
    if not shutil.which('patchelf'):
        raise Unavailable('no patchelf (Debian package patchelf)')
    found = glob.glob(f'{tree}/usr/lib/*/{LIBRARY}')
    if not found:
        raise Unavailable(f'no {LIBRARY} for {KERNEL_PACKAGE}')
    where = os.path.join(TREE, os.path.dirname(os.path.relpath(found[0], tree)))
    for program in PROGRAMS:
        subprocess.run(
            ['patchelf', '--set-interpreter', f'{where}/{LOADER}',
             '--set-rpath', where, f'{tree}/{program}'], check=True,
            capture_output=True)


def fetch_from(suite):
    """Make TREE of what @suite has."""
    packages = debs.fetch(DIRECTORY, *PACKAGES, suite=suite)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(REASON)
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as scratch:
        tree = f'{scratch}/tree'
        for package in packages:
            debs.unpack(package, tree)
        shutil.rmtree(os.path.join(DIRECTORY, suite))
        patch(tree)
        shutil.rmtree(TREE, ignore_errors=True)
        os.rename(tree, TREE)
    if not starts():
        raise Unavailable(f'{KERNEL_PACKAGE} of {suite} does not start here')


def fetch():
    reasons = []
    for suite in SUITES:
        try:
            return fetch_from(suite)
        except Unavailable as reason:
            reasons.append(f'{suite}: {reason}')
        except (OSError, subprocess.CalledProcessError) as error:
            reasons.append(f'{suite}: {error}')
    raise Unavailable('no newer kernel: ' + '; '.join(reasons))


@contextlib.contextmanager
def locked():
    """Tests run side by side; one of them fetches."""
    os.makedirs(DIRECTORY, exist_ok=True)
    with open(os.path.join(DIRECTORY, 'lock'), 'w', encoding='ascii') as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def failed_before():
    """Why nothing could be had a short while ago, or None."""
    try:
        if time.time() - os.stat(REASON).st_mtime > RETRY_SECONDS:
            return None
        with open(REASON, encoding='utf-8') as f:
            return f.read()
    except FileNotFoundError:
        return None


def get(refresh=False):
    """What uml.find_kernel() returns, of this kernel."""
    with locked():
        if refresh or not starts():
            reason = None if refresh else failed_before()
            if reason:
                raise Unavailable(reason)
            try:
                fetch()
            except Unavailable as error:
                with open(REASON, 'w', encoding='utf-8') as f:
                    f.write(str(error))
                raise
    return uml.find_kernel(KERNEL, MODULES)


def main():
    try:
        kernel = get(refresh='--refresh' in sys.argv[1:])
    except Unavailable as reason:
        sys.exit(str(reason))
    print(f'Linux {uml.release(kernel)}: {KERNEL}')
    print(subprocess.run([MDADM, '--version'], capture_output=True, text=True,
                         check=True).stderr.strip())


if __name__ == '__main__':
    main()
