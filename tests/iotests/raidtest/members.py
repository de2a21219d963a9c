# SPDX-License-Identifier: GPL-2.0-or-later
"""Member files, and the nodes over them."""

import json
import os
import shutil
import struct

import iotests

from .superblock import BAD_BLOCKS, Superblock, patch

KIB, MIB = 1 << 10, 1 << 20


class Members:
    """Files for the members of one array; removed with remove()."""

    def __init__(self, sizes, name='m'):
        self.paths = [os.path.join(iotests.test_dir, f'{name}{i}.img')
                      for i in range(len(sizes))]
        for path, size in zip(self.paths, sizes):
            self.blank(path, size)

    @staticmethod
    def blank(path, size):
        with open(path, 'wb') as file:
            file.truncate(size)

    def __len__(self):
        return len(self.paths)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for path in self.paths:
            iotests.try_remove(path)

    def node(self, i, **options):
        """The file node of a member, named after it."""
        name = os.path.basename(self.paths[i]).removesuffix('.img')
        return {'driver': 'file', 'filename': self.paths[i],
                'node-name': name, **options}

    def nodes(self, which=None, **options):
        return [self.node(i, **options)
                for i in (range(len(self)) if which is None else which)]

    def debug(self, i, **options):
        """A blkdebug node over a member that has the member's name."""
        node = self.node(i)
        name = node.pop('node-name')
        return {'driver': 'blkdebug', 'node-name': name, 'image': node,
                **options}

    def ruled(self, i, *rules):
        """The same with these rules from the start, see rules.py."""
        return self.debug(i, **{'inject-error': list(rules)})

    def super(self, i):
        return Superblock(self.paths[i])

    def supers(self, which=None):
        return [self.super(i)
                for i in (range(len(self)) if which is None else which)]

    def patch(self, i, **fields):
        patch(self.paths[i], **fields)

    def patch_all(self, **fields):
        for path in self.paths:
            patch(path, **fields)

    def put_bad_blocks(self, i, ranges):
        """Write a bad-block log, as md would have left it.

        Ranges are of bytes of the data area: (offset, length).
        """
        super_ = self.super(i)
        words = [(start // 512 + super_.data_offset) << 10 | length // 512
                 for start, length in ranges]
        words += [(1 << 64) - 1] * (super_.bblog_size * 64 - len(words))
        with open(self.paths[i], 'r+b') as file:
            file.seek((super_.super_offset + super_.bblog_offset) * 512)
            file.write(struct.pack(f'<{len(words)}Q', *words))
        self.patch(i, feature_map=super_.feature_map | BAD_BLOCKS)

    def save(self):
        """Keep a copy of all members, for restore()."""
        for path in self.paths:
            shutil.copyfile(path, path + '.saved')

    def restore(self, which=None):
        for i in range(len(self)) if which is None else which:
            shutil.copyfile(self.paths[i] + '.saved', self.paths[i])

    def remove_saved(self):
        for path in self.paths:
            iotests.try_remove(path + '.saved')

    @staticmethod
    def content_of(path):
        with open(path, 'rb') as file:
            return file.read()

    def content(self, i):
        return self.content_of(self.paths[i])

    def data(self, i, offset, length):
        """Bytes of a member's data area."""
        with open(self.paths[i], 'rb') as file:
            file.seek(self.super(i).data_offset * 512 + offset)
            return file.read(length)

    def put_data(self, i, offset, data):
        with open(self.paths[i], 'r+b') as file:
            file.seek(self.super(i).data_offset * 512 + offset)
            file.write(data)

    def allocated(self):
        """Bytes that the files take on the host."""
        return sum(os.stat(path).st_blocks * 512 for path in self.paths)


def array_node(members, node='r0', **options):
    """An array over member nodes or their names; other options as given."""
    return {'driver': 'opus-raid', 'node-name': node, 'members': members,
            **options}


def json_name(node):
    """What qemu-io and qemu-img take in place of a file name."""
    return 'json:' + json.dumps(node)
