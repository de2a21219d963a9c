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


def every_loss(level, n):
    """All sets of members that the level may be without; mirrors: each one."""
    return itertools.combinations(range(n), PARITY.get(level, 1))


def verify_redundancy(daemon, level, members, model):
    """The array's data with all members, and with every set of them lost."""
    nodes = members.nodes()
    same('complete', daemon.read_array(nodes, assemble='strict'), model)
    for lost in every_loss(level, len(nodes)):
        rest = [node for i, node in enumerate(nodes) if i not in lost]
        same(f'{lost} missing', daemon.read_array(rest), model)


def add_array(daemon, members, **options):
    return daemon.add(array_node(members.nodes(), **options))
