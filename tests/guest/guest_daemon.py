# SPDX-License-Identifier: GPL-2.0-or-later
"""A storage daemon in a guest; its monitor is the guest's third serial line.

Owns: the line, and the daemon's start and end.
Must not know: what it serves.
"""
import json
import shlex
import socket
import time

from shell import GuestError

TIMEOUT = 120
START = '''
(
    status=0
    qemu-storage-daemon --chardev serial,id=line,path=/dev/ttyS2 \
        --monitor chardev=line {args} || status=$?
    echo "status $status"
) > daemon.log 2>&1 &
'''
ENDED = 'while ! grep -q "^status" daemon.log; do sleep 0.1; done; cat daemon.log'


def line_devices(path):
    """The emulator's arguments for the line."""
    return ['-chardev', f'socket,id=daemon,path={path},server=on,wait=off',
            '-serial', 'chardev:daemon']


class GuestDaemon:
    """with GuestDaemon(guest, path, args) as daemon: daemon.cmd(...)"""

    def __init__(self, guest, path, args):
        self.guest = guest
        self.path = path
        self.args = args
        self.events = []
        self.line = None
        self.unread = b''

    def __enter__(self):
        self.line = socket.socket(socket.AF_UNIX)
        self.line.connect(self.path)
        self.line.settimeout(TIMEOUT)
        self.guest.sh(START.format(args=shlex.join(self.args)))
        while 'QMP' not in self.receive():
            pass
        self.cmd('qmp_capabilities')
        return self

    def __exit__(self, failed, *_exc):
        if not failed:
            self.cmd('quit')
            said = self.guest.sh(ENDED, timeout=TIMEOUT)
            if 'status 0\n' not in said.replace('\r', ''):
                raise GuestError(f'the storage daemon said: {said}')
        self.line.close()

    def receive(self):
        """The next message; what else is on the line is left out."""
        while True:
            line, mark, rest = self.unread.partition(b'\n')
            if mark:
                self.unread = rest
                try:
                    return json.loads(line)
                except ValueError:
                    continue
            try:
                data = self.line.recv(65536)
            except socket.timeout as error:
                raise GuestError('the storage daemon does not answer: '
                                 + self.guest.sh('cat daemon.log')) from error
            self.unread += data

    def cmd(self, name, **arguments):
        """What it returns; arguments as QMP has them, with _ for -."""
        arguments = {key.replace('_', '-'): value
                     for key, value in arguments.items()}
        self.line.sendall(json.dumps({'execute': name, 'arguments': arguments})
                          .encode() + b'\n')
        while True:
            message = self.receive()
            if 'event' in message:
                self.events.append(message)
            elif 'error' in message:
                raise GuestError(f'{name}: {message["error"]["desc"]}')
            elif 'return' in message:
                return message['return']

    def wait_event(self, name, **data):
        """The first event of that name that has these data; it is taken."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            for event in self.events:
                if event['event'] == name and \
                   data.items() <= event['data'].items():
                    self.events.remove(event)
                    return event['data']
            message = self.receive()
            if 'event' in message:
                self.events.append(message)
        raise GuestError(f'no {name} but {self.events}')

    def run_job(self, name, job, **arguments):
        """A command that starts a job, to its end."""
        self.cmd(name, job_id=job, **arguments)
        self.wait_event('JOB_STATUS_CHANGE', id=job, status='concluded')
        jobs = {info['id']: info for info in self.cmd('query-jobs')}
        self.cmd('job-dismiss', id=job)
        if 'error' in jobs[job]:
            raise GuestError(f'{name}: {jobs[job]["error"]}')
