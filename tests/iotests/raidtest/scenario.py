# SPDX-License-Identifier: GPL-2.0-or-later
"""One titled part of a test.

Every scenario prints its title, so that one that did not run is missed. One
that fails does not keep the others from running.
"""

import os
import sys
import traceback

import iotests
from iotests import log

_failed = []


def scenario(title):
    """Decorator: the function runs, under its title, in run_all()."""
    def decorate(function):
        _scenarios.append((title, function))
        return function
    return decorate


_scenarios = []


def run_all():
    """Run this test's scenarios in the order they are written.

    For work on one of them: OPUS_RAID_SCENARIO is a part of its title.
    """
    iotests.script_main(_run_all, supported_fmts=['raw'],
                        supported_protocols=['file'],
                        supported_platforms=['linux'])


def _run_all():
    only = os.environ.get('OPUS_RAID_SCENARIO', '')
    for title, function in _scenarios:
        if only not in title:
            continue
        log(f'=== {title} ===')
        try:
            function()
        except Exception:       # pylint: disable=broad-exception-caught
            log(f'FAILED: {title}')
            log(traceback.format_exc())
            _failed.append(title)
    sys.exit(1 if _failed else 0)


def check(what, good):
    """Log a fact that must hold."""
    log(f'{what}: {"yes" if good else "NO"}')
    if not good:
        raise AssertionError(what)


def same(what, got, expected):
    """Bytes that must be equal; tells where they first are not."""
    if got == expected:
        return
    if len(got) != len(expected):
        raise AssertionError(f'{what}: {len(got)} bytes, not {len(expected)}')
    bad = [at for at in range(0, len(got), 512)
           if got[at:at + 512] != expected[at:at + 512]]
    raise AssertionError(f'{what}: {len(bad)} sectors differ, the first at '
                         f'{bad[0]}, the last at {bad[-1]}')
