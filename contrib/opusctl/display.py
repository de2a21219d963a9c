# SPDX-License-Identifier: GPL-2.0-or-later
"""What users see of an array."""

import os
import sys
import time
from typing import Iterable, List, Optional

from .daemon import Info


GREEN, YELLOW, RED = '32', '33', '31'
STATE_COLOURS = {
    'optimal': GREEN, 'in-sync': GREEN, 'spare': GREEN,
    'resync-pending': YELLOW, 'degraded': YELLOW, 'rebuilding': YELLOW,
    'failed': RED, 'faulty': RED, 'missing': RED, 'stale': RED,
}


def is_terminal() -> bool:
    """One that knows escape codes."""
    return sys.stdout.isatty() and os.environ.get('TERM') != 'dumb'


def paint(text: str, colour: Optional[str]) -> str:
    """In colour, on a terminal whose user does not mind."""
    if not (text and colour and is_terminal()) or os.environ.get('NO_COLOR'):
        return text
    return f'\033[{colour}m{text}\033[0m'


def human(count: float) -> str:
    """Bytes for people."""
    for unit in ('B', 'KiB', 'MiB', 'GiB', 'TiB'):
        if count < 1024 or unit == 'TiB':
            break
        count /= 1024
    return f'{count:.0f} {unit}' if count == int(count) else \
           f'{count:.1f} {unit}'


def percent(part: float, whole: float) -> str:
    """How much of something, rounded down: 100 % means all of it."""
    return f'{int(100 * part / whole) if whole else 100} %'


def table(rows: List[List[str]], states: int) -> Iterable[str]:
    """Lines of columns, one of which holds states in their colours."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths)]
        cells[states] = paint(cells[states], STATE_COLOURS.get(row[states]))
        yield '  ' + '  '.join(cells).rstrip()


def shape(info: Info) -> str:
    """Level, layout, sizes: what does not change while it runs."""
    words = [info['level'], f"{info['slots']} slots"]
    if info['layout'] != 'none':
        words.append(info['layout'])
    if info.get('copies'):
        words.append(f"{info['copies']} copies")
    if info.get('chunk-size'):
        words.append(f"chunk {human(info['chunk-size'])}")
    if info.get('logical-block-size'):
        words.append(f"blocks of {info['logical-block-size']}")
    return ', '.join(words + [human(info['size'])])


def protection(info: Info) -> Iterable[str]:
    """What keeps redundancy right, as far as the daemon knows about it."""
    if 'consistency-policy' in info:
        yield (f"policy {info['consistency-policy']}"
               + ('' if info.get('policy-in-force', True)
                  else ' (not in force)'))
    if 'bitmap' in info:
        bitmap = info['bitmap']
        yield (f"bitmap {bitmap['dirty-chunks']} of {bitmap['chunks']} "
               f"chunks of {human(bitmap['chunk-size'])} dirty")
    if 'resync' in info:
        copies = info['level'] in ('raid1', 'raid10')
        whole = info['size' if copies else 'member-size']
        yield f"resync {percent(info['resync'], whole)}"
    last = info.get('last-check', {})
    for what in ('mismatches', 'unrepaired'):
        # Of a check that still runs, or by a daemon that tells no more.
        if what in info and info[what] != last.get(what):
            yield f'{what} {info[what]} sectors'


def is_well_checked(last: Info) -> bool:
    """Did a check look at all of the array, and is nothing left to do?"""
    return bool(last['complete'] and not last['unrepaired']
                and not (last['mode'] == 'check' and last['mismatches']))


def last_check(last: Info) -> str:
    """How the last check ended, and what it found."""
    when = time.strftime('%Y-%m-%d %H:%M', time.localtime(last['end']))
    if last['complete']:
        words = [f"{last['mode']}ed {when}, complete"]
    elif last['done'] < last['total']:
        words = [f"{last['mode']} of {when} STOPPED at "
                 f"{percent(last['done'], last['total'])}: {last['error']}"]
    else:
        words = [f"{last['mode']} of {when} INCOMPLETE: {last['error']}"]
    words.append(f"mismatches {last['mismatches']} sectors")
    if last['mode'] == 'repair':
        words.append(f"unrepaired {last['unrepaired']} sectors")
    if last['corrected-reads']:
        words.append(f"corrected reads {last['corrected-reads']}")
    return paint(', '.join(words), None if is_well_checked(last) else RED)


def show_array(info: Info) -> None:
    """One array and its members."""
    print(f"{info['node-name']}: {shape(info)}, "
          + paint(info['state'], STATE_COLOURS.get(info['state']))
          + (', writes in flight' if info['dirty'] else ''))
    name = [f"name {info['name']}"] if info.get('name') else []
    print('  ' + ', '.join(name + [f"uuid {info['uuid']}"]))
    more = ', '.join(protection(info))
    if more:
        print(f'  {more}')
    if 'last-check' in info:
        print(f"  {last_check(info['last-check'])}")
    rows = [['SLOT', 'MEMBER', 'STATE', 'READ-ERR', 'CORRECTED', 'WRITE-ERR',
             'REBUILT', 'BAD']]
    for entry in info['members']:
        rebuilt = '-' if 'rebuilt' not in entry else \
                  percent(entry['rebuilt'], info['member-size'])
        bad = entry.get('bad-bytes')
        rows.append([str(entry.get('slot', '-')), entry.get('node-name', '-'),
                     entry['state'], str(entry['read-errors']),
                     str(entry['corrected-reads']),
                     str(entry['write-errors']), rebuilt,
                     human(bad) if bad else '-'])
    if all(row[-1] == '-' for row in rows[1:]):
        rows = [row[:-1] for row in rows]
    print('\n'.join(table(rows, states=2)))
