# SPDX-License-Identifier: GPL-2.0-or-later
"""The one thing to do about an array, if there is anything."""

import re
from typing import Any, Dict, Iterator, List, Optional, Tuple


Info = Dict[str, Any]
# What to do, and the word whose entry in docs/trouble.rst says more.
Action = Tuple[str, str]

NEW = 'PATH-OF-NEW-DRIVE'

# One in years is normal.
MANY_READ_ERRORS = 2


def members_in(info: Info, *states: str) -> List[str]:
    """The names of members in any of these states."""
    return [entry['node-name'] for entry in info['members']
            if entry['state'] in states and 'node-name' in entry]


def about_redundancy(info: Info, jobs: List[str]) -> Iterator[Action]:
    """About the state of an array that lacks redundancy."""
    name = info['node-name']

    def runs(kind: str) -> bool:
        own = re.compile(rf'opus-raid-{kind}-{re.escape(name)}(-[0-9]+)?')
        return any(own.fullmatch(job) for job in jobs)

    if info['state'] == 'failed':
        yield ('stop its guests and exports, then close it: '
               f'opusctl stop {name}', 'failed')
    if runs('rebuild') or runs('resync'):
        word = 'rebuilding' if runs('rebuild') else 'resync-pending'
        yield f'wait, and pull no drive: opusctl watch {name}', word
    if info['state'] == 'degraded':
        if members_in(info, 'rebuilding', 'spare'):
            yield f'opusctl rebuild {name}', 'degraded'
        for member in members_in(info, 'stale'):
            yield f'opusctl remove {name} {member}', 'stale'
        yield f'opusctl add {name} {NEW}', 'degraded'
    if info['state'] == 'resync-pending':
        yield ('no resync runs, start the array again, writable: '
               f'opusctl stop {name}', 'resync-pending')


def about_check(info: Info) -> Iterator[Action]:
    """About what a check has found, or has not looked at."""
    name, last = info['node-name'], info.get('last-check')
    if not last:
        return
    wrong = last['unrepaired'] if last['mode'] == 'repair' \
        else last['mismatches']
    if wrong and last['mode'] == 'check' and info['level'] == 'raid6':
        yield f'opusctl check {name} --repair', 'OPUS_RAID_MISMATCH'
    elif wrong:
        yield ('find the drive that is wrong, before any repair',
               'OPUS_RAID_MISMATCH')
    if not last['complete']:
        yield f"opusctl check {name}", info['state']


def about_members(info: Info) -> Iterator[Action]:
    """About members of an array that is redundant."""
    name = info['node-name']
    if any(entry.get('bad-bytes') for entry in info['members']):
        yield ('restore what lies in the bad places from a backup',
               'OPUS_RAID_BAD_BLOCKS')
    for entry in info['members']:
        if entry['state'] != 'in-sync' or \
                entry['read-errors'] < MANY_READ_ERRORS:
            continue
        if info['level'] == 'raid0':
            yield 'copy the data away', 'OPUS_RAID_READ_ERROR'
        elif info.get('consistency-policy') in ('ppl', 'journal'):
            yield f'opusctl add {name} {NEW}', 'OPUS_RAID_READ_ERROR'
        else:
            yield (f"opusctl replace {name} {entry['node-name']} {NEW}",
                   'OPUS_RAID_READ_ERROR')
    for state in ('faulty', 'stale'):
        for member in members_in(info, state):
            yield f'opusctl remove {name} {member}', state


def all_actions(info: Info, jobs: List[str]) -> Iterator[Action]:
    """Everything there is to do, most urgent first."""
    yield from about_redundancy(info, jobs)
    yield from about_check(info)
    yield from about_members(info)


def action_line(info: Info, jobs: List[str]) -> Optional[str]:
    """The line for show, or None when all is well."""
    for what, word in all_actions(info, jobs):
        return f'action: {what} (see: opusctl explain {word})'
    return None
