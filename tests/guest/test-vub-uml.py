#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Linux guests on vhost-user-blk exports: what they see of the disk, a file
system under load, when writes are flushed, and two guests on one volume.
"""
import contextlib
import json
import os
import re
import signal
import struct
import sys
import tempfile

import opus
import tap
import uml
import vub
from md_array import KIB, MIB, MdArray, Shape
from pattern import sha256

SCRATCH_BYTES = 1024 * MIB
DISK_BYTES = 32 * MIB
# XFS takes no notice of stripes in less than 1 GiB; these are sparse.
MEMBER_BYTES = 352 * MIB
FIO = ('fio --name=verify --directory=/run/mnt --size=192m --bsrange=4k-128k '
       '--rw=randrw --ioengine=libaio --iodepth=32 --direct=1 '
       '--verify=crc32c --verify_fatal=1 --verify_backlog=128 --end_fsync=1')
# Python's is much faster than sha256sum.
HASH = """/usr/bin/python3 -c 'import hashlib
with open("/dev/vda", "rb") as f:
    print(hashlib.file_digest(f, "sha256").hexdigest())'"""
PACKED_BIT = 34
LOG_FLUSH = 1
LOG_DISCARD = 4


def guest_on(*sockets, **options):
    return uml.Guest(vub_disks=sockets, modules=('virtio_blk',), **options)


def daemon_of(nodes, *exports):
    args = []
    for node in nodes:
        args += ['--blockdev', json.dumps(node)]
    for words in exports:
        args += words
    return opus.StorageDaemon(args)


def file_node(path, size=DISK_BYTES):
    with open(path, 'wb') as f:
        f.truncate(size)
    return {'driver': 'file', 'node-name': 'disk', 'filename': path}


def queue_limits(guest):
    """{name: value} of the disk's directory queue, numbers as such."""
    found = {}
    for line in guest.sh('cd /sys/block/vda/queue; grep . *_size '
                         'discard_* write_* 2> /dev/null').splitlines():
        name, _, value = line.partition(':')
        found[name] = int(value) if value.isdigit() else value
    return found


def disk_bytes(directory):
    return sum(entry.stat().st_blocks * 512 for entry in os.scandir(directory))


def write_random(guest, offset_mib):
    """Random data at that place of the disk; returns its checksum."""
    return guest.sh(
        'dd if=/dev/urandom of=/run/data bs=1M count=2 2> /dev/null && '
        f'dd if=/run/data of=/dev/vda bs=64k seek={offset_mib * 16} '
        'oflag=direct 2> /dev/null && sha256sum < /run/data')


def read_back(guest, offset_mib):
    return guest.sh(f'dd if=/dev/vda bs=64k skip={offset_mib * 16} count=32 '
                    'iflag=direct 2> /dev/null | sha256sum')


# --- a file system on an array -------------------------------------------

def geometry_shows(guest, shape):
    """The stripe is what file systems are to align to."""
    stripe = (shape.members - shape.redundancy()) * shape.chunk_kib * KIB
    limits = queue_limits(guest)
    assert limits['optimal_io_size'] == stripe, limits
    assert limits['minimum_io_size'] == stripe, limits
    assert limits['logical_block_size'] == 512, limits
    assert limits['physical_block_size'] == 512, limits
    assert limits['discard_max_bytes'] > 0, limits
    assert limits['write_cache'] == 'write back', limits
    said = guest.sh('mkfs.xfs -f /dev/vda && mkdir /run/mnt && '
                    'mount /dev/vda /run/mnt && xfs_info /run/mnt')
    unit, width, block = (
        int(re.search(pattern, said)[1]) for pattern in
        (r'sunit=(\d+)', r'swidth=(\d+)', r'data +=\s+bsize=(\d+)'))
    assert unit * block == width * block == stripe, said


def discards(guest, directory):
    """What a deleted file had is given back by all members."""
    empty = disk_bytes(directory)
    guest.sh('dd if=/dev/urandom of=/run/mnt/big bs=1M count=48 conv=fsync')
    full = disk_bytes(directory)
    assert full - empty > 60 * MIB, (empty, full)
    guest.sh('rm /run/mnt/big && sync -f /run/mnt && fstrim /run/mnt')
    trimmed = disk_bytes(directory)
    assert full - trimmed > 50 * MIB, (empty, full, trimmed)


def file_system(top):
    """What the guest reads is what fio wrote, and what the host reads; and md
    finds no parity that is wrong."""
    shape = Shape('raid5', 4, 'left-symmetric')
    array = MdArray(shape, top, 'array')
    opus.create(array)
    socket = f'{top}/socket'
    node = {**opus.node(array, discard='unmap'), 'node-name': 'disk'}
    with daemon_of([node], vub.export('disk', socket, serial='opus-raid 5')):
        with guest_on(socket) as guest:
            bits = guest.sh('cat /sys/block/vda/device/features')
            assert bits[PACKED_BIT] == '1', 'no packed ring'
            assert guest.sh('cat /sys/block/vda/serial') == 'opus-raid 5'
            geometry_shows(guest, shape)
            said = guest.sh(f'cd /run && {FIO}')
            tap.comment(said[said.index('Run status'):])
            discards(guest, array.dir)
            guest.sh('umount /run/mnt && xfs_repair -n /dev/vda')
            seen = guest.sh(HASH).strip()
            noticed = re.findall('.*I/O error.*', guest.console())
            assert not noticed, noticed
    assert not opus.info(array)['dirty'], opus.info(array)
    assert opus.checksum(array) == seen
    with uml.Guest(rw_dirs=[top]) as guest:
        facts = array.in_guest(guest, 'assemble\ncheck\nstop')
    assert facts['mismatch_cnt'] == 0, facts


# --- what a guest may do -------------------------------------------------

def read_only(top):
    node = file_node(f'{top}/disk')
    with open(f'{top}/disk', 'r+b') as f:
        f.write(b'look' * KIB)
    socket = f'{top}/socket'
    with daemon_of([node], vub.export('disk', socket, writable=False)):
        with guest_on(socket) as guest:
            assert guest.sh('cat /sys/block/vda/ro') == '1\n'
            assert guest.sh('head -c 4 /dev/vda') == 'look'
            status, said = guest.sh('echo x > /dev/vda', check=False)
            assert status, said
            # Linux checks before it asks; a device that lies must not win.
            guest.sh('blockdev --setrw /dev/vda')
            status, said = guest.sh('dd if=/dev/zero of=/dev/vda bs=4k '
                                    'count=1 oflag=direct', check=False)
            assert status, said
    with open(f'{top}/disk', 'rb') as f:
        assert f.read(4 * KIB) == b'look' * KIB


def resize(top):
    """A guest that has the disk in use sees it grow, and uses the rest."""
    socket = f'{top}/socket'
    with daemon_of([file_node(f'{top}/disk')],
                   vub.export('disk', socket)) as daemon:
        with guest_on(socket) as guest:
            guest.sh('exec 3< /dev/vda; sleep 1000 &')
            assert guest.sh('cat /sys/block/vda/size').strip() == \
                str(DISK_BYTES // 512)
            daemon.cmd('block_resize', **{'node-name': 'disk',
                                          'size': 2 * DISK_BYTES})
            # The guest hears of it in its own time.
            guest.sh(f'until [ $(cat /sys/block/vda/size) = '
                     f'{2 * DISK_BYTES // 512} ]; do sleep 0.1; done',
                     timeout=300)
            end_mib = 2 * DISK_BYTES // MIB - 2
            digest = write_random(guest, end_mib)
            assert read_back(guest, end_mib) == digest


# --- when writes are flushed ---------------------------------------------

class LoggedDisk:
    """A disk that keeps a log of what it was asked to do."""

    def __init__(self, top):
        self.log_path = f'{top}/log'
        file_node(self.log_path, 0)
        disk = file_node(f'{top}/disk')
        del disk['node-name']
        log = {'driver': 'blklogwrites', 'file': disk,
               'log': {'driver': 'file', 'filename': self.log_path},
               'log-sector-size': 512, 'log-super-update-interval': 1}
        # To flush with a write is left to the upper one of them: a node does
        # not count the write it is in, and where there was no other one it
        # would only flush what is below it.
        self.node = {'driver': 'raw', 'node-name': 'disk', 'file': log}
        self.seen = 0

    def news(self):
        """W and F for each write and each flush since the last call."""
        with open(self.log_path, 'rb') as f:
            log = f.read()
        # There is nothing in it until the first request.
        entries = struct.unpack_from('<2QQ', log)[2] if log else 0
        kinds, position = '', 512
        for _ in range(entries):
            _sector, count, flags, _ = struct.unpack_from('<4Q', log, position)
            kinds += 'F' if flags & LOG_FLUSH else 'W'
            position += 512 * (1 if flags & LOG_DISCARD else 1 + count)
        news, self.seen = kinds[self.seen:], entries
        return news


@contextlib.contextmanager
def guest_on_logged_disk(top, **options):
    disk = LoggedDisk(top)
    socket = f'{top}/socket'
    with daemon_of([disk.node], vub.export('disk', socket, **options)):
        with guest_on(socket) as guest:
            expect(disk, '')
            yield guest, disk


def expect(disk, wanted):
    news = disk.news()
    assert news == wanted, f'{news}, not {wanted}'


WRITE = 'dd if=/dev/urandom of=/dev/vda bs=4k count=8 oflag=direct'
FSYNC = 'sync /dev/vda'


def writeback(top):
    """The guest is told of the cache: so it flushes, and no write does."""
    with guest_on_logged_disk(top) as (guest, disk):
        assert queue_limits(guest)['write_cache'] == 'write back'
        guest.sh(WRITE)
        expect(disk, 'W' * 8)
        guest.sh(FSYNC)
        expect(disk, 'F')


def writethrough(top):
    """There is no cache for the guest, so each write is flushed."""
    with guest_on_logged_disk(top, writethrough=True) as (guest, disk):
        assert queue_limits(guest)['write_cache'] == 'write through'
        guest.sh(WRITE)
        expect(disk, 'WF' * 8)
        guest.sh(FSYNC)
        expect(disk, '')


def cache_turned_off(top):
    """The guest takes itself the cache away, with writes in it."""
    with guest_on_logged_disk(top, config_wce=True) as (guest, disk):
        guest.sh(WRITE)
        expect(disk, 'W' * 8)
        guest.sh('echo write through > /sys/block/vda/cache_type')
        expect(disk, 'F')
        assert queue_limits(guest)['write_cache'] == 'write through'
        guest.sh(WRITE)
        expect(disk, 'WF' * 8)
        guest.sh('echo write back > /sys/block/vda/cache_type')
        guest.sh(WRITE)
        expect(disk, 'W' * 8)
        guest.sh(FSYNC)
        expect(disk, 'F')


# --- two guests on one volume --------------------------------------------

def shared_volume(top):
    """Each sees what the other one writes; and lives on when that dies."""
    threads, mapping = vub.on_iothreads(2)
    sockets = [f'{top}/first', f'{top}/second']
    exports = [vub.export('disk', socket, iothread_vq_mapping=[entry])
               for socket, entry in zip(sockets, mapping)]
    with daemon_of([file_node(f'{top}/disk')], threads, *exports):
        with guest_on(sockets[0]) as first:
            with guest_on(sockets[1]) as second:
                for turn in range(4):
                    writer, reader = (first, second)[::1 - turn % 2 * 2]
                    read_back(reader, turn // 2)
                    digest = write_random(writer, turn // 2)
                    assert read_back(reader, turn // 2) == digest
                second.kill()
            digest = write_random(first, 8)
            assert read_back(first, 8) == digest
        with guest_on(sockets[1]) as second:
            assert read_back(second, 8) == digest


SCENARIOS = {
    'xfs on raid5': file_system,
    'read-only': read_only,
    'resize': resize,
    'flushes of a writeback disk': writeback,
    'flushes of a writethrough disk': writethrough,
    'flushes of a disk whose cache is turned off': cache_turned_off,
    'two guests on one volume': shared_volume,
}


def main():
    results = tap.Tap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))
    MdArray.member_bytes = MEMBER_BYTES
    try:
        uml.find_kernel()
        scratch = uml.scratch_dir(SCRATCH_BYTES)
        with uml.Guest(modules=()):
            pass
    except uml.Unavailable as reason:
        return tap.skip_all(reason)
    for name, body in SCENARIOS.items():
        if all(word in name for word in sys.argv[1:]):
            with results.scenario(name), \
                 tempfile.TemporaryDirectory(dir=scratch) as top:
                body(top)
    return results.finish()


if __name__ == '__main__':
    sys.exit(main())
