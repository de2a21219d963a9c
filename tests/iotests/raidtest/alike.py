# SPDX-License-Identifier: GPL-2.0-or-later
"""Cases that are to log the same, but for names: it is logged once.

For people who review what a test expects: what differs from case to case is
in one line each, and what does not has to be read only once.
"""

import logging
import re
from contextlib import contextmanager
from types import MappingProxyType

from iotests import log

LOGGER = logging.getLogger('qemu.iotests.diff_io')


class _Kept(logging.Handler):
    """Has the lines that are logged in its place."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines += record.getMessage().split('\n')


@contextmanager
def _kept_lines():
    handlers, kept = LOGGER.handlers[:], _Kept()
    LOGGER.handlers[:] = [kept]
    try:
        yield kept.lines
    finally:
        LOGGER.handlers[:] = handlers


class Alike:
    """Whatever is said for the first time gets a letter."""

    def __init__(self):
        self._said = {}

    @contextmanager
    def case(self, title, names=MappingProxyType({})):
        """names: {regular expression: what stands for it}, in this order."""
        lines = []
        try:
            with _kept_lines() as lines:
                yield
        except BaseException:
            for line in lines:
                log(line)
            raise
        for expression, name in names.items():
            lines = [re.sub(expression, name, line) for line in lines]
        said = tuple(lines)
        new = said not in self._said
        letter = self._said.setdefault(said, chr(ord('A') + len(self._said)))
        log(f'{title}: {letter}')
        for line in lines if new else ():
            log(f'  {letter}  {line}')


def names_of(level, slots, *failed):
    """For a case in which these members of an array fail."""
    states = ' '.join('faulty' if i in failed else 'in-sync'
                      for i in range(slots))
    whole = ' '.join(['in-sync'] * slots)
    names = {f'degraded: {states}(?! )': 'degraded: M faulty, others in-sync',
             f'optimal: {whole}(?! )': 'optimal: all in-sync',
             rf'^{level}\b': 'LEVEL'}
    for i in failed:
        names |= {rf'\bm{i}\b': 'M', rf'\bslot={i}\b': 'slot=S',
                  rf'\(slot {i}\)': '(slot S)', rf'\[{i}\]': '[S]'}
    return names
