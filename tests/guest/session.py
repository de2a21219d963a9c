# SPDX-License-Identifier: GPL-2.0-or-later
"""One test program: a guest, a scratch directory, a pattern, TAP output.

usage of such a program: test-NAME.py [--newest] [--all] [WORD...]
    Only scenarios that have all the words in their names, which say what
    kernel the guest runs: the machine's own, or the newest that Debian has.
    Rare ones, which CI leaves out, run with --all or if any word is given.
"""
import contextlib
import os
import shutil
import signal
import sys
import tempfile

import md_array
import newest_kernel
import tap
import uml
from pattern import Pattern

MIB = 1 << 20
SCRATCH_BYTES = 512 * MIB
PATTERN_BYTES = 48 * MIB


class Session:
    """What a scenario needs: .guest, .pattern, .array(), .scenario()."""

    def __init__(self, top, pattern, words, kernel=None):
        self.top = top
        self.pattern = pattern
        self.words = [word for word in words if word[:2] != '--']
        self.with_rare = '--all' in words or bool(self.words)
        self.kernel = kernel or uml.find_kernel()
        self.version = uml.version(self.kernel)
        self.mdadm = (newest_kernel.MDADM if kernel else
                      os.environ.get('MDADM', '/sbin/mdadm'))
        self.tap = tap.Tap()
        self.guest = None
        self.arrays = 0

    @contextlib.contextmanager
    def booted(self):
        """A guest for the time of the body."""
        self.boot()
        try:
            yield
            self.guest.stop()
        finally:
            self.guest.kill()

    def boot(self):
        self.guest = uml.Guest(rw_dirs=[self.top], kernel=self.kernel,
                               path=os.path.dirname(self.mdadm))
        self.guest.__enter__()

    def scenario(self, name, body, *args, rare=False):
        """Run body(*args); any exception is a failure of this one only."""
        name = f'Linux {uml.release(self.kernel)}: {name}'
        if not all(word in name for word in self.words):
            return
        if rare and not self.with_rare:
            return
        with self.tap.scenario(name, self.recover):
            body(*args)

    def recover(self):
        """After a failure: whatever is left in the guest goes with it."""
        self.guest.kill()
        self.boot()

    @contextlib.contextmanager
    def array(self, shape):
        """A fresh array's files for the time of the body."""
        self.arrays += 1
        array = md_array.MdArray(shape, self.top, f'a{self.arrays}')
        try:
            yield array
        finally:
            shutil.rmtree(array.dir, ignore_errors=True)


def main(run):
    """Boot, run(session), report; returns never."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))
    try:
        words = sys.argv[1:]
        kernel = newest_kernel.get() if '--newest' in words else None
        scratch = uml.scratch_dir(SCRATCH_BYTES)
        with tempfile.TemporaryDirectory(prefix='md-', dir=scratch) as top:
            pattern = Pattern(f'{top}/pattern', PATTERN_BYTES, seed=1)
            session = Session(top, pattern, words, kernel)
            with session.booted():
                run(session)
            sys.exit(session.tap.finish())
    except uml.Unavailable as reason:
        sys.exit(tap.skip_all(reason))
