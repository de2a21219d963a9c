# SPDX-License-Identifier: GPL-2.0-or-later
"""Exports of a daemon's nodes by vhost-user-blk, and load on them."""

import os
import random
import threading
import time

import iotests
from raidtest.daemon import TIMEOUT_S
from raidtest.scenario import same

from . import blkio

SECTOR = 512


def skip_without_client():
    if not blkio.LIB:
        iotests.notrun('libblkio is missing')


def socket_path(name):
    return os.path.join(iotests.sock_dir, f'{name}.sock')


def add_iothreads(daemon, count):
    for i in range(count):
        daemon.cmd('object-add', qom_type='iothread', id=f'io{i}')


def mapping(iothreads):
    return [{'iothread': f'io{i}'} for i in range(iothreads)]


def add_export(daemon, node, name='v0', **options):
    """Export a node; returns the path of the socket."""
    path = socket_path(name)
    daemon.cmd('block-export-add', type='vhost-user-blk', id=name,
               node_name=node, **{'writable': True, **options},
               addr={'type': 'unix', 'path': path})
    return path


def remove_export(daemon, name='v0', mode='safe'):
    """Remove an export whose client has gone, or may be cut off."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            daemon.cmd('block-export-del', id=name, mode=mode)
            break
        except AssertionError:
            # The daemon has not yet seen that the client is gone.
            if mode == 'hard' or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    while daemon.wait_event('BLOCK_EXPORT_DELETED')['data']['id'] != name:
        pass


class Load:
    """Random requests of each queue to its own part, checked as they go."""

    def __init__(self, disk, size, seed=0):
        self.disk, self.model = disk, bytearray(size)
        self.part = size // len(disk.queues) // SECTOR * SECTOR
        self.seed = seed
        self.stopped = threading.Event()
        self.counts = [0] * len(disk.queues)
        self.errors = []

    def _request(self, queue, rng, base):
        length = rng.randint(1, 24) * SECTOR
        start = base + rng.randrange((self.part - length) // SECTOR) * SECTOR
        kind = rng.random()
        if kind < 0.45:
            data = rng.randbytes(length)
            self.model[start:start + length] = data
            queue.wait(queue.write(start, data))
        elif kind < 0.5:
            self.model[start:start + length] = bytes(length)
            queue.wait(queue.zero(start, length))
        elif kind < 0.55:
            queue.wait(queue.flush())
        else:
            same(f'{length} bytes at {start}',
                 queue.wait(queue.read(start, length), length),
                 bytes(self.model[start:start + length]))

    def _burst(self, queue, rng, base):
        """As many as there are slots at once, to slots of their own."""
        step = queue.slot_bytes
        places = rng.sample(range(self.part // step), len(queue.free))
        slots = []
        for place in places:
            start = base + place * step
            data = rng.randbytes(step)
            self.model[start:start + step] = data
            slots.append(queue.write(start, data))
        for slot in slots:
            queue.wait(slot)

    def _run(self, index, rounds):
        rng = random.Random(f'{self.seed} {index}')
        queue = self.disk.queues[index]
        try:
            while not self.stopped.is_set():
                if rounds is not None and self.counts[index] >= rounds:
                    break
                if rng.random() < 0.1:
                    self._burst(queue, rng, index * self.part)
                else:
                    self._request(queue, rng, index * self.part)
                self.counts[index] += 1
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.errors.append(f'queue {index}: {error!r}')

    def start(self, rounds=None):
        self.threads = [threading.Thread(target=self._run, args=(i, rounds))
                        for i in range(len(self.disk.queues))]
        for thread in self.threads:
            thread.start()

    def stop(self):
        """Have all threads end; raise what went wrong in one."""
        self.stopped.set()
        self.join()

    def join(self):
        for thread in self.threads:
            thread.join()
        if self.errors:
            raise AssertionError('; '.join(self.errors))

    def wait_progress(self, more=20):
        """Until each queue has done so many more rounds."""
        goals = [count + more for count in self.counts]
        deadline = time.monotonic() + TIMEOUT_S
        while any(count < goal for count, goal in zip(self.counts, goals)):
            if self.errors or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f'no progress: {self.counts} of {goals}')
            time.sleep(0.005)

    def verify(self, queue=None):
        """Read everything back."""
        queue = queue or self.disk.queues[0]
        step = queue.slot_bytes
        for start in range(0, len(self.model), step):
            length = min(step, len(self.model) - start)
            same(f'verify at {start}', queue.wait(queue.read(start, length),
                                                  length),
                 bytes(self.model[start:start + length]))
