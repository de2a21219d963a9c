# SPDX-License-Identifier: GPL-2.0-or-later
"""What every sector of the array may hold.

Owns: stamps, the expected data, and where the daemon's death left doubt.
Must not know: how data gets to the array, what a member is.

Each sector that is written carries a stamp: generation, place, writer. No
two writes have a generation in common, so a sector that is stale, misplaced,
torn or foreign is told apart from the right one, and named.

A write that was not acknowledged when the daemon died leaves its sectors in
doubt: each may be old or new. The first read tells which. From then on that is
what the sector holds (it is pinned), for as long as all members are there; one
more member lost before a resync may bring the other one back.
"""

import struct

SECTOR = 512
ZERO = bytes(SECTOR)
ANYTHING = b'anything'
_STAMP = struct.Struct('<8sQQQ')
_MAGIC = b'opuskill'
_REPEAT = SECTOR // _STAMP.size


class Wrong(Exception):
    """The array broke a promise."""


def describe(sector):
    """A sector's content in words."""
    if sector in (ZERO, ANYTHING):
        return 'zeroes' if sector == ZERO else 'anything'
    stamps = {_STAMP.unpack_from(sector, at)
              for at in range(0, SECTOR, _STAMP.size)}
    if any(stamp[0] != _MAGIC for stamp in stamps):
        return f'no stamp: {sector[:32].hex()}...'
    return ' torn with '.join(
        f'[generation {generation}, for {offset}, by {writer}]'
        for _, generation, offset, writer in sorted(stamps))


class Oracle:
    """The array of @size bytes is all zero at first."""

    def __init__(self, size):
        self.data = bytearray(size)
        self.generation = 0
        self._doubts = {}       # sector number: set of contents it may have
        self._pinned = set()    # of these: those that were read since
        self._lenient = False

    def __len__(self):
        return len(self.data)

    def grow(self, size):
        """There is more of it, which is zero."""
        self.data.extend(bytes(size - len(self.data)))

    def doubts(self):
        return len(self._doubts)

    def stamped(self, offset, length, writer):
        """Data for a write."""
        self.generation += 1
        return b''.join(
            _STAMP.pack(_MAGIC, self.generation, at, writer) * _REPEAT
            for at in range(offset, offset + length, SECTOR))

    def _sectors(self, offset, length):
        return range(offset // SECTOR, (offset + length) // SECTOR)

    def wrote(self, offset, data):
        """A write was acknowledged."""
        self.data[offset:offset + len(data)] = data
        if self._doubts:
            for number in self._sectors(offset, len(data)):
                self._doubts.pop(number, None)
                self._pinned.discard(number)

    def may_have_written(self, offset, data, garbled=False):
        """Old or new; or anything, if @garbled.

        Returns the sectors that were not in doubt before.
        """
        fresh = []
        for number in self._sectors(offset, len(data)):
            at = number * SECTOR
            old = bytes(self.data[at:at + SECTOR])
            if number not in self._doubts:
                fresh.append(number)
                self._doubts[number] = {old}
            self._doubts[number].add(data[at - offset:at - offset + SECTOR])
            if garbled:
                self._doubts[number].add(ANYTHING)
            self._pinned.discard(number)
        return fresh

    def settle(self, numbers=None):
        """What was read last is so for ever: all of it, or these sectors.

        They must have been read after what left them in doubt.
        """
        for number in list(self._doubts) if numbers is None else numbers:
            self._doubts.pop(number, None)
            self._pinned.discard(number)

    def set_lenient(self, lenient):
        """While members get lost, what is in doubt stays so."""
        self._lenient = lenient
        if lenient:
            self._pinned.clear()

    def check(self, what, offset, data):
        """Is this what a read at @offset may return?"""
        expected = self.data[offset:offset + len(data)]
        if data != expected:
            self._look_closely(what, offset, data)
        if self._doubts and not self._lenient:
            numbers = self._sectors(offset, len(data))
            self._pinned.update(
                [n for n in numbers if n in self._doubts]
                if len(numbers) < len(self._doubts) else
                [n for n in self._doubts if n in numbers])

    def _look_closely(self, what, offset, data):
        bad = []
        for number in self._sectors(offset, len(data)):
            at = number * SECTOR
            got = data[at - offset:at - offset + SECTOR]
            if got == self.data[at:at + SECTOR]:
                continue
            may_be = self._doubts.get(number, ())
            if number not in self._pinned and \
                    (got in may_be or ANYTHING in may_be):
                self.data[at:at + SECTOR] = got
            else:
                bad.append((number, got))
        if bad:
            raise Wrong(f'{what}: {len(bad)} sectors are wrong\n'
                        + '\n'.join(self._complaint(*pair)
                                    for pair in bad[:12]))

    def _complaint(self, number, got):
        at = number * SECTOR
        expected = bytes(self.data[at:at + SECTOR])
        text = (f'  at {at}: is {describe(got)}, should be '
                f'{describe(expected)}')
        others = self._doubts.get(number, set()) - {expected}
        if others:
            pinned = number in self._pinned
            text += ', or, until it was read,' if pinned else ' or'
            text += ' or'.join(f' {describe(other)}' for other in others)
        return text
