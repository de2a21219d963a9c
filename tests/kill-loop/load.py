# SPDX-License-Identifier: GPL-2.0-or-later
"""Random requests over several connections, checked as they go.

Owns: what is in flight.
Must not know: members, failures.

No two requests in flight overlap, whichever connection they are on. They are
often neighbours, though: most go to a few hot places.
"""

import select
import time

from daemon import Died, Hung
from oracle import SECTOR, Wrong
from raidtest.nbd import FLAG_FUA, FLUSH, READ, TRIM, WRITE, WRITE_ZEROES

DEPTH = 8
STALL_S = 100
HOT_BYTES = 256 * 1024
_ESHUTDOWN = 108

# How often, among 100.
_MIX = {'write': 44, 'fua': 8, 'read': 30, 'zero': 7, 'trim': 5, 'flush': 6}


class _Op:
    """A request and what it does to the array."""

    def __init__(self, kind, offset=0, length=0, data=None):
        self.kind = kind
        self.offset = offset
        self.length = length
        self.data = data
        self.fresh = ()     # reads: sectors that a discard has left in doubt

    def overlaps(self, offset, length):
        return offset < self.offset + self.length and \
            self.offset < offset + length


class Load:
    """run() goes on until the time is over or the daemon is dead."""

    def __init__(self, clients, oracle, rng, count):
        self.clients = clients
        self.oracle = oracle
        self.size = len(oracle)     # as the clients know it; it may grow
        self.rng = rng
        self.count = count          # Counter of the whole loop
        self.writing = True
        self.submitting = True
        self._busy = {}             # request: _Op
        self._hot = [self._aligned(rng.randrange(len(oracle)))
                     for _ in range(3)]
        self._poll = select.poll()
        for client in clients:
            self._poll.register(client.fileno(), select.POLLIN)
            client.idle = self._take_replies
        self._last_reply = time.monotonic()

    def _take_replies(self):
        """Of all clients, for the server may wait for any of them."""
        for client in self.clients:
            client.take()

    def _aligned(self, offset):
        return offset // SECTOR * SECTOR

    # --- submit

    def _pick(self):
        """A range that touches none in flight, or None."""
        size = self.size
        length = SECTOR * self.rng.randint(1, 1 << self.rng.randint(0, 7))
        if self.rng.random() < 0.02:
            length = self._aligned(self.rng.randint(1, 16) * 65536)
        length = min(length, size // 2)
        if self.rng.random() < 0.5:
            length = max(length // 4096 * 4096, SECTOR)
        if self.rng.random() < 0.6:
            start = (self.rng.choice(self._hot)
                     + self.rng.randrange(HOT_BYTES))
        else:
            start = self.rng.randrange(size)
        if length % 4096 == 0:
            start = start // 4096 * 4096
        start = min(self._aligned(start), size - length)
        if any(op.overlaps(start, length) for op in self._busy.values()):
            return None
        return start, length

    def _send(self, client, op, flags=0):
        command = {'read': READ, 'zero': WRITE_ZEROES, 'trim': TRIM,
                   'flush': FLUSH}.get(op.kind, WRITE)
        if command == WRITE:
            request = client.submit(WRITE, op.offset, data=op.data,
                                    flags=flags)
        else:
            request = client.submit(command, op.offset, op.length,
                                    flags=flags)
        self._busy[request] = op

    def _submit(self, client):
        kinds = _MIX if self.writing else {'read': 1}
        kind, = self.rng.choices(list(kinds), list(kinds.values()))
        if kind == 'flush':
            self._send(client, _Op('flush'))
            return
        place = self._pick()
        if not place:
            return
        data = None
        flags = 0
        if kind in ('write', 'fua'):
            data = self.oracle.stamped(*place, self.clients.index(client))
            flags = FLAG_FUA if kind == 'fua' else 0
        elif kind in ('zero', 'trim'):
            data = bytes(place[1])
        if kind == 'zero' and self.rng.random() < 0.5:
            flags = 2       # no hole
        self._send(client, _Op(kind, *place, data), flags)

    # --- replies

    def _finish(self, client, request):
        op = self._busy[request]
        if request.error:
            if request.error == _ESHUTDOWN:
                raise Died
            raise Wrong(f'{op.kind} of {op.length} bytes at {op.offset}: '
                        f'error {request.error}')
        del self._busy[request]
        self.count[op.kind] += 1
        if op.kind == 'read':
            self.oracle.check('read', op.offset, request.data)
            self.oracle.settle(op.fresh)
            self.count['bytes read'] += op.length
        elif op.kind == 'trim':
            # Sector by sector, what was there or zeroes: look which.
            fresh = self.oracle.may_have_written(op.offset, op.data)
            look = _Op('read', op.offset, op.length)
            look.fresh = fresh
            self._send(client, look)
        elif op.data:
            self.oracle.wrote(op.offset, op.data)
            self.count['bytes written'] += op.length

    def step(self):
        """Fill the connections, and take what replies there are."""
        try:
            self._fill()
            self._poll.poll(2)
            for client in self.clients:
                while client.in_flight() and client.is_ready():
                    self._finish(client, client.reap())
                    self._last_reply = time.monotonic()
        except ConnectionError as error:
            raise Died from error
        except TimeoutError as error:
            raise Hung(str(error)) from error
        if self._busy and time.monotonic() > self._last_reply + STALL_S:
            raise Hung(f'{len(self._busy)} requests without a reply')
        if not self._busy:
            self._last_reply = time.monotonic()

    def _fill(self):
        for client in self.clients:
            for _ in range(2):
                if self.submitting and client.in_flight() < DEPTH:
                    self._submit(client)

    def run(self, seconds, between=lambda: None):
        """Raises Died when the daemon does."""
        end = time.monotonic() + seconds
        self.submitting = True
        while time.monotonic() < end:
            self.step()
            between()

    def hold(self, held):
        """Submit nothing new for now, or go on."""
        self.submitting = not held

    def close(self):
        """Nothing is in flight any more."""
        self.quiesce()
        for client in self.clients:
            client.close()

    def quiesce(self):
        """Until nothing is in flight."""
        self.submitting = False
        while self._busy:
            self.step()

    def bury(self, garbled):
        """The daemon is dead: what it acknowledged counts, the rest may.

        @garbled: as Oracle.may_have_written() has it.
        """
        for client in self.clients:
            try:
                while client.in_flight():
                    request = client.reap()
                    op = self._busy[request]
                    if request.error or op.kind == 'trim':
                        continue
                    self.count['last replies'] += 1
                    del self._busy[request]
                    if op.kind == 'read':
                        self.oracle.check('last read', op.offset,
                                          request.data)
                    elif op.data:
                        self.oracle.wrote(op.offset, op.data)
            except OSError:
                pass
            client.close()
        for op in self._busy.values():
            if op.data:
                self.oracle.may_have_written(op.offset, op.data, garbled)
                self.count['in doubt'] += 1
        self._busy.clear()


def read_all(client, oracle, what, count):
    """The whole array must be as it should; or what the client sees of it."""
    step = 1 << 20
    size = min(len(oracle), client.size)
    try:
        for offset in range(0, size, step):
            length = min(step, size - offset)
            oracle.check(what, offset, client.read(offset, length))
            count['bytes read'] += length
    except ConnectionError as error:
        raise Died from error
    count['whole arrays'] += 1
