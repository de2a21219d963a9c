# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's vhost-user-blk-test with our daemon, as TAP.

usage: run-qtest.py BUILD

BUILD holds qos-test, qemu-system-x86_64, qemu-storage-daemon and qemu-img.
Each test runs by itself: qos-test runs none, and is content, when the path
that it is given matches none. Here that is a failure.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

BUILD = Path(sys.argv[1])
DEVICE = ('/x86_64/pc/i440FX-pcihost/pci-bus-pc/pci-bus/vhost-user-blk-pci/')
TESTS = [
    'vhost-user-blk/vhost-user-blk-tests/basic',
    'vhost-user-blk/vhost-user-blk-tests/indirect',
    'vhost-user-blk-pci-tests/idx',
    'vhost-user-blk-pci-tests/nxvirtq',
    'vhost-user-blk-pci-tests/hotplug',
    'vhost-user-blk-pci-tests/multiqueue',
]
SECONDS = 120


def environment(scratch):
    return dict(os.environ, TMPDIR=scratch,
                QTEST_QEMU_BINARY=str(BUILD / 'qemu-system-x86_64'),
                QTEST_QEMU_STORAGE_DAEMON_BINARY=str(
                    BUILD / 'qemu-storage-daemon'),
                QTEST_QEMU_IMG=str(BUILD / 'qemu-img'))


def run_test(path, scratch):
    """Returns (status or a word, output).

    A test that crashes leaves its daemon behind. That holds the output open,
    so the output is a file; and it is of the test's session, so it can be
    ended with it.
    """
    log = Path(scratch) / 'log'
    with log.open('w') as output:
        test = subprocess.Popen(
            [BUILD / 'qos-test', '--tap', '-k', '-p', path],
            env=environment(scratch), stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status = test.wait(SECONDS)
        except subprocess.TimeoutExpired:
            status = f'no end after {SECONDS} s'
        try:
            os.killpg(test.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        test.wait()
    return status, log.read_text(errors='replace')


def main():
    failed = 0
    print(f'1..{len(TESTS)}', flush=True)
    for number, name in enumerate(TESTS, 1):
        with tempfile.TemporaryDirectory() as scratch:
            status, output = run_test(DEVICE + name, scratch)
        results = re.findall(r'^(ok|not ok) \d+ (\S+)(.*)$', output, re.M)
        good = status == 0 and results == [('ok', DEVICE + name, '')]
        if not good:
            failed += 1
            print('#', f'{len(results)} results, status {status}')
            for line in output.splitlines()[-40:]:
                print('#', line)
        print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    sys.exit(failed > 0)


main()
