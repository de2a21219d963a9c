#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that is migrated to another process on this host, while it writes,
through one export: the destination connects before the source has stopped.

Its monitor answers, the source goes on until then, and if the destination dies
instead. The guest must not notice anything.
"""
import json
import os
import signal
import socket
import sys
import tempfile
import time

import disk_load
import tap
import tcg
import uml
import vub
from pattern import sha256

LOAD = os.environ.get('OPUS_RAID_DISK_LOAD', 'disk-load')
CPUS = 2
THREADS = 12
PART_BYTES = 24 << 20
SCRATCH_BYTES = 1024 << 20
WRITES_BETWEEN = 200
TIMEOUT_S = 60


class Monitor:
    """QMP of an emulator; a command that gets no answer is a failure."""

    def __init__(self, path):
        deadline = time.monotonic() + TIMEOUT_S
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        while self.socket.connect_ex(path):
            assert time.monotonic() < deadline, f'nobody listens on {path}'
            time.sleep(0.02)
        self.lines = self.socket.makefile('rw')
        self.lines.readline()
        self.cmd('qmp_capabilities')

    def cmd(self, command, **args):
        args = {name.replace('_', '-'): value for name, value in args.items()}
        self.lines.write(json.dumps({'execute': command, 'arguments': args})
                         + '\n')
        self.lines.flush()
        while True:
            reply = json.loads(self.lines.readline())
            if 'event' not in reply:
                return reply['return']


def wait_for_writes(guest):
    def completed():
        return int(guest.sh('cat /sys/block/vda/stat').split()[4])

    deadline = time.monotonic() + TIMEOUT_S
    wanted = completed() + WRITES_BETWEEN
    while completed() < wanted:
        assert time.monotonic() < deadline, 'the guest writes nothing'
        time.sleep(0.05)


def new_guest(disk, incoming=None):
    return tcg.Guest([disk], f',num-queues={CPUS}', [LOAD], CPUS,
                     incoming=incoming)


def migrate(source, target):
    """@target: its monitor answers while the source has the disk."""
    Monitor(target.monitor_path).cmd('query-status')
    wait_for_writes(source)
    monitor = Monitor(source.monitor_path)
    monitor.cmd('migrate-set-parameters', max_bandwidth=10 ** 10,
                downtime_limit=2000)
    monitor.cmd('migrate', uri=f'unix:{target.incoming}')
    deadline = time.monotonic() + TIMEOUT_S
    while (state := monitor.cmd('query-migrate'))['status'] != 'completed':
        assert state['status'] != 'failed', state
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    target.commands = source.commands


def there_and_back(top):
    path, disk = f'{top}/disk', f'{top}/socket'
    with open(path, 'wb') as file:
        file.truncate(CPUS * PART_BYTES)
    threads, mapping = vub.on_iothreads(CPUS)
    args = [*threads, '--blockdev', json.dumps(
                {'driver': 'file', 'node-name': 'disk', 'filename': path}),
            *vub.export('disk', disk, num_queues=CPUS,
                        iothread_vq_mapping=mapping)]
    with vub.Daemon(args, f'{top}/trace') as daemon:
        with new_guest(disk) as first:
            first.sh(disk_load.START_LOAD.format(part=PART_BYTES, threads=THREADS))
            wait_for_writes(first)
            with new_guest(disk, f'{top}/dies') as target:
                Monitor(target.monitor_path).cmd('query-status')
                wait_for_writes(first)
                target.kill()
            wait_for_writes(first)
            with new_guest(disk, f'{top}/there') as second:
                migrate(first, second)
                wait_for_writes(second)
                first.kill()
                with new_guest(disk, f'{top}/back') as third:
                    migrate(second, third)
                    second.kill()
                    wait_for_writes(third)
                    finish(third, path)
        starts = daemon.traced()
    assert starts.count('queue 1:') == 3, starts


def finish(guest, path):
    said = guest.sh(disk_load.END_LOAD, timeout=TIMEOUT_S)
    tap.comment(said)
    assert said.count('status 0') == 2, said
    total = CPUS * PART_BYTES >> 20
    digest = guest.sh(f'dd if=/dev/vda bs=1M count={total} iflag=direct '
                      '2>/dev/null | sha256sum').split()[0]
    with open(path, 'rb') as file:
        assert digest == sha256(file.read())


def main():
    results = tap.Tap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))
    try:
        tcg.Guest()
        tcg.read_program(LOAD, 'name it by OPUS_RAID_DISK_LOAD')
        scratch = uml.scratch_dir(SCRATCH_BYTES)
    except uml.Unavailable as reason:
        return tap.skip_all(reason)
    with results.scenario('migrated through one export, and back'), \
         tempfile.TemporaryDirectory(prefix='vub-', dir=scratch) as top:
        there_and_back(top)
    return results.finish()


if __name__ == '__main__':
    sys.exit(main())
