#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The launcher: statuses, output, disks, directories; and that nothing is
left of a guest, however it ends.
"""
import glob
import os
import signal
import subprocess
import sys
import tempfile
import time

import tap
import uml

RUN = [sys.executable, '-B', os.path.join(uml.HERE, 'uml-run')]


def launch(*args, **environment):
    return subprocess.run([*RUN, *args], capture_output=True, text=True,
                          check=False, env={**os.environ, **environment})


def guests_of(word):
    """Processes of guests with @word on their command lines."""
    found = []
    for path in glob.glob('/proc/[0-9]*/cmdline'):
        try:
            with open(path, 'rb') as f:
                line = f.read()
        except OSError:
            continue
        if b'UML_RUN=' in line and word.encode() in line:
            found.append(int(path.split('/')[2]))
    return found


def wait_for_none(word):
    deadline = time.monotonic() + 300
    while guests_of(word):
        assert time.monotonic() < deadline, guests_of(word)
        time.sleep(0.05)


def passes_status_and_output(_top):
    done = launch('bash', '-c', 'echo out; echo err >&2; exit 42')
    assert done.returncode == 42, done
    assert done.stdout == 'out\nerr\n', done


def long_output(_top):
    done = launch('seq', '20000')
    assert done.stdout == ''.join(f'{i}\n' for i in range(1, 20001))


def disks_and_directories(top):
    """What is written in the guest is on the host afterwards; without --rw
    nothing is."""
    disk, subdir = f'{top}/disk', f'{top}/rw dir'
    with open(disk, 'wb') as f:
        f.truncate(1 << 20)
    os.mkdir(subdir)
    done = launch(
        '--disk', disk, '--rw', subdir, 'bash', '-ec',
        'test "$(blockdev --getsize64 /dev/ubda)" = 1048576\n'
        'echo there > /dev/ubda\necho here > "$0/file"\n! touch "$1/file"',
        subdir, top)
    assert done.returncode == 0, done
    with open(disk, 'rb') as f:
        assert f.read(6) == b'there\n'
    with open(f'{subdir}/file', 'rb') as f:
        assert f.read() == b'here\n'
    assert not os.path.exists(f'{top}/file')


def says_why_it_cannot(top):
    done = launch('true', LINUX_UML='/nonexistent/linux.uml')
    assert done.returncode == 77, done
    assert 'skipped: /nonexistent/linux.uml: No such file' in done.stdout
    done = launch('true', LINUX_UML='/bin/false')
    assert done.returncode == 77, done
    refuses = f'{top}/linux.uml'
    with open(refuses, 'w', encoding='utf-8') as f:
        f.write('#!/bin/sh\n[ "$1" = --version ] && exec linux.uml "$1"\n'
                'echo "ptrace: not permitted" >&2\nexit 1\n')
    os.chmod(refuses, 0o755)
    done = launch('true', LINUX_UML=refuses)
    assert done.returncode == 77, done
    assert 'ptrace: not permitted' in done.stdout, done


def says_why_no_newer_one(top):
    """And the next who asks is told at once, by what the first one left."""
    def ask(*words):
        done = subprocess.run(
            [sys.executable, '-B', os.path.join(uml.HERE, 'newest_kernel.py'),
             *words], capture_output=True, text=True, check=False,
            env={**os.environ, 'OPUS_RAID_BUILD': top, 'PATH': top})
        assert done.returncode == 1, done
        return done.stderr.strip()

    why = 'error: apt-get is not installed: this is not a Debian system.'
    reason = 'no newer kernel: ' + '; '.join(
        f'{suite}: {why}' for suite in ('sid', 'trixie-backports', 'trixie'))
    said = ask()
    assert said == reason, said
    with open(f'{top}/newest-kernel/unavailable', 'w', encoding='utf-8') as f:
        f.write('as before')
    assert ask() == 'as before'
    assert ask('--refresh') == reason


def ends_a_guest_that_hangs(top):
    done = launch('--timeout', '1', '--disk', f'{top}/disk', 'sleep', '1000')
    assert done.returncode == 124, done
    assert not guests_of(top)


def tells_that_a_guest_died(top):
    done = launch('--disk', f'{top}/disk', 'bash', '-c',
                  'echo last words; echo c > /proc/sysrq-trigger')
    assert done.returncode == 125, done
    assert 'last words' in done.stderr and 'sysrq' in done.stderr, done
    assert not guests_of(top)


def takes_its_guest_along(top, how):
    """However the launcher itself ends."""
    with subprocess.Popen([*RUN, '--disk', f'{top}/disk', 'bash', '-c',
                           'echo up; sleep 1000'],
                          stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout.readline() == b'up\n'
        assert guests_of(top)
        launcher.send_signal(how)
        launcher.wait()
        wait_for_none(top)


SCENARIOS = {
    'passes status and output': passes_status_and_output,
    'loses nothing of a long output': long_output,
    'gives disks and directories': disks_and_directories,
    'says why it cannot': says_why_it_cannot,
    'says why there is no newer kernel': says_why_no_newer_one,
    'ends a guest that hangs': ends_a_guest_that_hangs,
    'tells that a guest died': tells_that_a_guest_died,
    'takes its guest along when terminated':
        lambda top: takes_its_guest_along(top, signal.SIGTERM),
    'takes its guest along when killed':
        lambda top: takes_its_guest_along(top, signal.SIGKILL),
}


def main():
    results = tap.Tap()
    try:
        uml.find_kernel()
        with uml.Guest(modules=()):
            pass
    except uml.Unavailable as reason:
        return tap.skip_all(reason)
    with tempfile.TemporaryDirectory(prefix='uml-run-test-') as top:
        for name, body in SCENARIOS.items():
            with results.scenario(f'uml-run {name}'):
                body(top)
    return results.finish()


if __name__ == '__main__':
    sys.exit(main())
