# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of an array's jobs do again and again."""

import itertools
import time

from .daemon import TIMEOUT_S
from .members import array_node
from .scenario import same

# How many members a level may lose.
PARITY = {'raid5': 1, 'raid6': 2}


def wait_until(what, true):
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f'it never came: {what}')
        time.sleep(0.02)


def wait_job(daemon):
    """Until no job is left. Returns the job's error, or None."""
    event = daemon.wait_event('BLOCK_JOB_COMPLETED')
    wait_until('end of the job', lambda: not daemon.cmd('query-jobs'))
    return event['data'].get('error')


def cancel_job(daemon, job):
    daemon.cmd('block-job-cancel', device=job)
    daemon.wait_event('BLOCK_JOB_CANCELLED')
    wait_until('end of the job', lambda: not daemon.cmd('query-jobs'))


def set_speed(daemon, job, speed):
    daemon.cmd('block-job-set-speed', device=job, speed=speed)


def hold(daemon, job, what, reached):
    """Until the job has come so far; there it stays, whatever comes next.

    Without, what comes next would have to be done before the job ends.
    """
    wait_until(what, reached)
    set_speed(daemon, job, 1)


def hurry(daemon, job):
    """No limit of speed any more; the job may have ended by itself."""
    daemon.attempt('block-job-set-speed', device=job, speed=0)


def every_loss(level, n):
    """All sets of members that the level may be without; mirrors: each one."""
    return itertools.combinations(range(n), PARITY.get(level, 1))


def verify_losses(daemon, nodes, model, most=1):
    """The array's data with all members, and without up to @most of them."""
    same('complete', daemon.read_array(nodes, assemble='strict'), model)
    for nr in range(1, most + 1):
        for lost in itertools.combinations(range(len(nodes)), nr):
            rest = [node for i, node in enumerate(nodes) if i not in lost]
            same(f'{lost} missing', daemon.read_array(rest), model)


def verify_redundancy(daemon, level, members, model):
    """The array's data, also without each set that the level can lose."""
    verify_losses(daemon, members.nodes(), model, PARITY.get(level, 1))


def rebuilt(daemon):
    """Bytes of the member that has most of them to show for a rebuild."""
    return max(m.get('rebuilt', 0) for m in daemon.raid()['members'])


def add_array(daemon, members, **options):
    return daemon.add(array_node(members.nodes(), **options))
