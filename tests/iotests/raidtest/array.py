# SPDX-License-Identifier: GPL-2.0-or-later
"""An array full of random data, closed; a test opens its members as it likes.

A test that wants other numbers, or words of its own, has a class of its own
that is derived from this one.
"""

import random

from .daemon import Daemon
from .jobs import PARITY, verify_losses
from .load import Load
from .members import KIB, MIB, Members, array_node
from .rules import hang, rule


def fill(daemon, members, seed=0):
    """Random data all over a new array, which is closed again."""
    daemon.add(array_node(members.nodes()))
    load = Load(daemon.raid()['size'], seed)
    with daemon.client() as client:
        load.fill(client)
    daemon.remove('r0')
    return load


def spoil(members, seed=0):
    """Random bytes all over the members: they do not fit together."""
    for i, path in enumerate(members.paths):
        size = len(members.content(i))
        data = random.Random((seed << 8) + i).randbytes(size)
        with open(path, 'wb') as file:
            file.write(data)


class ClosedArray:
    """Members full of random data, and empty files for some more."""

    LEVELS = {'raid1': 2, 'raid5': 4, 'raid6': 5, 'raid10': 4}
    CHUNK = 16 * KIB
    DATA_OFFSET = 64 * KIB
    DATA_BYTES = MIB
    SPARES = 0
    OPTIONS = {}                # all of them are created with these

    def __init__(self, level, seed=0, n=None, data_bytes=None,
                 data_offset=None, **options):
        """Other options are those of blockdev-create."""
        self.level = level
        self.n = n or self.LEVELS[level]
        self.parity = PARITY.get(level, 0)
        self.seed = seed
        self.data_bytes = data_bytes or self.DATA_BYTES
        self.data_offset = data_offset or self.DATA_OFFSET
        size = self.data_bytes + self.data_offset
        self.members = Members([size] * self.n)
        self.spares = Members([size] * self.SPARES, name='s')
        self.load = None
        options = {'level': level, 'data-offset': self.data_offset,
                   **self.OPTIONS, **options}
        if level != 'raid1':
            options.setdefault('chunk-size', self.CHUNK)
        self.create(options)

    def create(self, options):
        with Daemon() as daemon:
            daemon.make(self.members, **options)
            self.load = fill(daemon, self.members, self.seed)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.members.remove_saved()
        self.members.remove()
        self.spares.remove()

    # --- members, some of them broken

    def others(self, *lost):
        return [i for i in range(self.n) if i not in lost]

    def without(self, *lost):
        return self.members.nodes(self.others(*lost))

    def nodes(self, **special):
        """All members' nodes; m2=node replaces one."""
        return [special.get(f'm{i}', self.members.node(i))
                for i in range(self.n)]

    def sector(self, offset):
        """Of a member's file, for an offset in its data area."""
        return (self.data_offset + offset) // 512

    def slow(self, i, sector=None):
        """Member i; writes do not come back, or those to the sector."""
        return self.members.ruled(i, hang('write', sector))

    def failing(self, i, sector=None):
        """Member i; writes fail, or those that touch the sector."""
        return self.members.ruled(i, rule('write', sector))

    def unreadable(self, i, offset):
        """Member i; this part of its data area can't be read."""
        return self.members.ruled(i, rule('read', self.sector(offset)))

    # --- the array

    def open(self, daemon, *lost, **options):
        daemon.add(array_node(self.without(*lost), **options))

    def reopen(self, daemon, **options):
        daemon.cmd('blockdev-reopen', options=[{
            'driver': 'opus-raid', 'node-name': 'r0', **options}])

    def add_spare(self, daemon, i=0, **options):
        name = daemon.add(self.spares.node(i, **options))
        daemon.cmd('opus-raid-add-member', node_name='r0', member=name)

    def write(self, client, offset, length=4096, flags=0):
        self.load.write(client, offset, length, flags)

    # --- what is in the files

    def now(self, replaced, spare=0):
        """All members' nodes, one of which is now a spare."""
        return self.nodes(**{f'm{replaced}': self.spares.node(spare)})

    def snapshot(self):
        return [self.members.content(i) for i in range(self.n)]

    def put(self, images):
        for path, image in zip(self.members.paths, images):
            with open(path, 'wb') as file:
                file.write(image)

    def verify_all(self, daemon, nodes=None, most=None):
        """Right with all members, and without any set that may be lost.

        Or without up to @most of them.
        """
        verify_losses(daemon, self.members.nodes() if nodes is None else nodes,
                      bytes(self.load.model),
                      max(self.parity, 1) if most is None else most)
