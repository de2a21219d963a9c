# SPDX-License-Identifier: GPL-2.0-or-later
"""Members fail, are removed and added, rebuilds are hindered: at random.

Owns: which failures the array must bear (the budget), and what it looked like
when it was last asked.
Must not know: requests.
"""

from commands import Commands
from crossings import conditions
from daemon import Refused
from members import delay_rule, random_rule
from oracle import Wrong

JOB = 'opus-raid-rebuild-r0'
NODE = 'r0'


class Chaos:
    """One run of the daemon. Called between requests."""

    def __init__(self, setup, daemon, shape, members, oracle, rng, aio):
        self.daemon = daemon
        self.shape = shape
        self.members = members
        self.oracle = oracle
        self.rng = rng
        self.diary = setup.diary
        self.count = setup.count
        self.crossings = setup.crossings
        self.aio = aio
        self.info = None
        self.iothreads = 1
        self.read_only = False
        self.commands = Commands(self, setup.directory)
        self.replaced = set()       # slots of members that are being replaced
        self.wild = False           # members are to fail
        self._set_failing(False)

    def _set_failing(self, failing):
        """Is a member missing, or may one be before we look again?"""
        self.failing = failing
        # Where copies may differ, it is another one that is read then.
        self.oracle.set_lenient(failing)

    # --- looking

    def look(self):
        """Ask what the array is like, and take note of it."""
        self.info, = self.daemon.cmd('query-opus-raid', node_name=NODE)
        self.shape.policy = self.info.get('consistency-policy',
                                          self.shape.policy)
        self.note_events()
        self.replaced = self._slots('in-sync') & self._slots('rebuilding')
        for entry in self.info['members']:
            if 'node-name' not in entry:
                continue
            member = self.members.by_name(entry['node-name'])
            # One that is being replaced is out at any moment.
            member.in_sync = entry['state'] == 'in-sync' and \
                not member.armed and entry['slot'] not in self.replaced
            member.old = entry['state'] in ('faulty', 'stale')
            if entry['state'] == 'faulty':
                member.failed = True
                member.armed = None
        if self.info['state'] == 'failed':
            raise Wrong(f'the array has failed: {self.states()}')
        self._set_failing(self.missing() > 0 or bool(self.members.armed()))
        return self.info

    def note_events(self):
        for event in self.daemon.take_events():
            if event['event'].startswith('OPUS_RAID_'):
                self._note_event(event['event'], event['data'])
            elif event['event'] == 'BLOCK_JOB_COMPLETED':
                self.diary.note(f"job {event['data']['device']} ended: "
                                f"{event['data'].get('error', 'well')}")

    def _note_event(self, name, data):
        self.count[name] += 1
        words = ' '.join(f'{key}={value}' for key, value in data.items()
                         if key != 'node-name')
        self.diary.note(f'event {name} {words}')
        if name == 'OPUS_RAID_MISMATCH':
            raise Wrong(f'members do not fit together: {data}')
        if name == 'OPUS_RAID_MEMBER_FAILED':
            self._lost(self.members.by_name(data['member']))
        elif name == 'OPUS_RAID_MEMBER_IN_SYNC':
            # A rebuilt one, be it new or one that came back.
            self.members.by_name(data['member']).failed = False

    def _lost(self, member):
        member.failed = True
        member.old = True
        member.in_sync = False
        member.armed = None
        self._set_failing(True)

    def states(self):
        words = ' '.join(
            f"{entry.get('node-name', '-')}={entry['state']}"
            for entry in self.info['members'])
        return (f"{self.info['state']}{' dirty' * self.info['dirty']}, "
                f"events {self.info['events']}: {words}")

    def _slots(self, state):
        return {entry['slot'] for entry in self.info['members']
                if entry['state'] == state and 'slot' in entry}

    def missing(self):
        return self.shape.slots - len(self._slots('in-sync'))

    def is_settled(self):
        """Is redundancy right everywhere, as far as is known?"""
        return self.info['state'] == 'optimal' and not self.failing and \
            not self.replaced

    def budget(self):
        """How many more members may fail."""
        if self.shape.parity and self.info['state'] == 'resync-pending':
            return 0
        return (self.shape.tolerates - self.missing()
                - len(self.members.armed()) - self.has_bad_blocks())

    def has_bad_blocks(self):
        """Then one member less can be missed, in some place."""
        return any(entry.get('bad-bytes') for entry in self.info['members'])

    # --- what meets

    def met(self, row):
        """Something was done, in the condition that was seen last."""
        self.crossings.note(row, conditions(
            self.info, self.iothreads,
            self.commands.array.get('member-timeout'), self.read_only))

    # --- before the array is opened

    def arm(self, members, budget):
        """Nodes of the members; up to @budget of them are going to fail."""
        nodes = []
        for member in members:
            rules = []
            if self.rng.random() < 0.15:
                rules.append(delay_rule(self.rng))
            elif budget > 0 and self.rng.random() < 0.3:
                what, rule = random_rule(self.rng, self.shape)
                rules.append(rule)
                member.armed = what
                member.in_sync = False
                self._set_failing(True)
                budget -= 1
                self.diary.note(f'{member.name}: {what}')
            nodes.append(member.make_node(self.aio, rules))
        return nodes

    # --- while it runs

    def act(self, wild):
        """Look, then do one random thing that is possible.

        Unless @wild, none that makes a member fail.
        """
        self.look()
        self.wild = wild
        actions = [self._fail] * 3 + [self._add] * 3 + [
            self._remove, self._remove, self._readd, self._readd, self._speed,
            self._pause, self._cancel, self._remove_in_use, self._policy,
            self._replace, self._replace, *self.commands.actions()]
        if self.commands.overlay:
            # The array is read-only below it.
            actions = [self._fail, *self.commands.actions_on_overlay()]
        self.rng.shuffle(actions)
        for action in actions:
            if action():
                return

    def entries(self, *states):
        return [entry for entry in self.info['members']
                if entry['state'] in states and 'node-name' in entry]

    def attempt(self, command, **args):
        """Returns None, or why it was refused."""
        words = ' '.join(str(value) for value in args.values())
        try:
            self.daemon.cmd(command, **args)
        except Refused as error:
            self.diary.note(f'{command} {words}: {error}')
            return str(error)
        self.diary.note(f'{command} {words}')
        return None

    def _fail(self):
        return self.wild and self.fail()

    def fail(self):
        """One of those that may, by command. It is to stay failed."""
        found = self.entries('in-sync', 'rebuilding')
        if not found:
            return False
        entry = self.rng.choice(found)
        if 'slot' not in entry:
            return False
        if entry['state'] == 'in-sync' and self.budget() < 1:
            return False
        member = self.members.by_name(entry['node-name'])
        member.in_sync = False
        self._set_failing(True)
        self.count['fail-member'] += 1
        if not self.attempt('opus-raid-fail-member', node_name=NODE,
                            member=member.name):
            self.met('fail')
            self._lost(member)
        return True

    def _remove(self):
        found = self.entries('faulty', 'stale', 'spare')
        if not found:
            return False
        member = self.members.by_name(self.rng.choice(found)['node-name'])
        if self.attempt('opus-raid-remove-member', node_name=NODE,
                        member=member.name):
            return True
        self.daemon.cmd('blockdev-del', node_name=member.name)
        member.node = None
        member.armed = None
        self.count['remove-member'] += 1
        # Otherwise it is there again at the next start.
        if self.rng.random() < 0.7:
            member.blank()
            self.diary.note(f'{member.name}: blank')
        return True

    def _remove_in_use(self):
        found = self.entries('in-sync')
        if not found or self.rng.random() < 0.7:
            return False
        name = self.rng.choice(found)['node-name']
        if self.attempt('opus-raid-remove-member', node_name=NODE,
                        member=name):
            return True
        # It may have failed since we looked.
        self.look()
        if not self.members.by_name(name).failed:
            raise Wrong(f'{name} was removed while it was in use')
        return True

    def _add(self):
        unused = self.members.unused()
        if not unused or not self.shape.tolerates:
            return False
        member = self.rng.choice(unused)
        rules = []
        if self.rng.random() < 0.1:
            what, rule = random_rule(self.rng, self.shape)
            rules.append(rule)
            member.armed = what
            self.diary.note(f'{member.name}: {what}')
        self.daemon.cmd('blockdev-add', **member.make_node(self.aio, rules))
        error = self.attempt('opus-raid-add-member', node_name=NODE,
                             member=member.name, **self._flags())
        if not error:
            self.met('add')
        self.count['add-member'] += 1
        if error and not member.armed:
            raise Wrong(f'a blank member was refused: {error}')
        if error:
            self.daemon.cmd('blockdev-del', node_name=member.name)
            member.node = None
            member.blank()
        return True

    def _readd(self):
        """One that was removed comes back, as it is if there is a bitmap."""
        gone = [m for m in self.members.belonging() if not m.node]
        if not gone:
            return False
        member = self.rng.choice(gone)
        self.daemon.cmd('blockdev-add', **member.make_node(self.aio))
        error = self.attempt('opus-raid-add-member', node_name=NODE,
                             member=member.name)
        self.count['came back' if not error else 'could not come back'] += 1
        if error and self.rng.random() < 0.5:
            error = self.attempt('opus-raid-add-member', node_name=NODE,
                                 member=member.name, force=True)
        if error:
            self.daemon.cmd('blockdev-del', node_name=member.name)
            member.node = None
        else:
            self.met('re-add')
            member.failed = False
        return True

    def _flags(self):
        """For a member of a mirror, now and then."""
        if self.shape.parity or self.rng.random() < 0.7:
            return {}
        return {self.rng.choice(('write_mostly', 'failfast')): True}

    def _replace(self):
        """A spare, or a blank one, takes the place of one that works."""
        found = self.entries('in-sync')
        unused = self.members.unused()
        if not found or self.failing or self.replaced or \
                not (unused or self.entries('spare')):
            return False
        old = self.members.by_name(self.rng.choice(found)['node-name'])
        options = {}
        new = None
        if not self.entries('spare'):
            new = self.rng.choice(unused)
            self.daemon.cmd('blockdev-add', **new.make_node(self.aio))
            options['replacement'] = new.name
        old.in_sync = False
        error = self.attempt('opus-raid-replace-member', node_name=NODE,
                             member=old.name, **options)
        self.count['replace-member refused' if error
                   else 'replace-member'] += 1
        if not error:
            self.met('replace')
        if error and new:
            self.daemon.cmd('blockdev-del', node_name=new.name)
            new.node = None
            new.blank()
        return True

    def _policy(self):
        """Another one; killed meanwhile, it is one of three."""
        policies = [p for p in self.shape.policies if p != self.shape.policy]
        if not policies or not self.is_settled():
            return False
        policy = self.rng.choice(policies)
        old, self.shape.policy = self.shape.policy, None
        error = self.attempt('opus-raid-set-consistency-policy', node_name=NODE,
                             policy=policy)
        self.shape.policy = old if error else policy
        if not error:
            self.met('policy change')
        self.count[f'policy {policy} {"refused" if error else "set"}'] += 1
        return True

    # --- the rebuild

    def _job(self):
        return next((job for job in self.daemon.cmd('query-jobs')
                     if job['id'] == JOB), None)

    def _speed(self):
        if not self._job():
            return False
        speed = self.rng.choice((0, 0, 1 << 20, 4 << 20))
        self.attempt('block-job-set-speed', device=JOB, speed=speed)
        return True

    def _pause(self):
        job = self._job()
        if not job:
            return False
        command = 'resume' if job['status'] == 'paused' else 'pause'
        self.attempt(f'block-job-{command}', device=JOB)
        return True

    def _cancel(self):
        if not self._job() or self.rng.random() < 0.5:
            if (self.missing() or self.replaced) and not self._job():
                self.attempt('opus-raid-rebuild', node_name=NODE)
                return True
            return False
        self.attempt('block-job-cancel', device=JOB)
        return True
