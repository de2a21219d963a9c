#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon that is killed again and again, and arrays that lose nothing.

A storage daemon has an array of files; several clients read and write, and
every sector is stamped. Members fail, spares are added and rebuilt; the array
is checked, grown, copied, reopened, read-only or inactive for a while; every
few seconds the daemon is killed (SIGKILL), or ends in good order, and opens the
array from its members as they are. Then all that was acknowledged must be there, what was not must be
old or new, and nothing else may have changed. Now and then that must hold with
each tolerated set of members missing.

The host's page cache survives: lost flushes are not what this finds.

usage: raid-kill-loop.py [--seed N] [--minutes M] [--level LEVEL] [--keep]
                         [--crossings]
"""

import argparse
import collections
import faulthandler
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'iotests'))

# pylint: disable=wrong-import-position
from daemon import Daemon, Died, Hung, Refused      # noqa: E402
from crossings import Crossings                     # noqa: E402
from diary import Diary                             # noqa: E402
from life import Life                               # noqa: E402
from oracle import Wrong                            # noqa: E402
from shape import Shape                             # noqa: E402

ROOM_BYTES = 512 << 20

# Those of which the loop knows what they promise.
POLICIES = ('resync', 'bitmap', 'ppl', 'journal')


class Setup:
    """What all arrays of the loop have in common."""

    def __init__(self, program, directory):
        self.program = program
        self.directory = directory
        self.diary = Diary(self.path('diary'))
        self.count = collections.Counter()
        self.crossings = Crossings()
        self.has_resync = False
        self.policies = []

    def path(self, name):
        return os.path.join(self.directory, name)

    def look_what_it_can(self):
        """Of what not every version has."""
        daemon = Daemon(self.program, [], self.path('stderr'))
        schema = daemon.cmd('query-qmp-schema')
        daemon.quit()
        self.has_resync = any(entry['name'] == 'opus-raid-check'
                              for entry in schema)
        # Types have no names there; the policies are known by one of them.
        self.policies = next((
            [p for p in POLICIES if p in entry['values']] for entry in schema
            if entry['meta-type'] == 'enum' and
            {'resync', 'bitmap'} <= set(entry['values'])), [])


def scratch():
    """A directory for members; in memory where there is room."""
    parent = None
    if os.access('/dev/shm', os.W_OK):
        room = os.statvfs('/dev/shm')
        if room.f_bavail * room.f_frsize > ROOM_BYTES:
            parent = '/dev/shm'
    return tempfile.mkdtemp(prefix='raid-kill-loop-', dir=parent)


def parse():
    parser = argparse.ArgumentParser(
        description='Kill the daemon again and again; arrays lose nothing.')
    parser.add_argument('--seed', type=int, default=None,
                        help='choices follow from it, but for time (random)')
    parser.add_argument('--minutes', type=float, default=5,
                        help='0: until interrupted (%(default)s)')
    parser.add_argument('--level', choices=('raid0', 'raid1', 'raid5',
                                            'raid6', 'raid10'))
    parser.add_argument('--keep', action='store_true',
                        help='keep members and diary when it fails')
    parser.add_argument('--crossings', action='store_true',
                        help='tell what was done to arrays in which condition')
    return parser.parse_args()


def summary(setup):
    print(f'{setup.diary.seconds():.0f} s: ' + ', '.join(
        f'{count} {name}' for name, count in sorted(setup.count.items())))
    sys.stdout.flush()


def print_threads(pid):
    """Where a daemon hangs."""
    if shutil.which('gdb'):
        subprocess.run(['gdb', '-p', str(pid), '-batch', '-ex',
                        'thread apply all backtrace 24'], check=False)


def loop(setup, options):
    rng = random.Random(options.seed)
    while not options.minutes or \
            setup.diary.seconds() < options.minutes * 60:
        life = Life(setup, Shape(rng, options.level, setup.policies),
                    random.Random(rng.random()))
        try:
            life.create()
            while life.run():
                if options.minutes and \
                        setup.diary.seconds() > options.minutes * 60:
                    break
        except BaseException as error:
            if isinstance(error, Hung):
                print_threads(life.daemon.process.pid)
            if life.daemon:
                life.daemon.stop()
            for member in life.members.all:
                setup.diary.note(member.super_line())
            if not options.keep:
                life.close()
            raise
        life.close()
        if setup.count['arrays'] % 10 == 0:
            summary(setup)


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    options = parse()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    build = os.environ.get('OPUS_RAID_BUILD',
                           os.path.join(HERE, '..', '..', 'build'))
    signal.signal(signal.SIGTERM, interrupted)
    faulthandler.register(signal.SIGUSR1)
    setup = Setup(os.path.join(build, 'qemu-storage-daemon'), scratch())
    print(f'seed {options.seed}, in {setup.directory}')
    failed = True
    try:
        setup.look_what_it_can()
        loop(setup, options)
        failed = False
    except KeyboardInterrupt:
        failed = False
        print('interrupted')
    except (Wrong, Hung, Refused, Died):
        print(setup.diary.tail())
        with open(setup.path('stderr'), encoding='utf-8') as file:
            print('The daemon said last:', *file.readlines()[-20:], sep='\n')
        traceback.print_exc(file=sys.stdout)
        print(f'FAILED: seed {options.seed}')
    finally:
        summary(setup)
        if options.crossings:
            print(*setup.crossings.lines(), sep='\n')
        setup.diary.close()
        if not (failed and options.keep):
            shutil.rmtree(setup.directory)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
