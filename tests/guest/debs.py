# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of Debian that a guest is made of.

Owns: nothing; contrib/qemu/debian.py keeps what it needs in the directory.
Must not know: what the packages are for.
"""
import os
import subprocess
import sys

from shell import Unavailable

HERE = os.path.dirname(os.path.abspath(__file__))
DEBIAN = os.path.join(HERE, '..', '..', 'contrib', 'qemu', 'debian.py')
FETCH_TIMEOUT = 300


def fetch(directory, *packages, suite=None):
    """Download .deb files, with apt's checks of signatures; their paths."""
    verb = f'deb/{suite}' if suite else 'deb'
    try:
        done = subprocess.run(
            [sys.executable, '-B', DEBIAN, verb, directory, *packages],
            capture_output=True, text=True, timeout=FETCH_TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f'{" ".join(packages)}: the download takes too '
                          'long') from error
    if done.returncode:
        raise Unavailable(done.stderr.strip().replace('\n', ' '))
    return done.stdout.split()


def unpack(package, directory):
    subprocess.run(['dpkg-deb', '-x', package, directory], check=True)


def depends(package):
    """Names of the packages that it needs."""
    said = subprocess.run(['dpkg-deb', '-f', package, 'Depends'],
                          capture_output=True, text=True, check=True).stdout
    return [word.split()[0] for word in said.split(',')]
