# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line of a guest: scripts go in, output and statuses come out.

Owns: the protocol of the line, see Shell.
Must not know: what kind of guest it is, and how it was started.
"""
import os
import re
import select
import time


class Unavailable(Exception):
    """This machine cannot run a guest; the text says why."""


class GuestError(Exception):
    """The guest died, hung, or a command in it failed."""


class GuestTimeout(GuestError):
    """It did not answer in time."""


class Shell:
    """Scripts are numbered, from 1 on.  For each a line goes in that begins
    with the number; "@guest NUMBER status STATUS@" ends its output.  Number 0
    is the boot; the line "off" asks for the end.

    A guest has: self.command_fd and self.output_fd, line_for(script), and
    console_tail().
    """

    def __init__(self):
        self.command_fd = None
        self.output_fd = None
        self.unread = b''
        self.commands = 0

    def sh(self, script, timeout=300, check=True, sink=None):
        """Run a script in the guest; its output (stdout and stderr).

        With @check, raises GuestError when it fails; else returns
        (status, output).  @sink(bytes) gets the output as it comes.
        """
        self.begin(script)
        return self.finish(timeout, check, sink)

    def begin(self, script):
        """Start a script in the guest and do not wait for it."""
        self.commands += 1
        self.send(self.line_for(script))

    def finish(self, timeout=300, check=True, sink=None):
        """Wait for what begin() started; returns as sh() does."""
        mark = re.compile(rb'@guest %d status (\d+)@\r?\n' % self.commands)
        output, match = self.read_until(mark, timeout, sink)
        status, text = int(match[1]), output.decode(errors='replace')
        if not check:
            return status, text
        if status:
            raise GuestError(f'status {status} in the guest:\n{text}')
        return text

    def send(self, line):
        try:
            os.write(self.command_fd, f'{line}\n'.encode())
        except BrokenPipeError as error:
            raise GuestError('the guest is gone:\n'
                             + self.console_tail()) from error

    def read_until(self, mark, timeout, sink):
        """(output before @mark, match)"""
        deadline = time.monotonic() + timeout
        shown = 0
        while True:
            match = mark.search(self.unread)
            if match:
                end = match.start()
            else:
                # The mark may have come in part.
                last = self.unread.find(b'@', max(0, len(self.unread) - 64))
                end = last if last >= 0 else len(self.unread)
            if sink and end > shown:
                sink(self.unread[shown:end])
                shown = end
            if match:
                output = self.unread[:end]
                self.unread = self.unread[match.end():]
                return output, match
            self.unread += self.read_some(deadline)

    def read_some(self, deadline):
        left = deadline - time.monotonic()
        ready = left > 0 and select.select([self.output_fd], [], [], left)[0]
        data = os.read(self.output_fd, 65536) if ready else b''
        if data:
            return data
        kind, what = ((GuestError, 'died') if ready else
                      (GuestTimeout, 'does not answer'))
        text = self.unread.decode(errors='replace')
        raise kind(f'the guest {what}; it said:\n{text}\n'
                   f'and its kernel:\n{self.console_tail()}')
