# SPDX-License-Identifier: GPL-2.0-or-later
"""A storage daemon with arrays in it, driven by QMP and NBD.

What it prints is logged when it ends, so no message goes unseen.
"""

import hashlib
import os
import re
import time
from contextlib import contextmanager

import iotests
from iotests import QemuStorageDaemon, log

from .members import array_node
from .nbd import Client

TIMEOUT_S = 120


def filtered(text):
    """Without paths, and counts that depend on when the array was idle."""
    text = re.sub(r'event count is \d+, that of the array \d+',
                  'event count is X, that of the array Y',
                  iotests.filter_test_dir(text))
    return re.sub(r'superblock is \d+ s older', 'superblock is N s older',
                  text)


def text_of(event):
    """An event in one line, without its time."""
    data = ' '.join(f'{key}={value}' for key, value
                    in sorted(event['data'].items()))
    return f"{event['event']} {data}"


class Daemon:
    """A running qemu-storage-daemon with an NBD server."""

    def __init__(self, *args, name='a', quiet=False):
        self.quiet = quiet      # what it prints is not logged
        self._stderr = os.path.join(iotests.test_dir, f'qsd-{name}.stderr')
        self.socket = os.path.join(iotests.sock_dir, f'nbd-{name}.sock')
        saved = os.dup(2)
        with open(self._stderr, 'wb') as stderr:
            os.dup2(stderr.fileno(), 2)
        try:
            self._qsd = QemuStorageDaemon(
                *args, '--nbd-server',
                f'addr.type=unix,addr.path={self.socket},max-connections=0',
                instance_id=name, qmp=True)
        finally:
            os.dup2(saved, 2)
            os.close(saved)
        self.pid = self._qsd._pid       # pylint: disable=protected-access
        self._qmp = self._qsd.get_qmp()
        self._qmp.settimeout(TIMEOUT_S)
        self._events = []
        self._exports = 0
        self._tops = {}

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self._qsd:
            self.stop(kill=kind is not None)

    # --- end

    def _log_stderr(self):
        with open(self._stderr, encoding='utf-8') as file:
            lines = file.read().splitlines()
        os.remove(self._stderr)
        for line in [] if self.quiet else lines:
            log('stderr: ' + re.sub(r'^.*qemu-storage-daemon: ', '',
                                    filtered(line)))
        return lines

    def stop(self, kill=False):
        """Stop it in good order, or kill -9; log and return what it printed."""
        qsd, self._qsd = self._qsd, None
        process = qsd._p        # pylint: disable=protected-access
        try:
            qsd.stop(kill_signal=9 if kill else 15)
        except EOFError:
            pass                # it was faster than the QMP client
        if process.returncode != (-9 if kill else 0):
            log(f'the daemon ended with status {process.returncode}')
        for path in (self.socket, qsd.pidfile):
            iotests.try_remove(path)
        return self._log_stderr()

    def wait_said(self, text, times=1):
        """Until it has printed that so many times."""
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            with open(self._stderr, encoding='utf-8') as file:
                if file.read().count(text) >= times:
                    return
            if time.monotonic() > deadline:
                raise AssertionError(f'it does not say "{text}"')
            time.sleep(0.005)

    # --- QMP

    def cmd(self, command, **args):
        """Run a command that must succeed."""
        args = {key.replace('_', '-'): value for key, value in args.items()}
        reply = self._qmp.cmd_raw(command, args)
        if 'error' in reply:
            raise AssertionError(f"{command}: {reply['error']['desc']}")
        return reply['return']

    def send_only(self, command, **args):
        """Send a command to a daemon that won't live to answer it."""
        args = {key.replace('_', '-'): value for key, value in args.items()}
        qmp = self._qmp._qmp            # pylint: disable=protected-access
        self._qmp._sync(qmp._issue(     # pylint: disable=protected-access
            qmp.make_execute_msg(command, args)))
        qmp._pending.clear()            # pylint: disable=protected-access

    def attempt(self, command, **args):
        """The text of the error of a command that may fail, or None."""
        args = {key.replace('_', '-'): value for key, value in args.items()}
        reply = self._qmp.cmd_raw(command, args)
        return filtered(reply['error']['desc']) if 'error' in reply else None

    def error(self, command, **args):
        """The text of the error of a command that must fail."""
        error = self.attempt(command, **args)
        if error is None:
            raise AssertionError(f'{command} worked, it should not')
        return error

    def add(self, node):
        """blockdev-add; returns the node's name."""
        self.cmd('blockdev-add', **node)
        return node['node-name']

    def add_still(self, node):
        """The same for an array that must not start jobs by itself.

        Arrays start them only if they are the monitor's own. This one belongs
        to a node over it.
        """
        name = node['node-name']
        self._tops[name] = f'{name}-top'
        self.cmd('blockdev-add', driver='raw', file=node,
                 node_name=self._tops[name])
        return name

    def add_error(self, node):
        return self.error('blockdev-add', **node)

    def remove(self, *names):
        for name in names:
            self.cmd('blockdev-del', node_name=self._tops.pop(name, name))

    # --- events

    def _collect(self):
        # One by one: get_events() gives but one of those that come while it
        # looks, and clear_events() would throw the others away.
        while event := self._qmp.pull_event():
            if not event['event'].startswith('JOB_'):
                self._events.append(event)

    def raid_events(self):
        """The array events up to now, as text; they are then forgotten."""
        self.cmd('query-version')       # what was sent before is now here
        self._collect()
        events = [text_of(event) for event in self._events
                  if event['event'].startswith('OPUS_RAID_')]
        self._events = []
        return events

    def wait_event(self, name):
        """Wait for an event; those of other names stay."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            self._collect()
            for event in self._events:
                if event['event'] == name:
                    self._events.remove(event)
                    return event
            self._events += [self._qmp.pull_event(wait=float(TIMEOUT_S))]
        raise AssertionError(f'no event {name}')

    # --- arrays

    def create(self, **options):
        """blockdev-create an array; returns the error, None if it worked."""
        options = {key.replace('_', '-'): value
                   for key, value in options.items()}
        self.cmd('blockdev-create', job_id='create',
                 options={'driver': 'opus-raid', **options})
        while True:
            # Arrays that are open may have jobs of their own.
            job, = [job for job in self.cmd('query-jobs')
                    if job['id'] == 'create']
            if job['status'] == 'concluded':
                break
            self._qmp.pull_event(wait=float(TIMEOUT_S))
        self.cmd('job-dismiss', id='create')
        self._collect()
        return job.get('error')

    def make(self, members, **options):
        """Create an array on all of the members' files, which must work."""
        nodes = members.nodes(discard='unmap')
        names = [self.add(node) for node in nodes]
        error = self.create(members=names, **options)
        if error:
            raise AssertionError(f'create: {error}')
        self.remove(*names)

    def raid(self, name='r0'):
        """query-opus-raid of one array."""
        info, = self.cmd('query-opus-raid', node_name=name)
        return info

    def states(self, name='r0'):
        """The array's state and its members', in one line."""
        info = self.raid(name)
        members = ' '.join(member['state'] for member in info['members'])
        return f"{info['state']}: {members}"

    def wait_clean(self, name='r0'):
        """Wait until the idle check has marked the array clean."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.raid(name)['dirty']:
            if time.monotonic() > deadline:
                raise AssertionError('the array did not become clean')
            time.sleep(0.05)

    def stats(self, name='r0'):
        """The array's own counters."""
        for node in self.cmd('query-blockstats', query_nodes=True):
            if node['node-name'] == name:
                return {key: value for key, value
                        in node['driver-specific'].items() if key != 'driver'}
        raise AssertionError(f'no node {name}')

    # --- I/O

    @contextmanager
    def client(self, node='r0', writable=True, **options):
        """Export a node and connect to it."""
        self._exports += 1
        name = f'export{self._exports}'
        self.cmd('block-export-add', type='nbd', id=name, node_name=node,
                 name=name, writable=writable, **options)
        client = Client(self.socket, name)
        try:
            yield client
        finally:
            client.close()
        if self._qsd:
            self.remove_export(name)

    def remove_export(self, name):
        self.cmd('block-export-del', id=name, mode='hard')
        while self.wait_event('BLOCK_EXPORT_DELETED')['data']['id'] != name:
            pass

    def read_array(self, nodes, **options):
        """All the data of an array that is opened read-only for this."""
        name = self.add(array_node(nodes, node='reader', **{'read-only': True},
                                   **options))
        with self.client(name, writable=False) as client:
            data = client.read()
        self.remove(name)
        return data

    def hash_array(self, nodes, **options):
        return hashlib.sha256(self.read_array(nodes, **options)).hexdigest()
