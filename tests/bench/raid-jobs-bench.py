#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How fast jobs are, and what they leave to the guest.

Members are sparse files behind QEMU's throttle filter: each has a fixed rate,
whatever else the machine does. What is compared is measured in turns, and
medians of the rounds are shown. A missed target is a result, not a failure:
the status is 0 unless something could not be measured.

rebuild    bytes a second that are rebuilt on a member, over what a job of
           QEMU's own writes to the same node in sequence; all members have the
           same rate
guest      requests of a guest (4 KiB, random, 7 of 10 are reads) beside a
           rebuild at the default limits, over those of the same degraded array
           without a rebuild
recovery   time from opening an array that was killed, with a bitmap, until its
           redundancy is right again: for a large and a small array, and for
           few and many regions that were being written

usage: OPUS_RAID_BUILD=BUILD raid-jobs-bench.py [options] [rebuild|guest|recovery
                                                           ...]
"""

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, '..', name)
                for name in ('kill-loop', 'iotests')]

# pylint: disable=wrong-import-position
from daemon import Daemon, Died, Hung, Refused      # noqa: E402
from raidtest.nbd import Client, READ, WRITE        # noqa: E402

MIB = 1 << 20
GIB = 1 << 30
LEVELS = {'raid1': 2, 'raid5': 4, 'raid6': 5, 'raid10': 4}
ARRAY = 'r0'

# Of each member; so low that no processor is the limit.
MEMBER_BYTES_PER_S = 40 * MIB
GUEST_REQUESTS_PER_S = 400
RECOVERY_BYTES_PER_S = 20 * MIB
GUEST_DEPTH = 16

REBUILD_TARGET = 0.90
GUEST_TARGET = 0.70
# How much longer an array of 64 times the size may take for the same regions.
RECOVERY_TARGET = 1.10
BIT_BYTES = 1 * MIB
REGIONS = (16, 64)
RECOVERY_SIZES = (1 * GIB, 64 * GIB)


class Rig:
    """A daemon, and member files on a directory of their own."""

    def __init__(self, program, parent):
        self.program = program
        self.directory = tempfile.mkdtemp(dir=parent, prefix='raid-jobs-')
        self.daemon = None
        self.socket = self.path('nbd')

    def path(self, name):
        return os.path.join(self.directory, name)

    def start(self):
        self.daemon = Daemon(
            self.program,
            ['--nbd-server', f'addr.type=unix,addr.path={self.socket}'],
            self.path('stderr'))

    def stop(self):
        if self.daemon:
            self.daemon.stop()
            self.daemon = None
            os.unlink(self.socket)

    def close(self):
        self.stop()
        shutil.rmtree(self.directory)

    def make_files(self, count, size):
        for i in range(count):
            with open(self.path(f'm{i}'), 'wb') as file:
                file.truncate(size)

    def add_member(self, i, limits):
        self.daemon.cmd('object-add', qom_type='throttle-group', id=f't{i}',
                        limits=limits)
        self.daemon.cmd('blockdev-add', driver='throttle', node_name=f'm{i}',
                        throttle_group=f't{i}',
                        file={'driver': 'file', 'filename': self.path(f'm{i}'),
                              'discard': 'unmap'})

    def create(self, level, count, **options):
        self.daemon.job('blockdev-create', options={
            'driver': 'opus-raid', 'level': level, 'initial-sync':
            'assume-clean', 'members': [f'm{i}' for i in range(count)],
            **{key.replace('_', '-'): value
               for key, value in options.items()}})

    def open(self, members):
        self.daemon.cmd('blockdev-add', driver='opus-raid', node_name=ARRAY,
                        members=[f'm{i}' for i in members])

    def info(self):
        return self.daemon.cmd('query-opus-raid')[0]

    def wait_event(self, name):
        """Returns when it was, by the host's clock."""
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            for event in self.daemon.take_events():
                if event['event'] == 'BLOCK_JOB_ERROR' or \
                        'error' in event['data']:
                    raise Refused(str(event))
                if event['event'] == name:
                    stamp = event['timestamp']
                    return stamp['seconds'] + stamp['microseconds'] / 1e6
            self.daemon.cmd('query-jobs')
            time.sleep(0.005)
        raise Hung(f'no {name}')


class Guest:
    """Keeps GUEST_DEPTH requests in flight while it runs."""

    def __init__(self, rig):
        self.client = Client(rig.socket, ARRAY)
        self.rng = random.Random(1)
        self.data = self.rng.randbytes(4096)

    def _submit(self):
        at = self.rng.randrange(self.client.size // 4096) * 4096
        if self.rng.random() < 0.7:
            self.client.submit(READ, at, 4096)
        else:
            self.client.submit(WRITE, at, data=self.data)

    def run(self, settle, seconds):
        """Requests a second, but for the first time of settle seconds."""
        count = 0
        for _ in range(GUEST_DEPTH):
            self._submit()
        start = time.monotonic() + settle
        while (now := time.monotonic()) < start + seconds:
            request = self.client.reap()
            if request.error:
                raise Refused(f'the guest saw error {request.error}')
            count += now >= start
            self._submit()
        for _ in range(GUEST_DEPTH):
            self.client.reap()
        return count / seconds


def verdict(met):
    return 'target met' if met else 'target missed'


def spread(values, unit=''):
    return (f'{statistics.median(values):.3f}{unit} '
            f'({min(values):.3f} to {max(values):.3f})')


# --- rebuild


def lose_member(rig, i):
    rig.daemon.cmd('opus-raid-fail-member', node_name=ARRAY, member=f'm{i}')
    rig.daemon.cmd('opus-raid-remove-member', node_name=ARRAY, member=f'm{i}')


def sequential_rate(rig, i, size):
    """Of a member that is no member at the time."""
    start = time.time()
    rig.daemon.cmd('blockdev-backup', job_id='copy', device='source',
                   target=f'm{i}', sync='full')
    return size / (rig.wait_event('BLOCK_JOB_COMPLETED') - start)


def rebuild_rate(rig, i):
    size = rig.info()['member-size']
    start = time.time()
    rig.daemon.cmd('opus-raid-add-member', node_name=ARRAY, member=f'm{i}',
                   force=True)
    return size / (rig.wait_event('OPUS_RAID_MEMBER_IN_SYNC') - start)


def bench_rebuild(rig, level, options):
    count = LEVELS[level]
    size = options.mib * MIB
    limit = options.rate * MIB
    rig.make_files(count, size)
    rig.start()
    for i in range(count):
        rig.add_member(i, {'bps-read': limit, 'bps-write': limit})
    rig.daemon.cmd('blockdev-add', driver='null-co', node_name='source',
                   size=size, read_zeroes=False)
    rig.create(level, count)
    rig.open(range(count))
    rates, ratios = [], []
    for number in range(options.rounds):
        i = number % count
        lose_member(rig, i)
        reference = sequential_rate(rig, i, size)
        rates.append(rebuild_rate(rig, i) / MIB)
        ratios.append(rates[-1] * MIB / reference)
    met = round(statistics.median(ratios), 2) >= REBUILD_TARGET
    print(f'rebuild {level}: {spread(rates)} MiB/s, of the sequential rate '
          f'{spread(ratios)}, >= {REBUILD_TARGET:.2f} {verdict(met)}',
          flush=True)


# --- guest


def bench_guest(rig, level, options):
    count = LEVELS[level]
    rig.make_files(count + 1, 1 * GIB)
    rig.start()
    for i in range(count + 1):
        rig.add_member(i, {'iops-total': GUEST_REQUESTS_PER_S,
                           'bps-total': options.rate * MIB})
    rig.create(level, count)
    rig.open(range(1, count))
    rig.daemon.cmd('block-export-add', type='nbd', id='e', node_name=ARRAY,
                   writable=True)
    guest = Guest(rig)
    alone, beside, rates, ratios = [], [], [], []
    for number in range(options.rounds):
        alone.append(guest.run(1, options.seconds))
        if number == 0:
            rig.daemon.cmd('opus-raid-add-member', node_name=ARRAY,
                           member=f'm{count}')
        else:
            rig.daemon.cmd('opus-raid-rebuild', node_name=ARRAY)
        before = rebuilt(rig)
        start = time.monotonic()
        beside.append(guest.run(1, options.seconds))
        rates.append((rebuilt(rig) - before) / MIB
                     / (time.monotonic() - start))
        rig.daemon.cmd('block-job-cancel',
                       device=f'opus-raid-rebuild-{ARRAY}')
        rig.wait_event('BLOCK_JOB_CANCELLED')
        ratios.append(beside[-1] / alone[-1])
    met = round(statistics.median(ratios), 2) >= GUEST_TARGET
    print(f'guest {level}: {statistics.median(alone):.0f} requests/s alone, '
          f'{statistics.median(beside):.0f} beside a rebuild of '
          f'{statistics.median(rates):.2f} MiB/s, keeps {spread(ratios)}, '
          f'>= {GUEST_TARGET:.2f} {verdict(met)}', flush=True)


def rebuilt(rig):
    return max(m.get('rebuilt', 0) for m in rig.info()['members'])


# --- recovery


def recovery_seconds(rig, size, regions):
    """Opening and resync; also how many bits were set."""
    count = LEVELS['raid5']
    limit = RECOVERY_BYTES_PER_S
    rig.make_files(count, size)
    rig.start()
    for i in range(count):
        rig.add_member(i, {'bps-read': 0})
    rig.create('raid5', count, consistency_policy='bitmap',
               bitmap_chunk_size=BIT_BYTES)
    rig.open(range(count))
    rig.daemon.cmd('block-export-add', type='nbd', id='e', node_name=ARRAY,
                   writable=True)
    client = Client(rig.socket, ARRAY)
    for i in range(regions):
        at = client.size // regions * i // 4096 * 4096
        client.wait(client.submit(WRITE, at, data=bytes(4096)))
    rig.stop()                  # SIGKILL

    rig.start()
    for i in range(count):
        rig.add_member(i, {'bps-total': limit})
    start = time.time()
    rig.open(range(count))
    dirty = rig.info()['bitmap']['dirty-chunks']
    seconds = 0
    if dirty == regions:
        seconds = rig.wait_event('BLOCK_JOB_COMPLETED') - start
    rig.stop()
    return seconds, dirty


def recovery_round(rig, size, regions):
    """On a machine that is very slow bits may be cleared before the kill."""
    for _ in range(3):
        seconds, dirty = recovery_seconds(rig, size, regions)
        if dirty == regions:
            return seconds
    raise Refused(f'{dirty} bits are set for {regions} regions')


def bench_recovery(rig, options):
    seconds = {(size, regions): [] for regions in REGIONS
               for size in RECOVERY_SIZES}
    for _ in range(options.rounds):
        for size, regions in seconds:
            seconds[size, regions].append(recovery_round(rig, size, regions))
    small, large = RECOVERY_SIZES
    for (size, regions), values in seconds.items():
        print(f'recovery of members of {size // GIB} GiB, {regions} regions '
              f'of {BIT_BYTES // MIB} MiB: {spread(values)} s', flush=True)
    for regions in REGIONS:
        ratios = [b / a for a, b in zip(seconds[small, regions],
                                        seconds[large, regions])]
        met = round(statistics.median(ratios), 2) <= RECOVERY_TARGET
        print(f'recovery, {large // small} times the size, {regions} regions: '
              f'{spread(ratios)} times as long, <= {RECOVERY_TARGET:.2f} '
              f'{verdict(met)}')
    few, many = REGIONS
    ratios = [b / a for a, b in zip(seconds[large, few],
                                    seconds[large, many])]
    print(f'recovery, {many // few} times the regions: {spread(ratios)} times '
          f'as long', flush=True)


# --- the command line


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n\n', maxsplit=1)[0])
    parser.add_argument('what', nargs='*',
                        help='rebuild, guest, recovery (default: all)')
    parser.add_argument('--level', choices=LEVELS, action='append',
                        help='may be repeated (default: all); recovery is '
                        'always that of raid5')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--seconds', type=float, default=4,
                        help='of each turn of a guest (default: 4)')
    parser.add_argument('--mib', type=int, default=128,
                        help='size of a member that is rebuilt (default: 128)')
    parser.add_argument('--rate', type=int,
                        default=MEMBER_BYTES_PER_S // MIB,
                        help='of each member, MiB a second (default: 40)')
    parser.add_argument('--directory', default='/dev/shm',
                        help='where member files are (default: /dev/shm)')
    options = parser.parse_args()
    options.what = options.what or ['rebuild', 'guest', 'recovery']
    for what in options.what:
        if what not in ('rebuild', 'guest', 'recovery'):
            parser.error(f'nothing is called {what}')
    if options.rounds < 1 or options.mib < 16 or options.rate < 1 or \
            options.seconds <= 0:
        parser.error('too small a number')
    return options


def run(program, bench, *args):
    """Returns whether it could be measured."""
    rig = Rig(program, args[-1].directory)
    try:
        bench(rig, *args)
        return True
    except (Died, Hung, OSError, Refused) as error:
        print(f"{' '.join([bench.__name__, *args[:-1]])}: not measured: "
              f'{error!r}', flush=True)
        return False
    finally:
        rig.close()


def main():
    build = os.environ.get('OPUS_RAID_BUILD')
    options = parse()
    if not build:
        sys.exit('raid-jobs-bench: set OPUS_RAID_BUILD')
    program = os.path.join(build, 'qemu-storage-daemon')
    print(f'{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}, '
          f'medians (and ranges) of {options.rounds} rounds')
    ok = True
    for what, bench in (('rebuild', bench_rebuild), ('guest', bench_guest)):
        for level in options.level or LEVELS:
            if what in options.what:
                ok = run(program, bench, level, options) and ok
    if 'recovery' in options.what:
        ok = run(program, bench_recovery, options) and ok
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
