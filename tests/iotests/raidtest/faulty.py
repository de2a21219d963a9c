# SPDX-License-Identifier: GPL-2.0-or-later
"""An array whose members fail where and when a test says.

Members are blkdebug nodes with rules, which tests find here, too.
"""

from iotests import log

from .array import ClosedArray, fill
from .daemon import Daemon
from .members import KIB, array_node
from .rules import all_reads, nth_write, rule   # noqa: F401, for tests
from .scenario import check, same
from .superblock import FAULTY

CHUNK = 16 * KIB
DATA_OFFSET = 64 * KIB
SUPER_SECTOR = 8

# level: number of members
LEVELS = {'raid1': 3, 'raid5': 4, 'raid6': 5, 'raid10': 4}


def first_stripe(level):
    """Bytes of the array that surely touch offset 0 of each member."""
    return CHUNK * LEVELS[level]


def data_sector(member_off):
    return (DATA_OFFSET + member_off) // 512


def expect_error(what, function, *args):
    """Log the error that it gives, or that it gives none."""
    try:
        function(*args)
        log(f'{what}: it worked')
    except OSError as error:
        log(f'{what}: {error.strerror}')


class Array(ClosedArray):
    """An array full of random data, opened with broken members.

    broken: {member: blkdebug options}, or a list of rules in their place.
    """

    LEVELS = LEVELS

    def __init__(self, level, broken, here=None, seed=0, layout=None,
                 policy=None, data_offset=DATA_OFFSET, **options):
        """Other options are those with which it is opened."""
        self.daemon = Daemon()
        create = {'layout': layout, 'consistency-policy': policy}
        super().__init__(level, seed, data_offset=data_offset, **{
            key: value for key, value in create.items() if value})
        self.here = list(range(self.n) if here is None else here)
        self.broken = broken
        self.options = options

    def create(self, options):
        self.daemon.make(self.members, **options)
        self.load = fill(self.daemon, self.members, self.seed)

    def open(self, **more):
        nodes = []
        for i in self.here:
            rules = self.broken.get(i)
            if rules is None:
                nodes.append(self.members.node(i))
            elif isinstance(rules, list):
                nodes.append(self.members.ruled(i, *rules))
            else:
                nodes.append(self.members.debug(i, **rules))
        self.daemon.add(array_node(nodes, **self.options, **more))

    def log_events(self):
        """In an order that does not depend on who answers first."""
        for event in sorted(self.daemon.raid_events()):
            log(event)

    def survivors_say(self, failed):
        """The other members' superblocks, as they are on disk now."""
        others = [i for i in self.here if i not in failed]
        supers = self.members.supers(others)
        good = all(sb.is_valid() and sb.roles[i] == FAULTY
                   for sb in supers for i in failed)
        good = good and len({sb.events for sb in supers}) == 1
        good = good and all(sb.role == i for i, sb in zip(others, supers))
        good = good and all(self.members.super(i).events < supers[0].events
                            for i in failed if i in self.here)
        check(f"the others' superblocks say that {failed} failed", good)

    def close_and_verify(self, failed=(), **options):
        """Once more from the members: all of them, and without the failed."""
        self.daemon.remove('r0')
        wanted = bytes(self.load.model)
        all_nodes = self.members.nodes(self.here)
        others = self.members.nodes([i for i in self.here if i not in failed])
        for nodes in (all_nodes, others):
            same('opened again', self.daemon.read_array(nodes, **options),
                 wanted)
        if failed:
            log(self.daemon.add_error(array_node(all_nodes,
                                                 assemble='strict')))

    def __enter__(self):
        self.open()
        return self

    def __exit__(self, *args):
        self.daemon.__exit__(*args)
        super().__exit__(*args)
