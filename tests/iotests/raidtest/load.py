# SPDX-License-Identifier: GPL-2.0-or-later
"""Random requests, and what the array must hold after them.

Everything follows from the seed, except the order in which requests that are
in flight together take effect: so none of them overlap, unless the caller
wants to see what overlapping ones do.
"""

import random

from .nbd import FLAG_FUA, FLUSH, READ, WRITE, WRITE_ZEROES
from .scenario import same

SECTOR = 512


class Load:
    """A model of one array; run() changes the array and the model alike."""

    def __init__(self, size, seed, data=None):
        self.random = random.Random(seed)
        self.model = bytearray(size if data is None else data)

    def fill(self, client):
        """Random data everywhere."""
        self.model[:] = self.random.randbytes(len(self.model))
        client.write(0, bytes(self.model))

    def write(self, client, offset, length, flags=0):
        """One request, and its end is waited for."""
        data = self.random.randbytes(length)
        self.model[offset:offset + length] = data
        client.write(offset, data, flags=flags)

    def _pick(self, unit, longest, start, end, busy):
        """A range of whole units that touches none in flight, or None."""
        for _ in range(20):
            units = min(self.random.randint(1, longest // unit),
                        (end - start) // unit)
            offset = self.random.randrange(start, end - units * unit + 1, unit)
            if not any(offset < other.offset + other.length and
                       other.offset < offset + units * unit
                       for other in busy):
                return offset, units * unit
        return None

    def _submit(self, client, kind, offset, length):
        if kind == 'read':
            request = client.submit(READ, offset, length)
        elif kind == 'zero':
            request = client.submit(WRITE_ZEROES, offset, length)
            self.model[offset:offset + length] = bytes(length)
        else:
            data = self.random.randbytes(length)
            request = client.submit(WRITE, offset, data=data,
                                    flags=FLAG_FUA if kind == 'fua' else 0)
            self.model[offset:offset + length] = data
        return request

    def _reap(self, client, busy):
        request = client.reap()
        client.wait(request)
        if request in busy:
            busy.remove(request)
        if request.command == READ:
            end = request.offset + request.length
            same(f'read at {request.offset}', request.data,
                 bytes(self.model[request.offset:end]))

    def run(self, client, requests, unit=SECTOR, longest=65536, depth=16,
            start=0, end=None, kinds=('write', 'write', 'write', 'read')):
        """Keep up to @depth requests of the given kinds in flight."""
        end = len(self.model) if end is None else end
        busy = []
        for _ in range(requests):
            kind = self.random.choice(kinds)
            place = self._pick(unit, longest, start, end, busy)
            while not place or client.in_flight() >= depth:
                self._reap(client, busy)
                place = place or self._pick(unit, longest, start, end, busy)
            if kind == 'flush':
                client.submit(FLUSH)
            else:
                busy.append(self._submit(client, kind, *place))
        while client.in_flight():
            self._reap(client, busy)

    def verify(self, client, what='array'):
        same(what, client.read(), bytes(self.model))
