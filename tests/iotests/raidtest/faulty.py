# SPDX-License-Identifier: GPL-2.0-or-later
"""An array whose members fail where and when a test says.

Members are blkdebug nodes. A rule for one sector fails only requests that
touch it, so a test decides when it fails by what it writes or reads.
"""

from iotests import log

from .daemon import Daemon
from .load import Load
from .members import MIB, Members, array_node
from .scenario import check, same
from .superblock import FAULTY

KIB = 1024
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


def rule(iotype, sector=None, error=5, **options):
    """A blkdebug rule that is there from the start."""
    found = {'event': 'none', 'iotype': iotype, 'errno': error, **options}
    if sector is not None:
        found['sector'] = sector
    return found


def nth_write(n):
    """blkdebug options: the n-th write fails."""
    steps = [{'event': 'pwritev', 'state': i, 'new_state': i + 1}
             for i in range(1, n + 1)]
    return {'set-state': steps,
            'inject-error': [{'event': 'pwritev', 'state': n, 'errno': 5,
                              'iotype': 'write'}]}


def all_reads():
    """blkdebug options: from the second write on, all reads fail.

    Reads must work while the array is opened.
    """
    return {'set-state': [{'event': 'pwritev', 'state': 1, 'new_state': 2}],
            'inject-error': [{'event': 'pwritev', 'state': 2, 'errno': 5,
                              'iotype': 'read'}]}


def expect_error(what, function, *args):
    """Log the error that it gives, or that it gives none."""
    try:
        function(*args)
        log(f'{what}: it worked')
    except OSError as error:
        log(f'{what}: {error.strerror}')


class Array:
    """An array full of random data, opened with broken members.

    broken: {member: blkdebug options}, or a list of rules in their place.
    """

    def __init__(self, level, broken, here=None, seed=0, layout=None,
                 policy=None, data_offset=DATA_OFFSET, **options):
        self.members = Members([MIB + data_offset] * LEVELS[level])
        self.daemon = Daemon()
        create = {'level': level, 'data-offset': data_offset}
        if level != 'raid1':
            create['chunk-size'] = CHUNK
        if layout:
            create['layout'] = layout
        if policy:
            create['consistency-policy'] = policy
        self.daemon.make(self.members, **create)
        self.daemon.add(array_node(self.members.nodes()))
        self.load = Load(self.daemon.raid()['size'], seed)
        with self.daemon.client() as client:
            self.load.fill(client)
        self.daemon.remove('r0')
        self.here = list(range(len(self.members)) if here is None else here)
        self.broken = broken
        self.options = options

    def open(self, **more):
        nodes = []
        for i in self.here:
            rules = self.broken.get(i)
            if rules is None:
                nodes.append(self.members.node(i))
            elif isinstance(rules, list):
                nodes.append(self.members.debug(i, **{'inject-error': rules}))
            else:
                nodes.append(self.members.debug(i, **rules))
        self.daemon.add(array_node(nodes, **self.options, **more))

    def write(self, client, offset, length, flags=0):
        data = self.load.random.randbytes(length)
        self.load.model[offset:offset + length] = data
        client.write(offset, data, flags=flags)

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
        self.members.remove()
