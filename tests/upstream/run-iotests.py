# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own iotests with our programs, held against a list, as TAP.

usage: run-iotests.py WORK FORMAT EMULATOR LIST

WORK is the directory qemu/ of our build; EMULATOR may be a stand-in. LIST has
one test a line: its name, and behind '#' why it is not run. The reason
"starts qemu-system" holds only where there is no emulator.

Some of these tests do not wait for the programs they stop or start. What fails
beside others, or whose verdict is not found, is run once more by itself, and
that counts.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

WORK, FORMAT, EMULATOR = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
NEEDS_EMULATOR = 'starts qemu-system'
have_emulator = EMULATOR.name.startswith('qemu-system-')


def wanted_tests(path):
    lines = [line.partition('#') for line in path.read_text().splitlines()]
    return [name.strip() for name, _, reason in lines if name.strip()
            and (not reason
                 or have_emulator and reason.strip() == NEEDS_EMULATOR)]


def run_check(names, scratch, jobs):
    """Run them; yield (name, line of TAP without its number)."""
    build = WORK / 'build'
    env = dict(os.environ, QEMU_PROG=str(EMULATOR), TEST_DIR=str(scratch))
    # check's workers share one pipe: a line must be one write.
    env.pop('PYTHONUNBUFFERED', None)
    check = subprocess.Popen(
        [build / 'pyvenv/bin/python3', './check', '-tap', f'-{FORMAT}',
         '-j', str(jobs), *names],
        cwd=build / 'tests/qemu-iotests', env=env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    for line in check.stdout:
        hit = re.match(rf'(ok|not ok) {FORMAT} (\S+)(.*)', line)
        if hit and hit[2] in names:
            yield hit[2], f'{hit[1]} %d - {FORMAT} {hit[2]}{hit[3]}'
        else:
            print('#', line.rstrip())


def show_difference(name, scratch):
    for path in scratch.glob(f'*-{name}/{name}.out.bad'):
        reference = WORK / 'src/tests/qemu-iotests' / f'{name}.out'
        done = subprocess.run(['diff', '-u', reference, path],
                              capture_output=True, text=True, errors='replace')
        for line in done.stdout.splitlines()[:60]:
            print('#', line)


def main():
    names = wanted_tests(Path(sys.argv[4]))
    scratch = WORK / f'scratch-{FORMAT}'
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    print(f'1..{len(names)}', flush=True)
    seen = set()
    for name, result in run_check(names, scratch, os.cpu_count()):
        if result.startswith('not ok'):
            show_difference(name, scratch)
        else:
            seen.add(name)
            print(result % len(seen), flush=True)
    again = [name for name in names if name not in seen]
    for name, result in run_check(again, scratch, 1) if again else ():
        seen.add(name)
        print(result % len(seen), flush=True)
        if result.startswith('not ok'):
            show_difference(name, scratch)
    for name in names:
        if name not in seen:
            seen.add(name)
            print(f'not ok {len(seen)} - {FORMAT} {name} did not run')
    shutil.rmtree(scratch, ignore_errors=True)


main()
