#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""NVMe drives through the kernel of a guest, by the driver nvme-uring: the
driver alone with two formats of blocks, and an array of such drives that loses
one under load and gets another.
"""
import contextlib
import json
import os
import re
import sys
import tempfile

import guest_daemon
import libraries
import opus
import tap
import tcg
import uml

LOAD = os.environ.get('OPUS_RAID_EXPORT_LOAD', 'export-load')
PROGRAMS = [opus.program(name) for name in ('qemu-storage-daemon', 'qemu-io',
                                            'qemu-img')]
MIB = 1 << 20
DRIVE_BYTES = 32 * MIB
SCRATCH_BYTES = 512 * MIB
GUEST_MIB = 512
DRIVES = 4
SPARE = 3
THREADS = 4
IOTHREADS = 2
# The load's part of the array, and where a pattern of our own is behind it.
LOAD_BYTES = 8 * MIB
PATTERN_AT = 24 * MIB
PATTERN_BYTES = 4 * MIB
# Of a rebuild that does not give way.
REBUILD_SPEED = 1 << 30

# Namespaces of drive 0, by number, besides the first.
BLOCKS_4096 = 2
WITH_METADATA = 3

# For what a user without capabilities can do.
PASSWD = b'root:x:0:0::/:/bin/sh\nnobody:x:1000:1000::/:/bin/sh\n'
AS_NOBODY = 'start-stop-daemon -S -c nobody -x /bin/env --'

FIND = '''
for dir in /sys/class/block/nvme*; do
    echo "$(cat $dir/device/serial)" "$(cat $dir/nsid)" "${dir##*/nvme}"
done
'''
START_LOAD = '''
(
    status=0
    export-load /run/export 0 %d 0 %d || status=$?
    echo "status $status"
) > load 2>&1 &
'''
END_LOAD = '''
kill -TERM $(pidof export-load)
while ! grep -q ^status load; do sleep 0.1; done
cat load
'''


def devices(top):
    """The emulator's arguments: drives with one namespace, or three."""
    args = []

    def file(name):
        path = f'{top}/{name}'
        with open(path, 'wb') as f:
            f.truncate(DRIVE_BYTES)
        return ['-drive', f'if=none,id={name},file={path},format=raw,'
                'discard=unmap,detect-zeroes=off,cache=unsafe']

    for i in range(DRIVES):
        args += [*file(f'd{i}'), '-device', f'nvme,id=nvme{i},serial=S{i}',
                 '-device', f'nvme-ns,drive=d{i},bus=nvme{i},nsid=1,'
                 'logical_block_size=512,physical_block_size=512']
    for nsid, options in ((BLOCKS_4096, 'logical_block_size=4096,'
                           'physical_block_size=4096'),
                          (WITH_METADATA, 'ms=8')):
        args += [*file(f'n{nsid}'), '-device', f'nvme-ns,drive=n{nsid},'
                 f'bus=nvme0,nsid={nsid},{options}']
    return args


class Rig:
    """The guest, and where its drives are."""

    def __init__(self, guest, top):
        self.guest = guest
        self.top = top
        self.kernel = tuple(map(int, re.findall(
            r'\d+', guest.sh('uname -r'))[:2]))
        # The kernel numbers both drives and namespaces as it finds them.
        self.names = {
            (int(drive), int(nsid)): name for drive, nsid, name in
            re.findall(r'S(\d)\s+(\d+) (\d+n\d+)', guest.sh(FIND))}
        assert len(self.names) == DRIVES + 2, self.names

    def char(self, drive, nsid=1):
        return f'/dev/ng{self.names[drive, nsid]}'

    def block(self, drive, nsid=1):
        return f'/dev/nvme{self.names[drive, nsid]}'

    def member(self, drive, name=None):
        """A node on a drive by itself, of the driver that is tested."""
        return {'driver': 'nvme-uring', 'filename': self.char(drive),
                'node-name': name or f'm{drive}'}

    def io(self, node, *commands, options='-t writeback', check=True):
        """qemu-io's output, and trace; @node by -blockdev's words."""
        words = ' '.join(f'-c "{command}"' for command in commands)
        script = (f"qemu-io {options} --trace 'nvme_uring_*' --image-opts "
                  f'{words} {node} 2>&1')
        status, said = self.guest.sh(script, check=False)
        said = said.replace('\r', '')
        if check:
            assert status == 0 and 'failed' not in said, said[:4000]
        return said

    def direct(self, drive, nsid, *commands, **more):
        return self.io(f'driver=nvme-uring,filename={self.char(drive, nsid)}',
                       *commands, **more)

    def allocated(self, name):
        return os.stat(f'{self.top}/{name}').st_blocks * 512


def commands_in(said, opcode):
    """[(blocks, flags)] of the commands that were traced."""
    return [((int(word, 16) & 0xffff) + 1, int(word, 16) >> 16)
            for word in re.findall(
                rf'nvme_uring_done.* opcode 0x{opcode:x} .*cdw12 (0x\w+)',
                said)]


def blocks_of(block_bytes, rig, nsid, image):
    """One format: patterns, limits, FUA, zeroes with holes, discard."""
    said = rig.direct(0, nsid, 'write -P 1 0 4M', f'write -P 2 8M {block_bytes}',
                      'flush', 'read -P 1 0 4M', f'read -P 2 8M {block_bytes}')
    opened = re.search(r'nvme_uring_open .*block (\d+) blocks (\d+) '
                       r'max_transfer (\d+) .*deallocates (\d) volatile '
                       r'cache (\d)', said)
    block, blocks, limit, deallocates, cache = map(int, opened.groups())
    assert (block, blocks * block) == (block_bytes, DRIVE_BYTES), opened[0]
    assert 0 < limit <= 512 << 10 and cache, opened[0]
    written = commands_in(said, 1)
    assert max(blocks for blocks, _ in written) * block == limit, written
    # Each write by itself: none was made larger than it is.
    assert (1, 0) in written and not commands_in(said, 9), written
    assert commands_in(said, 0), 'no flush'

    said = rig.direct(0, nsid, f'write -f -P 3 12M {block_bytes}')
    assert commands_in(said, 1) == [(1, 0x4000)], said
    # More pieces of a buffer than a command may have.
    many = "$(yes 512 | head -n 600 | tr '\\n' ' ')"
    said = rig.direct(0, nsid, f'writev -P 4 16M {many}', 'read -P 4 16M 300k')
    assert 'nvme_uring_bounce' in said, said

    before = rig.allocated(image)
    said = rig.direct(0, nsid, 'write -z 0 4M', 'read -P 0 0 4M')
    assert all(flags == 0 for _, flags in commands_in(said, 8)), said
    said = rig.direct(0, nsid, 'write -z -u 0 4M', 'read -P 0 0 4M')
    zeroes = commands_in(said, 8)
    assert sum(blocks for blocks, _ in zeroes) * block == 4 * MIB, zeroes
    # Where the drive promises zeroes; emulators before 8.0 do not.
    flags = 0x200 if deallocates else 0
    assert {found for _, found in zeroes} == {flags}, zeroes
    assert not deallocates or rig.allocated(image) <= before - 4 * MIB

    said = rig.direct(0, nsid, 'write -P 5 20M 4M')
    before = rig.allocated(image)
    said = rig.direct(0, nsid, 'discard 20M 4M')
    assert commands_in(said, 9), said
    assert rig.allocated(image) <= before - 4 * MIB, 'nothing was discarded'


def refusals(rig):
    """What can't be opened says why, and what to do."""
    def refused(filename, *words, prefix=''):
        status, said = rig.guest.sh(
            f'{prefix} qemu-io --image-opts -c quit driver=nvme-uring,'
            f'filename={filename} 2>&1', check=False)
        assert status, f'{filename} was opened'
        for word in words:
            assert word in said, f'{filename}: no "{word}" in: {said}'

    refused(rig.block(0), 'is a block device', f'Give it {rig.char(0)}.')
    refused(rig.block(0).rpartition('n')[0], 'whole controller')
    refused('/dev/null', 'not the character device of an NVMe namespace')
    refused('/modules/list', 'not the character device')
    refused('/dev/ng9n9', 'No such file', 'vfio-pci')
    refused(rig.char(0, WITH_METADATA), 'is formatted with metadata')
    refused(rig.char(1), 'Permission denied', 'udev', prefix=AS_NOBODY)
    rig.guest.sh(f'chmod 666 {rig.char(1)}')
    if rig.kernel < (6, 2):
        refused(rig.char(1), 'Cannot ask', 'CAP_SYS_ADMIN', prefix=AS_NOBODY)
        return
    said = rig.guest.sh(f'{AS_NOBODY} qemu-io --image-opts -c "read 0 1M" '
                        f'driver=nvme-uring,filename={rig.char(1)} 2>&1')
    assert "can't be kept from other programs" in said, said


def claims(rig):
    """While a node may write, its drive is kept from others."""
    node = f'driver=nvme-uring,filename={rig.char(1)}'
    rig.guest.sh(f"(sleep 1000 | qemu-io --image-opts {node}) > held 2>&1 &\n"
                 'while ! pidof qemu-io; do sleep 0.1; done; sleep 1')
    said = rig.direct(1, 1, 'quit', check=False)
    assert 'IN_USE: node' in said and 'qemu-io' in said, said
    # Nothing is written, so that may be.
    assert 'IN_USE' not in rig.direct(1, 1, 'read 0 4k', options='-r')
    rig.guest.sh('kill $(pidof qemu-io) $(pidof sleep); '
                 'while pidof qemu-io; do sleep 0.1; done')
    rig.direct(1, 1, 'quit')


@contextlib.contextmanager
def daemon(rig, line, members, node=None):
    """The storage daemon on iothreads; @node on the members, if there is."""
    args = ['--trace', 'nvme_uring_ring_*']
    for i in range(IOTHREADS):
        args += ['--object', f'iothread,id=io{i}']
    for member in members:
        args += ['--blockdev', json.dumps(member)]
    if node:
        args += ['--blockdev', json.dumps(node)]
    with guest_daemon.GuestDaemon(rig.guest, line, args) as running:
        yield running


def array_node(members):
    return {'driver': 'opus-raid', 'node-name': 'array',
            'rebuild-speed-min': REBUILD_SPEED,
            'members': [member['node-name'] for member in members]}


def export_array(running):
    running.cmd('block-export-add', id='export', type='vhost-user-blk',
                node_name='array', writable=True, num_queues=THREADS,
                addr={'type': 'unix', 'path': '/run/export'},
                iothread_vq_mapping=[{'iothread': f'io{i}'}
                                     for i in range(IOTHREADS)])


def array_info(running):
    return running.cmd('query-opus-raid', node_name='array')[0]


def checked(running):
    running.run_job('opus-raid-check', 'check', node_name='array',
                    auto_dismiss=False)
    info = array_info(running)
    assert not info.get('mismatch-sectors', 0), info
    return info


def lost_and_replaced(rig, line):
    """Under load a drive is pulled; the array goes on, and gets another."""
    members = [rig.member(i) for i in range(SPARE)]
    with daemon(rig, line, members) as running:
        running.run_job('blockdev-create', 'create', options={
            'driver': 'opus-raid', 'level': 'raid5', 'chunk-size': 64 << 10,
            'force': True,
            'members': [member['node-name'] for member in members]})
        running.cmd('blockdev-add', **array_node(members))
        export_array(running)
        rig.guest.sh(START_LOAD % (LOAD_BYTES, THREADS))
        rig.guest.sh('sleep 3')
        rig.guest.qmp('device_del', id='nvme1')
        failed = running.wait_event('OPUS_RAID_MEMBER_FAILED')
        assert failed['member'] == 'm1', failed
        assert array_info(running)['state'] == 'degraded'
        rig.guest.sh('sleep 2')
        running.cmd('blockdev-add', **rig.member(SPARE))
        running.cmd('opus-raid-add-member', node_name='array',
                    member=f'm{SPARE}')
        running.wait_event('OPUS_RAID_MEMBER_IN_SYNC', member=f'm{SPARE}')
        said = rig.guest.sh(END_LOAD, timeout=120)
        tap.comment(said)
        assert 'status 0' in said, said
        survivors = [m for m in array_info(running)['members']
                     if m['state'] == 'in-sync']
        assert checked(running)['state'] == 'optimal'
        running.cmd('block-export-del', id='export')
        running.wait_event('BLOCK_EXPORT_DELETED', id='export')
        # A thread takes its rings along, while the nodes stay.
        running.cmd('object-del', id='io1')
        gone = rig.guest.sh('grep -c nvme_uring_ring_free daemon.log')
        assert int(gone) >= len(survivors), gone
        assert checked(running)['state'] == 'optimal'
    rings = rig.guest.sh('grep -c nvme_uring_ring_new daemon.log')
    # At least one for each iothread of each drive, and for the main loop.
    assert int(rings) > IOTHREADS * SPARE, rings
    gone = rig.guest.sh('grep -c nvme_uring_ring_free daemon.log')
    assert int(gone) == int(rings), (rings, gone)


def opened_by_the_block_layer(rig, line):
    """The same array through /dev/nvme0n1 and so on: it is all there."""
    survivors = [0, 2, SPARE]
    by_char = [rig.member(i) for i in survivors]
    by_block = [{'driver': 'host_device', 'filename': rig.block(i),
                 'node-name': f'm{i}', 'aio': 'io_uring',
                 'cache': {'direct': True}} for i in survivors]
    words = [f'members.{i}.{key}={value}'
             for i, drive in enumerate(survivors)
             for key, value in (('driver', 'nvme-uring'),
                                ('filename', rig.char(drive)))]
    rig.io(','.join(['driver=opus-raid', *words]),
           f'write -P 9 {PATTERN_AT} {PATTERN_BYTES}', 'flush')
    with daemon(rig, line, by_block, array_node(by_block)) as running:
        assert checked(running)['state'] == 'optimal'
    words = [word.replace('nvme-uring', 'host_device').replace('/ng', '/nvme')
             for word in words]
    rig.io(','.join(['driver=opus-raid', *words]),
           f'read -P 9 {PATTERN_AT} {PATTERN_BYTES}')
    with daemon(rig, line, by_char, array_node(by_char)) as running:
        info = array_info(running)
        assert info['state'] == 'optimal', info


def run(results, guest, top, line):
    rig = Rig(guest, top)
    for block_bytes, nsid, image in ((512, 1, 'd0'),
                                     (4096, BLOCKS_4096, f'n{BLOCKS_4096}')):
        with results.scenario(f'blocks of {block_bytes}'):
            blocks_of(block_bytes, rig, nsid, image)
    with results.scenario('refused with the reason'):
        refusals(rig)
    with results.scenario('claimed while it may be written'):
        claims(rig)
    with results.scenario('raid5 under load: pulled, replaced, rebuilt'):
        lost_and_replaced(rig, line)
    with results.scenario('the same array through the block layer'):
        opened_by_the_block_layer(rig, line)


def main():
    results = tap.Tap()
    try:
        scratch = uml.scratch_dir(SCRATCH_BYTES)
        tcg.read_program(LOAD, 'name it by OPUS_RAID_EXPORT_LOAD')
        with tempfile.TemporaryDirectory(prefix='nvme-', dir=scratch) as top:
            line = f'{top}/line'
            with tcg.Guest(
                    mem_mib=GUEST_MIB, threads=False, modules=(),
                    files={**libraries.files([*PROGRAMS, LOAD]),
                           'etc': None, 'etc/passwd': PASSWD},
                    devices=[*devices(top),
                             *guest_daemon.line_devices(line)]) as guest:
                run(results, guest, top, line)
    except uml.Unavailable as reason:
        return tap.skip_all(reason)
    return results.finish()


if __name__ == '__main__':
    sys.exit(main())
