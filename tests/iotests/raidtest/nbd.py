# SPDX-License-Identifier: GPL-2.0-or-later
"""An NBD client that keeps as many requests in flight as its user likes.

Fixed newstyle negotiation, simple replies. An error reply becomes an OSError.

Replies are taken even while a request is sent: a server that is drained sends
what it has before it takes more.
"""

import os
import select
import socket
import struct
import time

READ, WRITE, FLUSH, TRIM, WRITE_ZEROES = 0, 1, 3, 4, 6
FLAG_FUA, FLAG_NO_HOLE, FLAG_FAST_ZERO = 1, 2, 16

TIMEOUT_S = 120
_DISCONNECT = 2
_OPT_GO = 7
_REP_ACK, _REP_INFO = 1, 3
_INFO_EXPORT, _INFO_BLOCK_SIZE = 0, 3


class Request:
    """One request; 'done' once its reply is in, 'error' a positive errno."""

    def __init__(self, command, offset, length):
        self.command = command
        self.offset = offset
        self.length = length
        self.done = False
        self.error = 0
        self.data = b''


class Client:
    """A connection to one export."""

    def __init__(self, path, export):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(TIMEOUT_S)
        self._socket.connect(path)
        self._requests = {}     # by cookie: without a reply
        self._arrived = []      # with a reply that nobody has asked for yet
        self._cookie = 0
        self.idle = lambda: None    # called while the server takes nothing
        self.size = self.block_size = self.flags = 0
        self._negotiate(export.encode())

    def _send(self, data):
        view = memoryview(data)
        poll = select.poll()
        poll.register(self._socket, select.POLLIN | select.POLLOUT)
        deadline = time.monotonic() + TIMEOUT_S
        while view:
            ready = poll.poll(10)
            if not ready:
                if time.monotonic() > deadline:
                    raise TimeoutError('the server takes no request')
                self.idle()
                continue
            if ready[0][1] & ~select.POLLOUT:
                self._arrived.append(self._receive_reply())
            else:
                view = view[self._socket.send(view, socket.MSG_DONTWAIT):]

    def _receive(self, length):
        data = bytearray(length)
        view = memoryview(data)
        while view:
            got = self._socket.recv_into(view)
            if not got:
                raise ConnectionError('the server closed the connection')
            view = view[got:]
        return bytes(data)

    def _negotiate(self, export):
        magic, option, _ = struct.unpack('>8s8sH', self._receive(18))
        assert (magic, option) == (b'NBDMAGIC', b'IHAVEOPT')
        request = struct.pack('>I', len(export)) + export
        request += struct.pack('>HH', 1, _INFO_BLOCK_SIZE)
        self._socket.sendall(struct.pack('>I8sII', 3, b'IHAVEOPT', _OPT_GO,
                                         len(request)) + request)
        while True:
            _, _, kind, length = struct.unpack('>QIII', self._receive(20))
            data = self._receive(length)
            if kind == _REP_ACK:
                return
            if kind != _REP_INFO:
                raise ConnectionError(f'no export {export}: {data}')
            if struct.unpack_from('>H', data)[0] == _INFO_EXPORT:
                self.size, self.flags = struct.unpack_from('>QH', data, 2)
            elif struct.unpack_from('>H', data)[0] == _INFO_BLOCK_SIZE:
                self.block_size = struct.unpack_from('>I', data, 2)[0]

    def submit(self, command, offset=0, length=0, data=b'', flags=0):
        """Send a request; its reply comes with a later wait() or reap()."""
        self._cookie += 1
        request = Request(command, offset, length or len(data))
        self._requests[self._cookie] = request
        self._send(struct.pack('>IHHQQI', 0x25609513, flags, command,
                               self._cookie, offset, request.length) + data)
        return request

    def _receive_reply(self):
        magic, error, cookie = struct.unpack('>IIQ', self._receive(16))
        assert magic == 0x67446698
        request = self._requests.pop(cookie)
        request.error = error
        if request.command == READ and not error:
            request.data = self._receive(request.length)
        request.done = True
        return request

    def reap(self):
        """Wait for one reply of any request; return the request."""
        return self._arrived.pop(0) if self._arrived else self._receive_reply()

    def wait(self, request):
        """The request's data, when its reply is in."""
        if request in self._arrived:
            self._arrived.remove(request)
        while not request.done:
            self.reap()
        if request.error:
            raise OSError(request.error, os.strerror(request.error))
        return request.data

    def fileno(self):
        return self._socket.fileno()

    def is_ready(self):
        """Is there a reply, or the end, so that reap() will not wait?"""
        if self._arrived:
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

    def take(self):
        """Take the replies that are there, for a later reap()."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while self._requests and poll.poll(0):
            self._arrived.append(self._receive_reply())

    def in_flight(self):
        """How many requests reap() has still to tell of."""
        return len(self._requests) + len(self._arrived)

    def is_silent(self, seconds):
        """True if no reply comes in that time."""
        self._socket.settimeout(seconds)
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(TIMEOUT_S)

    def read(self, offset=0, length=None):
        """Read, by default everything."""
        length = self.size - offset if length is None else length
        step = 4 << 20
        return b''.join(
            self.wait(self.submit(READ, at, min(step, offset + length - at)))
            for at in range(offset, offset + length, step))

    def write(self, offset, data, flags=0):
        step = 4 << 20
        for at in range(0, len(data), step):
            self.wait(self.submit(WRITE, offset + at, flags=flags,
                                  data=data[at:at + step]))

    def flush(self):
        self.wait(self.submit(FLUSH))

    def trim(self, offset, length):
        self.wait(self.submit(TRIM, offset, length))

    def zero(self, offset, length, unmap=False):
        self.wait(self.submit(WRITE_ZEROES, offset, length,
                              flags=0 if unmap else FLAG_NO_HOLE))

    def close(self):
        try:
            self._socket.sendall(struct.pack('>IHHQQI', 0x25609513, 0,
                                             _DISCONNECT, 0, 0, 0))
        except OSError:
            pass            # the daemon is gone already
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
