# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be done to an array only while nobody writes to it: at random.

Owns: the array's way to read-only and back, to inactive and back, and when it
grows.
Must not know: requests.
"""

from oracle import Wrong

NODE = 'r0'


class Rest:
    """Between two loads; @look_read_only reads the whole array."""

    def __init__(self, chaos, look_read_only):
        self.chaos = chaos
        self.look_read_only = look_read_only

    def take(self, wild):
        """One way and back, or larger. Refused while jobs run; then nothing happens."""
        chaos = self.chaos
        chaos.commands.end_jobs()
        chaos.look()
        if chaos.rng.random() < 0.3:
            chaos.commands.grow()
        else:
            chaos.rng.choice((self._read_only, self._inactive))(wild)
        chaos.look()

    def _reopen(self, read_only):
        options = {**self.chaos.commands.options(), 'read-only': read_only}
        return self.chaos.attempt('blockdev-reopen', options=[options])

    def _read_only(self, wild):
        if self._reopen(True):
            return
        self.chaos.read_only = True
        self.look_read_only(self.chaos)
        self._fail(wild)
        error = self._reopen(False)
        self.chaos.read_only = False
        if error:
            raise Wrong(f'the array can not become writable: {error}')
        self.chaos.look()
        self.chaos.met('read-only to writable')

    def _inactive(self, wild):
        if self.chaos.attempt('blockdev-set-active', node_name=NODE,
                              active=False):
            return
        self._fail(wild)
        error = self.chaos.attempt('blockdev-set-active', node_name=NODE,
                                   active=True)
        if error:
            raise Wrong(f'the array can not become active: {error}')
        self.chaos.look()
        self.chaos.met('inactivate')

    def _fail(self, wild):
        if wild and self.chaos.rng.random() < 0.3:
            self.chaos.fail()
