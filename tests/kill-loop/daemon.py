# SPDX-License-Identifier: GPL-2.0-or-later
"""A storage daemon that may die at any moment.

Owns: the process, QMP.
Must not know: arrays.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import threading
import time

TIMEOUT_S = 120
_PR_SET_PDEATHSIG = 1


class Died(Exception):
    """The daemon is not there any more."""


class Refused(Exception):
    """A QMP command failed; the text is the error's."""


class Hung(Exception):
    """No answer for a long time."""


def _die_with_parent():
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Daemon:
    """A running qemu-storage-daemon."""

    def __init__(self, program, args, stderr_path):
        self.events = []
        self.killed = False
        # Called while there is no answer. A command may wait for requests,
        # and these for a client that takes replies.
        self.idle = lambda: time.sleep(0.001)
        self._buffer = b''
        self._lock = threading.Lock()
        self._timer = None
        with open(stderr_path, 'ab') as stderr:
            self.process = subprocess.Popen(
                [program, *args, '--chardev', 'stdio,id=qmp', '--monitor',
                 'chardev=qmp'], stdin=subprocess.PIPE, stderr=stderr,
                stdout=subprocess.PIPE, bufsize=0,
                preexec_fn=_die_with_parent)
        self._receive()
        self.cmd('qmp_capabilities')

    # --- the end

    def kill(self):
        """kill -9. Any thread."""
        with self._lock:
            if self.process.returncode is None:
                self.killed = True
                self.process.kill()

    def kill_in(self, seconds):
        """kill -9 a little later, whatever goes on then."""
        self._timer = threading.Timer(seconds, self.kill)
        self._timer.daemon = True
        self._timer.start()

    def quit(self):
        """Have it end in good order; returns its status."""
        try:
            self.cmd('quit')
        except Died:
            pass
        return self.wait()

    def wait(self):
        """Until it has ended; returns its status."""
        if self._timer:
            self._timer.cancel()
        try:
            status = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise Hung('the daemon does not end') from error
        finally:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        return status

    def stop(self):
        """kill -9, and wait. May have ended before."""
        if not self.process.stdin.closed:
            self.kill()
            self.wait()

    # --- QMP

    def _receive(self):
        deadline = time.monotonic() + TIMEOUT_S
        fd = self.process.stdout.fileno()
        while b'\n' not in self._buffer:
            ready, _, _ = select.select([fd], [], [], 0)
            if not ready:
                if time.monotonic() > deadline:
                    raise Hung('no answer by QMP')
                self.idle()
                continue
            part = os.read(fd, 65536)
            if not part:
                raise Died
            self._buffer += part
        line, self._buffer = self._buffer.split(b'\n', 1)
        return json.loads(line)

    def cmd(self, command, **args):
        """Run a command; raises Refused when it fails."""
        args = {key.replace('_', '-'): value for key, value in args.items()}
        text = json.dumps({'execute': command, 'arguments': args}) + '\n'
        try:
            self.process.stdin.write(text.encode())
        except BrokenPipeError as error:
            raise Died from error
        while True:
            answer = self._receive()
            if 'event' in answer:
                self.events.append(answer)
            elif 'error' in answer:
                raise Refused(answer['error']['desc'])
            else:
                return answer['return']

    def take_events(self):
        """Those that came up to now, which are then forgotten."""
        events, self.events = self.events, []
        return events

    def job(self, command, **args):
        """A command that starts a job; waits for its end."""
        self.cmd(command, job_id='job', **args)
        while self.cmd('query-jobs')[0]['status'] != 'concluded':
            time.sleep(0.002)
        error = self.cmd('query-jobs')[0].get('error')
        self.cmd('job-dismiss', id='job')
        if error:
            raise Refused(error)
