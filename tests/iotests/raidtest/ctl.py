# SPDX-License-Identifier: GPL-2.0-or-later
"""opusctl, as a user runs it against a daemon."""

import os
import re
import subprocess
from contextlib import contextmanager
from pathlib import Path

import iotests
from iotests import log

from .daemon import Daemon
from .members import MIB, Members

# In the build directory, beside the programs.
OPUSCTL = str(Path(os.environ['QSD_PROG']).resolve().parents[3] / 'opusctl')
UUID = '0d9ba1c3-5b8e-4c9f-8a3e-d1f2a7c8b6e5'
MEMBER_BYTES = 8 * MIB


def socket_path(name='ctl'):
    return os.path.join(iotests.sock_dir, f'{name}.sock')


def environment(path, **more):
    """Its own: it must find its packages and its way by itself."""
    env = {name: value for name, value in os.environ.items()
           if name not in ('PYTHONPATH', 'NO_COLOR', 'TERM')}
    return {**env, 'OPUSCTL_SOCKET': path, **more}


def filtered(text):
    """Without paths, times, and how far a job came until it was stopped."""
    text = iotests.filter_test_dir(text)
    text = re.sub(r'\d{4}-\d\d-\d\d \d\d:\d\d', 'TIME', text)
    text = re.sub(r'STOPPED at \d+ %', 'STOPPED at N %', text)
    return text.replace(iotests.sock_dir, 'SOCK_DIR')


def check_plain(text):
    if '\033' in text:
        raise AssertionError(f'escape codes, but no terminal: {text!r}')


def run(*args, path=None, echo=True, cwd=None, **env):
    """Run it, log what it prints; returns that."""
    done = subprocess.run([OPUSCTL, *args], check=False, cwd=cwd,
                          env=environment(path or socket_path(), **env),
                          stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if echo:
        log('$ opusctl ' + filtered(' '.join(args)))
        for line in done.stdout.splitlines():
            log(filtered(line))
        if done.returncode:
            log(f'status {done.returncode}')
    check_plain(done.stdout)
    return done.stdout


@contextmanager
def daemon_with(n, quiet=False):
    """A daemon with a monitor for opusctl, and files for members."""
    with Members([MEMBER_BYTES] * n) as members, \
            Daemon('--chardev', f'socket,id=ctl,path={socket_path()},'
                   'server=on,wait=off', '--monitor', 'chardev=ctl',
                   quiet=quiet) as daemon:
        yield daemon, members.paths


def create(paths, *options, level='raid5', cwd=None):
    run('create', 'r0', '--level', level, '--uuid', UUID, *options, *paths,
        cwd=cwd)
