#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What opusctl says is to be done about an array, as TAP.

usage: test-actions.py CONTRIB
"""

import importlib.util
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location(
    'action', Path(sys.argv[1]) / 'opusctl/action.py')
action = importlib.util.module_from_spec(spec)
spec.loader.exec_module(action)


def member(name, state='in-sync', **more):
    return {'node-name': name, 'state': state, 'read-errors': 0, **more}


def array(*members, state='optimal', level='raid5', **more):
    return {'node-name': 'r0', 'state': state, 'level': level,
            'members': list(members), **more}


A, B = member('a'), member('b')
WORN = member('b', **{'read-errors': 2})
CHECKED = {'mode': 'check', 'mismatches': 0, 'unrepaired': 0, 'complete': True}

# What it is about: array, jobs, the line up to the word in brackets.
CASES = {
    'nothing': (array(A, B), [], None),
    'one read error in years': (
        array(A, member('b', **{'read-errors': 1})), [], None),
    'a failed array': (
        array(A, member('b', 'faulty'), state='failed'), [],
        'stop its guests and exports, then close it: opusctl stop r0'),
    'a rebuild that runs': (
        array(A, member('b', 'rebuilding'), state='degraded'),
        ['opus-raid-rebuild-r0'], 'wait, and pull no drive: opusctl watch r0'),
    'one that had to take another name': (
        array(A, member('b', 'rebuilding'), state='degraded'),
        ['opus-raid-rebuild-r0-2'],
        'wait, and pull no drive: opusctl watch r0'),
    'the rebuild of another array': (
        array(A, member('b', 'rebuilding'), state='degraded'),
        ['opus-raid-rebuild-r01'], 'opusctl rebuild r0'),
    'a stale member': (
        array(A, member('b', 'stale'), state='degraded'), [],
        'opusctl remove r0 b'),
    'no member for a slot': (
        array(A, state='degraded'), [], 'opusctl add r0 PATH-OF-NEW-DRIVE'),
    'a resync that runs': (
        array(A, B, state='resync-pending'), ['opus-raid-resync-r0'],
        'wait, and pull no drive: opusctl watch r0'),
    'one that does not': (
        array(A, B, state='resync-pending'), [],
        'no resync runs, start the array again, writable: opusctl stop r0'),
    'a check that was cancelled': (
        array(A, B, **{'last-check': {**CHECKED, 'complete': False}}), [],
        'opusctl check r0'),
    'mismatches of raid6': (
        array(A, B, level='raid6',
              **{'last-check': {**CHECKED, 'mismatches': 8}}), [],
        'opusctl check r0 --repair'),
    'mismatches of raid5': (
        array(A, B, **{'last-check': {**CHECKED, 'mismatches': 8}}), [],
        'find the drive that is wrong, before any repair'),
    'bad places': (
        array(A, member('b', **{'bad-bytes': 4096})), [],
        'restore what lies in the bad places from a backup'),
    'a drive with read errors': (
        array(A, WORN), [], 'opusctl replace r0 b PATH-OF-NEW-DRIVE'),
    'one of an array with a journal': (
        array(A, WORN, **{'consistency-policy': 'journal'}), [],
        'opusctl add r0 PATH-OF-NEW-DRIVE'),
    'one of raid0': (array(A, WORN, level='raid0'), [], 'copy the data away'),
    'a member that was replaced': (
        array(A, B, member('c', 'faulty')), [], 'opusctl remove r0 c'),
}


def main():
    failed = False
    print(f'1..{len(CASES)}')
    for i, (name, (info, jobs, expected)) in enumerate(CASES.items(), 1):
        line = action.action_line(info, jobs)
        good = line is None if expected is None else \
            str(line).startswith(f'action: {expected} (see: ')
        print(f'{"ok" if good else "not ok"} {i} - {name}')
        if not good:
            print(f'# {line}')
        failed |= not good
    sys.exit(failed)


main()
