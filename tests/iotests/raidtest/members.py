# SPDX-License-Identifier: GPL-2.0-or-later
"""Member files, and the nodes over them."""

import json
import os
import shutil

import iotests

from .superblock import Superblock, patch

MIB = 1 << 20


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
