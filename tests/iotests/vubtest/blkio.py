# SPDX-License-Identifier: GPL-2.0-or-later
"""A vhost-user-blk client with several queues: libblkio, through ctypes.

Waiting releases Python's lock, so each queue can have a thread of its own.
"""

import ctypes
import ctypes.util
from ctypes import (POINTER, byref, c_bool, c_char_p, c_int, c_long, c_size_t,
                    c_uint32, c_uint64, c_void_p)

TIMEOUT_S = 60


class _Region(ctypes.Structure):
    _fields_ = [('addr', c_void_p), ('len', c_size_t), ('iova', c_uint64),
                ('fd_offset', ctypes.c_int64), ('fd', c_int),
                ('flags', c_uint32)]


class _Completion(ctypes.Structure):
    _fields_ = [('user_data', c_void_p), ('error_msg', c_char_p),
                ('ret', c_int), ('reserved', ctypes.c_uint8 * 12)]


class _Timespec(ctypes.Structure):
    _fields_ = [('sec', c_long), ('nsec', c_long)]


def _load():
    name = ctypes.util.find_library('blkio')
    if not name:
        return None
    lib = ctypes.CDLL(name)
    lib.blkio_get_error_msg.restype = c_char_p
    lib.blkio_get_queue.restype = c_void_p
    lib.blkio_get_queue.argtypes = [c_void_p, c_int]
    for function in ('blkio_connect', 'blkio_start'):
        getattr(lib, function).argtypes = [c_void_p]
    lib.blkio_destroy.argtypes = [POINTER(c_void_p)]
    lib.blkio_set_str.argtypes = [c_void_p, c_char_p, c_char_p]
    lib.blkio_set_bool.argtypes = [c_void_p, c_char_p, c_bool]
    lib.blkio_set_int.argtypes = [c_void_p, c_char_p, c_int]
    lib.blkio_get_int.argtypes = [c_void_p, c_char_p, POINTER(c_int)]
    lib.blkio_get_bool.argtypes = [c_void_p, c_char_p, POINTER(c_bool)]
    lib.blkio_get_uint64.argtypes = [c_void_p, c_char_p, POINTER(c_uint64)]
    lib.blkio_alloc_mem_region.argtypes = [c_void_p, POINTER(_Region),
                                           c_size_t]
    lib.blkio_map_mem_region.argtypes = [c_void_p, POINTER(_Region)]
    for function in ('blkioq_read', 'blkioq_write'):
        getattr(lib, function).argtypes = [c_void_p, c_uint64, c_void_p,
                                           c_size_t, c_void_p, c_uint32]
    for function in ('blkioq_write_zeroes', 'blkioq_discard'):
        getattr(lib, function).argtypes = [c_void_p, c_uint64, c_uint64,
                                           c_void_p, c_uint32]
    lib.blkioq_flush.argtypes = [c_void_p, c_void_p, c_uint32]
    lib.blkioq_do_io.argtypes = [c_void_p, POINTER(_Completion), c_int, c_int,
                                 POINTER(_Timespec)]
    return lib


LIB = _load()


class Error(Exception):
    """What libblkio says."""


def _ok(ret):
    if ret < 0:
        raise Error(LIB.blkio_get_error_msg().decode())
    return ret


class Queue:
    """One queue with a buffer; used by one thread at a time.

    A request takes a slot, a part of the buffer, until it is done.
    """

    def __init__(self, handle, base, slots, slot_bytes):
        self.handle, self.base = handle, base
        self.slot_bytes = slot_bytes
        self.free = list(range(slots))
        self.results = {}

    def _slot(self):
        while not self.free:
            self._collect()
        return self.free.pop()

    def _address(self, slot):
        return self.base + slot * self.slot_bytes

    def write(self, start, data):
        """Submit a write; returns its slot."""
        slot = self._slot()
        ctypes.memmove(self._address(slot), data, len(data))
        LIB.blkioq_write(self.handle, start, self._address(slot), len(data),
                         slot + 1, 0)
        return slot

    def read(self, start, length):
        slot = self._slot()
        LIB.blkioq_read(self.handle, start, self._address(slot), length,
                        slot + 1, 0)
        return slot

    def flush(self):
        slot = self._slot()
        LIB.blkioq_flush(self.handle, slot + 1, 0)
        return slot

    def discard(self, start, length):
        slot = self._slot()
        LIB.blkioq_discard(self.handle, start, length, slot + 1, 0)
        return slot

    def zero(self, start, length):
        slot = self._slot()
        LIB.blkioq_write_zeroes(self.handle, start, length, slot + 1, 0)
        return slot

    def submit(self):
        """Have what was submitted sent, without waiting."""
        self._collect(least=0)

    def _collect(self, least=1):
        done = (_Completion * 64)()
        limit = _Timespec(TIMEOUT_S, 0)
        count = _ok(LIB.blkioq_do_io(self.handle, done, least, len(done),
                                     byref(limit)))
        if count < least:
            raise Error(f'no request was done in {TIMEOUT_S} s')
        for completion in done[:count]:
            self.results[completion.user_data - 1] = completion.ret

    def wait(self, slot, length=0):
        """Wait for a slot's request; returns what was read, frees the slot."""
        while slot not in self.results:
            self._collect()
        ret = self.results.pop(slot)
        data = ctypes.string_at(self._address(slot), length)
        self.free.append(slot)
        if ret < 0:
            raise OSError(-ret, 'request failed')
        return data


class Disk:
    """A connection to an export's socket."""

    def __init__(self, path, queues=1, slots=32, slot_bytes=16384,
                 read_only=False):
        self._blkio = c_void_p()
        _ok(LIB.blkio_create(b'virtio-blk-vhost-user', byref(self._blkio)))
        try:
            _ok(LIB.blkio_set_str(self._blkio, b'path', path.encode()))
            _ok(LIB.blkio_set_bool(self._blkio, b'read-only', read_only))
            _ok(LIB.blkio_connect(self._blkio))
            _ok(LIB.blkio_set_int(self._blkio, b'num-queues', queues))
            _ok(LIB.blkio_start(self._blkio))
            region = _Region()
            per_queue = slots * slot_bytes
            _ok(LIB.blkio_alloc_mem_region(self._blkio, byref(region),
                                           queues * per_queue))
            _ok(LIB.blkio_map_mem_region(self._blkio, byref(region)))
        except Error:
            self.close()
            raise
        self.memory_fd = region.fd      # what the buffers are in
        self.queues = [Queue(LIB.blkio_get_queue(self._blkio, i),
                             region.addr + i * per_queue, slots, slot_bytes)
                       for i in range(queues)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._blkio:
            LIB.blkio_destroy(byref(self._blkio))

    def capacity(self):
        value = c_uint64()
        _ok(LIB.blkio_get_uint64(self._blkio, b'capacity', byref(value)))
        return value.value

    def flag(self, name):
        value = c_bool()
        _ok(LIB.blkio_get_bool(self._blkio, name.encode(), byref(value)))
        return value.value

    def number(self, name):
        value = c_int()
        _ok(LIB.blkio_get_int(self._blkio, name.encode(), byref(value)))
        return value.value
