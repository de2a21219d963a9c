# SPDX-License-Identifier: GPL-2.0-or-later
"""Which things were done to arrays in which condition.

Owns: the names of both, which docs/crossings.rst has too, and how often they
met. Printed with --crossings.
"""

import collections

# What can be done.
ROWS = ('reopen with an option', 'read-only to writable', 'inactivate', 'grow',
        'add', 're-add', 'replace', 'fail', 'policy change', 'check', 'repair',
        'discard', 'zeroes', 'resize', 'export', 'export with mapping',
        'snapshot and commit', 'mirror', 'backup', 'restart', 'kill')

# What the array is in.
COLUMNS = ('healthy', 'degraded', 'resync', 'rebuild', 'replacing', 'bitmap',
           'ppl', 'journal', 'bad blocks', 'write-mostly', 'member timeout',
           'read-only', 'iothreads')


def conditions(info, iothreads, timeout, read_only=False):
    """The columns that apply to an array, as query-opus-raid shows it."""
    states = [entry['state'] for entry in info['members']]
    slots = {'in-sync': set(), 'rebuilding': set()}
    for entry in info['members']:
        if entry['state'] in slots:
            slots[entry['state']].add(entry.get('slot'))
    replacing = bool(slots['in-sync'] & slots['rebuilding'])
    return {name for name, applies in (
        ('healthy', info['state'] == 'optimal' and not replacing),
        ('degraded', info['state'] == 'degraded'),
        ('resync', 'resync' in info),
        ('rebuild', 'rebuilding' in states and not replacing),
        ('replacing', replacing),
        (info.get('consistency-policy'), True),
        ('bad blocks', any(entry.get('bad-bytes')
                           for entry in info['members'])),
        ('write-mostly', any(entry['write-mostly']
                             for entry in info['members'])),
        ('member timeout', timeout),
        ('read-only', read_only),
        ('iothreads', iothreads > 1)) if applies and name in COLUMNS}


class Crossings:
    """Counts pairs; all of them may be printed."""

    def __init__(self):
        self._count = collections.Counter()

    def note(self, row, columns):
        """Something was done, and not refused."""
        if row not in ROWS:
            raise KeyError(row)
        self._count.update((row, column) for column in columns)

    def lines(self):
        """A table, and then the pairs that never met."""
        yield ' ' * 22 + ' '.join(f'{column[:7]:>7}' for column in COLUMNS)
        for row in ROWS:
            yield f'{row:22}' + ' '.join(
                f'{self._count[row, column] or "-":>7}' for column in COLUMNS)
