# SPDX-License-Identifier: GPL-2.0-or-later
"""Members that are block devices: loop devices over members' files."""

import errno
import os
import re
import stat
import subprocess

import iotests

SBIN = {**os.environ, 'PATH': os.environ['PATH'] + ':/usr/sbin:/sbin'}


def call(*args):
    """Run a program of the system; returns what it printed."""
    return subprocess.run(args, env=SBIN, check=True, text=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT).stdout.strip()


def need_loops():
    """Leave the test out where there are no loop devices for us."""
    path = os.path.join(iotests.test_dir, 'probe.img')
    with open(path, 'wb') as file:
        file.truncate(1 << 20)
    try:
        device = call('losetup', '--find', '--show', path)
        call('losetup', '--detach', device)
    except (OSError, subprocess.CalledProcessError):
        iotests.notrun('no loop devices')
    finally:
        os.remove(path)


def is_free(device):
    """Could md, mount or LVM have it?"""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError as err:
        if err.errno != errno.EBUSY:
            raise
        return False
    return True


class Loops:
    """Loop devices over files; they go with the context."""

    def __init__(self, paths, *options):
        self.devices = []
        self._twins = []
        try:
            for path in paths:
                self.devices.append(call('losetup', '--find', '--show',
                                         *options, path))
        except BaseException:
            self.remove()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for path in self._twins:
            os.remove(path)
        for device in self.devices:
            call('losetup', '--detach', device)
        self.devices, self._twins = [], []

    def node(self, i, **options):
        """Named after its place, as the nodes of files are."""
        return {'driver': 'host_device', 'filename': self.devices[i],
                'node-name': f'm{i}', **options}

    def nodes(self):
        return [self.node(i) for i in range(len(self.devices))]

    def twin(self, i):
        """Another device node of the same device, as containers have."""
        path = f'{self.devices[i]}-twin-{os.getpid()}'
        os.mknod(path, 0o600 | stat.S_IFBLK, os.stat(self.devices[i]).st_rdev)
        self._twins.append(path)
        return path

    def free(self):
        """Which of them anybody could claim, '-' for those that are not."""
        return ''.join('.' if is_free(device) else 'X'
                       for device in self.devices)

    def filtered(self, text):
        """With the numbers that they have here."""
        for i, device in enumerate(self.devices):
            text = re.sub(rf'{device}(?!\d)', f'/dev/LOOP{i}', text)
        return text
