# SPDX-License-Identifier: GPL-2.0-or-later
"""The life of one array: created, and again and again started and killed.

Owns: how a run of the daemon ends, and what must be so after it.
Must not know: how requests or failures are made.
"""

import os
import time

import load
from chaos import NODE, Chaos
from daemon import Daemon, Died, Refused
from members import Members
from oracle import Oracle, Wrong
from raidtest.nbd import Client
from rest import Rest
from shape import LOGS

MOST_RUNS = 14
LOCKS_S = 120

# How a run ends.
KILL = 'killed under load'
KILL_CLEAN = 'killed when clean, degraded or not'
KILL_REFUSED = 'killed dirty and degraded'
QUIT = 'ended in good order'


class Life:
    """create(), then run() until it returns False."""

    def __init__(self, setup, shape, rng):
        self.setup = setup
        self.shape = shape
        self.rng = rng
        self.diary = setup.diary
        self.count = setup.count
        self.members = Members(setup.directory, shape)
        self.oracle = None
        self.daemon = None
        self.runs = 0
        self.aio = rng.choice(('threads', 'io_uring'))
        self.must_open = True       # or it may be refused
        self.written = False        # it may be dirty on disk
        self.wild = False           # members fail in this run
        self.exports = 0
        self.retry = False          # without those that failed
        self.settled = True         # stopped, in sync, nothing in doubt
        self.requests = None
        self.bad = None             # a member that has bad blocks

    def close(self):
        if self.daemon:
            self.daemon.stop()
        self.members.remove()

    # --- daemons

    def _start(self, args=()):
        path = self.setup.path('nbd.sock')
        if os.path.exists(path):
            os.unlink(path)
        self.daemon = Daemon(
            self.setup.program,
            [*args, '--nbd-server',
             f'addr.type=unix,addr.path={path},max-connections=0'],
            self.setup.path('stderr'))
        return self.daemon

    def _add(self, node):
        """The kernel may give up the files of a killed daemon a bit later."""
        deadline = time.monotonic() + LOCKS_S
        while True:
            try:
                self.daemon.cmd('blockdev-add', **node)
                return node['node-name']
            except Refused as error:
                if 'Failed to get "write" lock' not in str(error) or \
                        time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _connect(self, export):
        try:
            return Client(self.setup.path('nbd.sock'), export)
        except OSError as error:
            raise Died from error

    def create(self):
        """A new array, often full of data."""
        self.diary.note(f'create: {self.shape}, aio {self.aio}')
        members = self.members.all[:self.shape.slots]
        daemon = self._start()
        names = [self._add(m.make_node(self.aio)) for m in members]
        daemon.job('blockdev-create', options={
            'driver': 'opus-raid', 'members': names, **self.shape.options})
        self._add({'driver': 'opus-raid', 'node-name': NODE,
                   'members': names})
        info, = daemon.cmd('query-opus-raid')
        self.members.uuid = bytes.fromhex(info['uuid'].replace('-', ''))
        self.oracle = Oracle(info['size'])
        if self.rng.random() < 0.7:
            daemon.cmd('block-export-add', type='nbd', id='e', writable=True,
                       node_name=NODE, name='e')
            with self._connect('e') as client:
                for offset in range(0, len(self.oracle), 1 << 20):
                    length = min(1 << 20, len(self.oracle) - offset)
                    data = self.oracle.stamped(offset, length, 99)
                    client.write(offset, data)
                    self.oracle.wrote(offset, data)
            self.diary.note('filled')
        for member in members:
            member.in_sync = True
        self._end_in_good_order()
        if self.shape.write_mostly:
            members[self.rng.randrange(len(members))].set_flags(1)
        self.count['arrays'] += 1

    def _end_in_good_order(self):
        status = self.daemon.quit()
        self.members.forget_nodes()
        if status:
            raise Wrong(f'the daemon ended with status {status}')

    # --- one run

    def run(self):
        """Start, load, end. False when the array's life is over."""
        self.runs += 1
        if self.settled and self.rng.random() < 0.4:
            self._look_with_members_missing()
        if self.settled and not self.bad and self.rng.random() < 0.2:
            self._plant_bad_blocks()
        # Whether members may fail has to be known before nodes are made.
        self.wild = self.rng.random() < 0.6 or \
            not self.shape.needs_log_when_degraded()
        chaos = self._open()
        if not chaos:
            return False
        self.settled = False
        ending = self._choose_ending(chaos)
        self.diary.note(f'run {self.runs}: {ending}')
        try:
            self._live(chaos, ending)
        finally:
            self._note_end(chaos)
        self.count[ending] += 1
        if self.runs < MOST_RUNS and not self._is_stuck(chaos):
            return True
        if self.settled:
            self._look_with_members_missing()
        return not self.settled and self.runs < 2 * MOST_RUNS and \
            not self._is_stuck(chaos)

    def _plant_bad_blocks(self):
        """As if a rebuild had left them, of something that was never written.

        There is another copy, or parity, until a member goes missing.
        """
        if not self.shape.bears_bad_blocks():
            return
        member = self.rng.choice([m for m in self.members.belonging()
                                  if m.in_sync])
        room = (member.size - self.shape.data_offset) // 512 // 2
        if member.plant_bad(self.rng.randrange(0, room, 8),
                            8 * self.rng.randint(1, 16)):
            self.bad = member
            self.diary.note(f'{member.name}: has bad blocks')
            self.count['bad blocks'] += 1

    def _is_stuck(self, chaos):
        """Nothing ends the wait for a resync, so little can be tried."""
        return not self.setup.has_resync and chaos.info and \
            chaos.info['state'] == 'resync-pending' and \
            self.rng.random() < 0.4

    def _forget_nodes(self):
        for member in self.members.all:
            # With a bitmap, those that were given come back by themselves,
            # and the event that says so may be lost.
            if member.node and self.shape.policy == 'bitmap':
                member.failed = False
        self.members.forget_nodes()

    def _note_end(self, chaos):
        self._forget_nodes()
        if chaos.info:
            self.diary.note(f'last seen: {chaos.states()}')
            if not chaos.has_bad_blocks():
                self.bad = None

    def _died(self, chaos, client_load):
        """The daemon has ended by itself, or was killed."""
        status = self.daemon.wait()
        if not self.daemon.killed:
            raise Wrong(f'the daemon ended by itself, status {status}')
        if client_load:
            client_load.bury(chaos.failing and self.shape.may_garble())
        chaos.note_events()
        if self.written:
            self.must_open = not (self.shape.needs_log_when_degraded() and
                                  chaos.failing)
        self.count['kills'] += 1
        if chaos.info:
            chaos.met('kill')
        self.diary.note(f'killed; {self.oracle.doubts()} sectors in doubt')

    # --- opening

    def _given(self):
        """The members to open the array with, in any order."""
        given = self.members.belonging()
        self.rng.shuffle(given)
        out = [m for m in given
               if m.old and (self.retry or self.rng.random() < 0.3)]
        return [m for m in given if m not in out]

    def _open(self):
        """Start a daemon with the array; returns a Chaos, or None."""
        self.retry = False
        while True:
            self._forget_nodes()
            daemon = self._start(['--object', 'iothread,id=io0', '--object',
                                  'iothread,id=io1'])
            chaos = Chaos(self.setup, daemon, self.shape, self.members,
                          self.oracle, self.rng, self.aio)
            if self.rng.random() < 0.1:
                daemon.kill_in(self.rng.random() * 0.06)
            try:
                if self._assemble(chaos):
                    return chaos
                if not self.retry:
                    return None
            except Died:
                self._died(chaos, None)
                self.count['kills at the start'] += 1

    def _assemble(self, chaos):
        given = self._given()
        expected = {m.name for m in given if m.in_sync}
        may_fail = self.settled or not self.shape.needs_log_when_degraded()
        budget = self.shape.tolerates - self._lost(given) - bool(self.bad)
        self.written = False
        nodes = chaos.arm(given, budget if self.wild and may_fail and
                          self.rng.random() < 0.4 else 0)
        for member in given:
            self.diary.note(member.super_line())
        names = [self._add(node) for node in nodes]
        chaos.commands.array = {'driver': 'opus-raid', 'node-name': NODE,
                                'members': names, 'discard': 'unmap'}
        chaos.commands.options()
        try:
            self._add(chaos.commands.array)
        except Refused as error:
            self._check_refusal(str(error), given)
            return False
        self.must_open = True
        chaos.look()
        self.diary.note(f'opened: {chaos.states()}')
        chaos.look()                # for the events of what it showed
        self._check_size(chaos.info['size'])
        self._check_verdicts(chaos, expected)
        if self.shape.policy in LOGS and \
                chaos.info['state'] == 'resync-pending':
            raise Wrong('a log was kept, and not replayed')
        self.count['starts'] += 1
        chaos.met('restart')
        return True

    def _lost(self, given):
        in_sync = sum(m.in_sync for m in given)
        return max(self.shape.slots - in_sync, 0)

    def _check_refusal(self, text, given):
        self.diary.note(f'refused: {text}')
        self.retry = ': SPLIT_BRAIN: ' in text and any(m.old for m in given)
        if self.retry:
            # Those that knew it have gone: nobody can tell that it is old.
            self.count['old members refused'] += 1
            self.daemon.stop()
            return
        if self.must_open or ': DIRTY_DEGRADED: ' not in text:
            raise Wrong(f'refused: {text}')
        self.count['refused as it must be'] += 1
        self.daemon.stop()

    def _check_size(self, size):
        """It may have grown when it was killed, and never shrinks."""
        if size < len(self.oracle):
            raise Wrong(f'it had {len(self.oracle)} bytes, and has {size}')
        self.oracle.grow(size)

    def _check_verdicts(self, chaos, expected):
        """Nobody is lost without a cause, and no failed one comes back."""
        for entry in chaos.info['members']:
            if 'node-name' not in entry:
                continue
            member = self.members.by_name(entry['node-name'])
            if member.failed and entry['state'] == 'in-sync':
                raise Wrong(f'{member.name} failed, and came back in sync')
            if entry['state'] == 'in-sync':
                expected.discard(member.name)
        armed = {m.name for m in self.members.all if m.armed or m.failed}
        if expected - armed:
            raise Wrong(f'not in sync any more: {sorted(expected)}')

    # --- living

    def _choose_ending(self, chaos):
        if not self.shape.needs_log_when_degraded():
            endings = {KILL: 6, KILL_CLEAN: 2, QUIT: 1}
        elif self.wild or chaos.failing:
            endings = {KILL_CLEAN: 7, QUIT: 2, KILL_REFUSED: 1}
        else:
            endings = {KILL: 7, KILL_CLEAN: 1, QUIT: 1}
        kind, = self.rng.choices(list(endings), list(endings.values()))
        return kind

    def _export(self, chaos):
        """Exports and their clients; several iothreads at times."""
        threads = self.rng.choice(([None], ['io0'], ['io0', 'io1']))
        clients = []
        self.exports = len(threads)
        chaos.iothreads = len(threads)
        for i, iothread in enumerate(threads):
            options = {}
            if iothread:
                # One of several has to keep the array where it is.
                options = {'iothread': iothread,
                           'fixed_iothread': i > 0}
            self.daemon.cmd('block-export-add', type='nbd', id=f'e{i}',
                            name=f'e{i}', writable=True, node_name=NODE,
                            **options)
        for i in range(self.rng.randint(len(threads), 4)):
            clients.append(self._connect(f'e{i % len(threads)}'))
        return clients

    def _live(self, chaos, ending):
        self.requests = None
        try:
            self._begin_load(chaos)
            load.read_all(self.requests.clients[0], self.oracle,
                          'after the start', self.count)
            if chaos.is_settled():
                self.oracle.settle()
            self._load(chaos, ending)
        except Died:
            self._died(chaos, self.requests)

    def _begin_load(self, chaos):
        self.requests = load.Load(self._export(chaos), self.oracle, self.rng,
                                  self.count)
        self.daemon.idle = self.requests.step
        chaos.commands.hold = self.requests.hold

    def _end_load(self):
        """No client, and no export."""
        self.daemon.idle = lambda: None
        self.requests.close()
        self.requests = None
        # QEMU's NBD server trips over clients in other iothreads otherwise.
        for i in range(self.exports):
            self._remove_export(f'e{i}')

    def _load(self, chaos, ending):
        """Some time of it; now and then all users of the array go."""
        seconds = self.rng.choice((0.3, 1, 2, 4)) * (0.5 + self.rng.random())
        end = self.diary.seconds() + seconds
        if ending in (KILL, KILL_REFUSED):
            self.daemon.kill_in(seconds)
            end += 3600
        chaos.commands.snapshots = ending not in (KILL, KILL_REFUSED)
        next_act = self.diary.seconds() + 0.1

        def between():
            nonlocal next_act
            if self.diary.seconds() > next_act:
                chaos.act(self.wild)
                next_act = self.diary.seconds() + self.rng.random() * 0.3
        self.written = True
        while self.diary.seconds() < end:
            self.requests.run(min(end - self.diary.seconds(),
                                  0.2 + self.rng.random()), between)
            if self.rng.random() < 0.3 and not chaos.commands.overlay:
                self._end_load()
                Rest(chaos, self._look_read_only).take(self.wild)
                self._check_size(chaos.info['size'])
                self._begin_load(chaos)
        chaos.commands.no_snapshot()
        chaos.commands.end_jobs()
        self.requests.quiesce()
        if ending == KILL_CLEAN:
            self._kill_clean(chaos, self.requests)
        else:
            self._quit(chaos, self.requests)

    def _look_read_only(self, chaos):
        """While the array is read-only."""
        self.daemon.cmd('block-export-add', type='nbd', id='look',
                        node_name=NODE, name='look')
        with self._connect('look') as client:
            load.read_all(client, self.oracle, 'read-only', self.count)
        self._remove_export('look')
        chaos.look()

    def _wait_clean(self, chaos, requests):
        """Reads go on; they keep nothing dirty."""
        requests.writing = False
        for _ in range(600):
            if not chaos.look()['dirty']:
                self.written = False
                return
            requests.run(0.05)
        raise Wrong('the array does not become clean')

    def _kill_clean(self, chaos, requests):
        self._wait_clean(chaos, requests)
        self.diary.note(f'clean: {chaos.states()}')
        self.daemon.kill_in(self.rng.choice((0, self.rng.random())))
        self.settled = chaos.is_settled()
        requests.run(3600)

    def _quit(self, chaos, requests):
        if self.rng.random() < 0.5:
            requests.quiesce()
            load.read_all(requests.clients[0], self.oracle, 'before the end',
                          self.count)
        chaos.look()
        settled = chaos.is_settled()
        for row in ('discard', 'zeroes'):
            chaos.met(row)
        self._end_load()
        status = self.daemon.quit()
        if status:
            raise Wrong(f'the daemon ended with status {status}')
        self.settled = settled

    # --- without some members

    def _look_with_members_missing(self):
        """All data is there, whichever tolerated members are missing."""
        members = [m for m in self.members.belonging() if m.in_sync]
        if len(members) != self.shape.slots:
            raise Wrong(f'{len(members)} members are in sync')
        self.oracle.settle()
        self._start()
        for lost in [(), *self.shape.losses(self.rng, 6)]:
            here = [m for i, m in enumerate(members) if i not in lost]
            if self.bad in here and len(lost) == self.shape.tolerates:
                continue
            nodes = [m.make_node(self.aio) for m in here]
            self._add({'driver': 'opus-raid', 'node-name': 'reader',
                       'members': nodes, 'read-only': True})
            self.daemon.cmd('block-export-add', type='nbd', id='reader',
                            node_name='reader', name='reader')
            with self._connect('reader') as client:
                gone = [m.name for i, m in enumerate(members) if i in lost]
                load.read_all(client, self.oracle, f'without {gone}',
                              self.count)
            self.count['looks with members missing'] += 1
            self._remove_export('reader')
            self.daemon.cmd('blockdev-del', node_name='reader')
        self._end_in_good_order()

    def _remove_export(self, name):
        self.daemon.cmd('block-export-del', id=name, mode='hard')
        while any(export['id'] == name
                  for export in self.daemon.cmd('query-block-exports')):
            pass
