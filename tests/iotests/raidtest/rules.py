# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules for blkdebug: where and when requests of a member fail or hang.

A rule for one sector is about requests that touch it, so a test decides when
it acts by what it writes or reads.
"""

# Longer than any test.
FOREVER_NS = 3600 * 10 ** 9


def rule(iotype, sector=None, error=5, **options):
    """A rule that is there from the start."""
    found = {'event': 'none', 'iotype': iotype, 'errno': error, **options}
    if sector is not None:
        found['sector'] = sector
    return found


def hang(iotype, sector=None, **options):
    """The same for requests that do not come back."""
    return rule(iotype, sector, 0, **{'delay-ns': FOREVER_NS}, **options)


def nth_write(n):
    """blkdebug options: the n-th write fails."""
    steps = [{'event': 'pwritev', 'state': i, 'new_state': i + 1}
             for i in range(1, n + 1)]
    return {'set-state': steps,
            'inject-error': [{'event': 'pwritev', 'state': n, 'errno': 5,
                              'iotype': 'write'}]}


def all_reads():
    """blkdebug options: from the second write on, all reads fail.

    Reads must work while the array is opened.
    """
    return {'set-state': [{'event': 'pwritev', 'state': 1, 'new_state': 2}],
            'inject-error': [{'event': 'pwritev', 'state': 2, 'errno': 5,
                              'iotype': 'read'}]}
