#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest with a virtqueue for each of its CPUs, each served by an iothread of
its own, whose storage daemon is killed and started again while it writes.

The guest must not notice: no request fails, no write is lost, none comes late
over a newer one.
"""
import json
import os
import re
import signal
import sys
import tempfile
import time

import disk_load
import opus
import tap
import tcg
import uml
import vub
from md_array import MIB, MdArray, Shape
from pattern import sha256

LOAD = os.environ.get('OPUS_RAID_DISK_LOAD', 'disk-load')
CPUS = 2
THREADS = 12
KILLS = 4
WRITES_BETWEEN = 200
PART_BYTES = 24 * MIB
MEMBER_BYTES = 32 * MIB
SCRATCH_BYTES = 1024 * MIB
# Long enough for requests to be in flight whenever the daemon is killed.
DELAY_NS = 3_000_000


def slow(node):
    """A node whose writes take their time."""
    return {'driver': 'blkdebug', 'image': node,
            'inject-error': [{'event': 'none', 'iotype': 'write', 'errno': 0,
                              'delay-ns': DELAY_NS}]}


class Rig:
    """A daemon that can be replaced, and how its export looks."""

    def __init__(self, top, node):
        self.top = top
        self.socket = f'{top}/socket'
        threads, mapping = vub.on_iothreads(CPUS)
        self.args = [*threads, '--blockdev', json.dumps(node),
                     *vub.export('disk', self.socket, num_queues=CPUS,
                                 iothread_vq_mapping=mapping)]
        self.daemons = []

    def start(self):
        daemon = vub.Daemon(self.args,
                            f'{self.top}/trace.{len(self.daemons)}')
        self.daemons.append(daemon)
        daemon.__enter__()

    def kill(self):
        self.daemons[-1].kill()

    def stop(self):
        self.daemons[-1].__exit__(None)

    def starts(self):
        """(packed, in flight) of all queues that were started."""
        return [(int(packed), int(in_flight))
                for daemon in self.daemons
                for packed, in_flight in re.findall(
                    r'packed (\d), base 0x[0-9a-f]+, (\d+) in flight',
                    daemon.traced())]


def writes_completed(guest):
    return int(guest.sh('cat /sys/block/vda/stat').split()[4])


def wait_for_writes(guest, count):
    deadline = time.monotonic() + 300
    wanted = writes_completed(guest) + count
    while writes_completed(guest) < wanted:
        assert time.monotonic() < deadline, 'the guest writes nothing'
        time.sleep(0.05)


def disk_news(text):
    """Lines of the kernel's log; not those that tell how slow the host is."""
    return [line for line in text.splitlines() if line and not
            re.search('hrtimer|clocksource|rcu|perf: interrupt|sched', line)]


def killed_under_load(top, node, packed):
    """Returns the checksum of what the guest has written, as it reads it."""
    rig = Rig(top, node)
    rig.start()
    options = f',num-queues={CPUS}' + ',packed=on' * packed
    try:
        with tcg.Guest([rig.socket], options, [LOAD], CPUS) as guest:
            assert guest.sh('ls /sys/block/vda/mq').split() == ['0', '1']
            before = guest.sh('dmesg')
            guest.sh(disk_load.START_LOAD.format(part=PART_BYTES, threads=THREADS))
            for _ in range(KILLS):
                wait_for_writes(guest, WRITES_BETWEEN)
                rig.kill()
                rig.start()
            wait_for_writes(guest, WRITES_BETWEEN)
            said = guest.sh(disk_load.END_LOAD, timeout=300)
            tap.comment(said)
            assert said.count('status 0') == 2, said
            news = disk_news(guest.sh('dmesg')[len(before):])
            assert not news, f'the kernel noticed: {news}'
            total = CPUS * PART_BYTES // MIB
            digest = guest.sh(f'dd if=/dev/vda bs=1M count={total} '
                              'iflag=direct 2>/dev/null | sha256sum')
    finally:
        rig.stop()
    starts = rig.starts()
    tap.comment(f'(packed, in flight) of started rings: {starts}')
    assert all(is_packed == packed for is_packed, _ in starts[1:]), starts
    assert sum(in_flight for _, in_flight in starts), 'nothing was in flight'
    return digest.split()[0]


def on_a_file(top, packed):
    path = f'{top}/disk'
    with open(path, 'wb') as f:
        f.truncate(CPUS * PART_BYTES)
    node = slow({'driver': 'file', 'filename': path})
    digest = killed_under_load(top, {**node, 'node-name': 'disk'}, packed)
    with open(path, 'rb') as f:
        assert digest == sha256(f.read())


def on_an_array(top):
    """The array was not closed: all members are there, so it goes on.

    It is resynced each time it is opened again, as far as there is time.
    """
    array = MdArray(Shape('raid5', 3, 'left-symmetric'), top, 'array')
    opus.create(array)
    node = opus.node(array)
    node['members'] = [slow(member) for member in node['members']]
    digest = killed_under_load(top, {**node, 'node-name': 'disk'}, True)
    used = CPUS * PART_BYTES
    assert sha256(opus.read_all(array)[:used]) == digest
    assert opus.info(array)['state'] in ('optimal', 'resync-pending')


def main():
    results = tap.Tap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))
    MdArray.member_bytes = MEMBER_BYTES
    try:
        tcg.Guest()
        tcg.read_program(LOAD, 'name it by OPUS_RAID_DISK_LOAD')
        scratch = uml.scratch_dir(SCRATCH_BYTES)
    except uml.Unavailable as reason:
        return tap.skip_all(reason)
    for name, body, *args in (
            ('file, split rings', on_a_file, False),
            ('file, packed rings', on_a_file, True),
            ('raid5, packed rings', on_an_array)):
        with results.scenario(f'daemon killed under load: {name}'), \
             tempfile.TemporaryDirectory(prefix='vub-', dir=scratch) as top:
            body(top, *args)
    return results.finish()


if __name__ == '__main__':
    sys.exit(main())
