# SPDX-License-Identifier: GPL-2.0-or-later
"""The files that are, were or may become members of one array.

Owns: the files, which of them belong to the array, what is known of each.
Must not know: daemons, requests.
"""

import os
import struct

from raidtest.superblock import BAD_BLOCKS, Superblock, patch

SUPER_SECTOR = 8
SPARES = 2


class Member:
    """One file. Its node has the file's name."""

    def __init__(self, path, size):
        self.path = path
        self.name = os.path.basename(path).removesuffix('.img')
        self.size = size
        self.node = None        # its node options while there is a node
        self.blank()

    def blank(self):
        """Nothing is on it any more."""
        with open(self.path, 'wb') as file:
            file.truncate(self.size)
        self.failed = False     # survivors say that it failed
        self.old = False        # it failed, or missed something, when last seen
        self.in_sync = False    # was so for sure, and nothing happened since
        self.armed = None       # what is going to make it fail

    def belongs_to(self, uuid):
        """Does it have a superblock of the array?"""
        superblock = Superblock(self.path)
        return superblock.is_valid() and superblock.set_uuid == uuid

    def set_flags(self, flags):
        """WriteMostly1 and FailFast1 of md."""
        patch(self.path, devflags=flags)

    def plant_bad(self, sector, sectors):
        """Record a range of its data area as bad, as md would. False: no log.

        What is there is not believed any more, so make it wrong.
        """
        sb = Superblock(self.path)
        if not sb.bblog_size:
            return False
        log = bytearray(b'\xff' * sb.bblog_size * 512)
        struct.pack_into('<Q', log, 0, (sb.data_offset + sector) << 10 |
                         sectors)
        with open(self.path, 'r+b') as file:
            file.seek((sb.super_offset + sb.bblog_offset) * 512)
            file.write(log)
            file.seek((sb.data_offset + sector) * 512)
            file.write(b'#' * (sectors * 512))
        patch(self.path, feature_map=sb.feature_map | BAD_BLOCKS)
        return True

    def super_line(self):
        """Its superblock in one line."""
        sb = Superblock(self.path)
        if not sb.is_valid():
            return f'{self.name}: no superblock'
        return (f'{self.name}: device {sb.dev_number}, role {sb.role}, events '
                f'{sb.events}, resync {sb.resync_offset:x}, features '
                f'{sb.feature_map:x}, recovery {sb.recovery_offset}, roles '
                + ' '.join(f'{role:x}' for role in
                           sb.roles[:sb.raid_disks + 4]))

    def file_node(self, aio):
        return {'driver': 'file', 'filename': self.path, 'aio': aio,
                'discard': 'unmap'}

    def make_node(self, aio, rules=()):
        """Node options; with rules, a blkdebug node."""
        node = self.file_node(aio)
        if rules:
            node = {'driver': 'blkdebug', 'image': node, 'discard': 'unmap',
                    'inject-error': list(rules)}
        self.node = {'node-name': self.name, **node}
        return self.node


class Members:
    """All files of one array.

    They may become larger; one that is made blank has the new size, too.
    """

    def __init__(self, directory, shape):
        self.all = [Member(os.path.join(directory, f'm{i}.img'),
                           shape.member_bytes)
                    for i in range(shape.slots + SPARES)]
        self.uuid = None
        self.growths = 0

    def grow(self, size, resize_node):
        """All of them; those that have a node at the moment by its name."""
        self.growths += 1
        for member in self.all:
            member.size = size
            if member.node:
                resize_node(member.name, size)
            else:
                os.truncate(member.path, size)

    def by_name(self, name):
        return next(m for m in self.all if m.name == name)

    def belonging(self):
        return [m for m in self.all if m.belongs_to(self.uuid)]

    def unused(self):
        """Blank, and without a node."""
        return [m for m in self.all
                if not m.node and not m.belongs_to(self.uuid)]

    def armed(self):
        return [m for m in self.all if m.armed]

    def forget_nodes(self):
        """The daemon is gone."""
        for member in self.all:
            member.node = None
            member.armed = None

    def remove(self):
        for member in self.all:
            os.remove(member.path)


def random_rule(rng, shape):
    """Something that goes wrong once: (in words, blkdebug's rule)."""
    first = shape.data_offset // 512
    sector = rng.randrange(first, shape.member_bytes // 512)
    # Near the start the load comes by more often.
    if rng.random() < 0.5:
        sector = first + (sector - first) // 8
    what, rule = rng.choice((
        ('write', {'iotype': 'write', 'sector': sector}),
        ('read', {'iotype': 'read', 'sector': sector}),
        ('read', {'iotype': 'read', 'sector': sector}),
        ('flush', {'iotype': 'flush'}),
        ('superblock write', {'iotype': 'write', 'sector': SUPER_SECTOR}),
    ))
    return (f'{what} fails once at {rule.get("sector", "any time")}',
            {'event': 'none', 'errno': 5, 'once': True, **rule})


def delay_rule(rng):
    """All writes take longer than on other members."""
    return {'event': 'none', 'errno': 0, 'iotype': 'write',
            'delay-ns': rng.choice((200_000, 2_000_000, 10_000_000))}
