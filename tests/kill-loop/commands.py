# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to an array as a whole while it is used: at random.

Owns: commands of the array and of QEMU that name the array's node.
Must not know: members, but for their sizes; requests.

Every action returns False if it can't be done now. One that the daemon may
refuse takes that for an answer; a wrong reason is not told from a right one
here, but in the iotests.
"""

import os
import time

from oracle import Wrong

CHECK_JOB = 'check'
COPY_JOB = 'copy'
NODE = 'r0'
MOST_GROWTHS = 3
PATIENCE_S = 1


class Commands:
    """For one run of the daemon, beside its Chaos."""

    def __init__(self, chaos, directory):
        self.chaos = chaos
        self.daemon = chaos.daemon
        self.rng = chaos.rng
        self.directory = directory
        self.array = {}             # options that it was opened with
        self.snapshots = False      # the array's own content is not enough
        self.overlay = None         # node that is on top of it
        self.hold = lambda held: None   # no new requests, or again

    def actions(self):
        """Some of them more often than others."""
        return [self._reopen, self._reopen, self._check, self._copy,
                self._export, self._snapshot]

    def actions_on_overlay(self):
        return [self._export, self._snapshot, self._snapshot]

    def _path(self, name):
        return os.path.join(self.directory, name)

    def _jobs(self):
        return {job['id']: job for job in self.daemon.cmd('query-jobs')}

    # --- options

    def options(self):
        """Those of blockdev-reopen; some are new."""
        self.array.update({
            'rebuild-speed': self.rng.choice((0, 0, 512 << 10, 4 << 20)),
            'rebuild-speed-min': self.rng.choice((1 << 20, 8 << 20)),
            'member-timeout': self.rng.choice((0, 60000)),
            'read-error-limit': self.rng.choice((20, 1000))})
        return {key: value for key, value in self.array.items()
                if key != 'members'}

    def _reopen(self):
        error = self.chaos.attempt('blockdev-reopen',
                                   options=[self.options()])
        if error:
            raise Wrong(f'an option was not taken: {error}')
        self.chaos.met('reopen with an option')
        return True

    # --- jobs

    def _check(self):
        """Or end the one that there is; what it found, events have told."""
        if CHECK_JOB in self._jobs():
            if self.rng.random() < 0.7:
                return False
            self.chaos.attempt('block-job-cancel', device=CHECK_JOB)
            return True
        mode = self.rng.choice(('check', 'check', 'repair'))
        if not self.chaos.attempt('opus-raid-check', node_name=NODE, mode=mode,
                                  job_id=CHECK_JOB):
            self.chaos.met(mode)
        return True

    def _copy(self):
        """A backup of it, or a mirror, which is cancelled when it is ready."""
        if self.overlay:
            return False
        job = self._jobs().get(COPY_JOB)
        if job and job['status'] != 'concluded':
            if job['status'] == 'ready' or self.rng.random() < 0.2:
                self.chaos.attempt('block-job-cancel', device=COPY_JOB)
                return True
            return False
        if job:
            self._drop_copy()
        command = self.rng.choice(('blockdev-backup', 'blockdev-mirror'))
        self.daemon.cmd('blockdev-add', driver='null-co', node_name='copy',
                        size=self.chaos.info['size'])
        if self.chaos.attempt(command, job_id=COPY_JOB, device=NODE,
                              target='copy', sync='full',
                              auto_dismiss=False):
            self.daemon.cmd('blockdev-del', node_name='copy')
        else:
            self.chaos.met(command.removeprefix('blockdev-'))
        return True

    def _running(self):
        """A job may end, and be forgotten, between any two looks."""
        jobs = self._jobs()
        return [job for job in (CHECK_JOB, COPY_JOB)
                if job in jobs and jobs[job]['status'] != 'concluded']

    def _drop_copy(self):
        self.daemon.cmd('job-dismiss', id=COPY_JOB)
        self.daemon.cmd('blockdev-del', node_name='copy')

    def end_jobs(self):
        """Before the array is let go by all its users."""
        for job in self._running():
            self.chaos.attempt('block-job-cancel', device=job, force=True)
        while self._running():
            pass
        if COPY_JOB in self._jobs():
            self._drop_copy()

    # --- size

    def grow(self):
        """NBD exports do not let the node be resized."""
        members = self.chaos.members
        if self.overlay or members.growths >= MOST_GROWTHS:
            return False
        bytes_ = members.all[0].size + (self.rng.randrange(64, 512, 4) << 10)
        members.grow(bytes_, lambda node, size: self.daemon.cmd(
            'block_resize', node_name=node, size=size))
        command = self.rng.choice(('opus-raid-grow', 'block_resize'))
        options = {}
        if command == 'block_resize':
            # A sector more is rounded up, or refused with the next size.
            options['size'] = self.chaos.info['size'] + (1 << 20)
        if not self.chaos.attempt(command, node_name=NODE, **options):
            self.chaos.met('grow' if command == 'opus-raid-grow'
                           else 'resize')
        self.chaos.look()
        return True

    # --- exports

    def _export(self):
        """One more that nobody uses comes and goes."""
        path = self._path('vub.sock')
        options = {}
        mapped = self.rng.random() < 0.5
        if mapped:
            options['iothread_vq_mapping'] = [{'iothread': 'io0'},
                                              {'iothread': 'io1'}]
        if self.chaos.attempt('block-export-add', type='vhost-user-blk',
                              id='vub', node_name=self.overlay or NODE,
                              addr={'type': 'unix', 'path': path},
                              **options):
            return True
        self.chaos.met('export with mapping' if mapped else 'export')
        self.daemon.cmd('block-export-del', id='vub')
        while any(export['id'] == 'vub'
                  for export in self.daemon.cmd('query-block-exports')):
            pass
        return True

    # --- snapshots

    def _snapshot(self):
        """Writes go to an overlay for a while, and then to the array."""
        if self.overlay:
            return self._commit()
        if not self.snapshots or self._jobs() or self.rng.random() < 0.5:
            return False
        path = self._path('overlay.qcow2')
        file = {'driver': 'file', 'filename': path}
        self.daemon.job('blockdev-create', options={**file, 'size': 0})
        self.daemon.cmd('blockdev-add', node_name='overlay-file', **file)
        self.daemon.job('blockdev-create', options={
            'driver': 'qcow2', 'file': 'overlay-file',
            'size': self.chaos.info['size']})
        self.daemon.cmd('blockdev-add', node_name='overlay', driver='qcow2',
                        file='overlay-file', backing=None, discard='unmap')
        if self.chaos.attempt('blockdev-snapshot', node=NODE,
                              overlay='overlay'):
            self._drop_overlay()
        else:
            self.overlay = 'overlay'
        return True

    def _commit(self):
        """Returns True when all data is in the array again."""
        if self._jobs():
            return False
        if self.chaos.attempt('block-commit', job_id=COPY_JOB,
                              device=self.overlay):
            raise Wrong('a snapshot can not be committed')
        # Under full load there may always be more to copy.
        self.hold(self.rng.random() < 0.7)
        end = time.monotonic() + PATIENCE_S
        while True:
            if time.monotonic() > end:
                self.hold(True)
            job = self._jobs().get(COPY_JOB)
            if not job:
                break
            if job['status'] == 'ready':
                self.chaos.attempt('block-job-complete', device=COPY_JOB)
        self.hold(False)
        self.overlay = None
        self._drop_overlay()
        self.chaos.met('snapshot and commit')
        return True

    def _drop_overlay(self):
        self.daemon.cmd('blockdev-del', node_name='overlay')
        self.daemon.cmd('blockdev-del', node_name='overlay-file')

    def no_snapshot(self):
        """Have the array's own content be enough."""
        self.snapshots = False
        while self.overlay:
            self._commit()
