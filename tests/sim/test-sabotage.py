#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Leave out one step of the driver after the other: each must be noticed.

usage: test-sabotage.py HEADER RAID_SIM

HEADER is the driver's sabotage.h, RAID_SIM a simulator in which the steps that
it lists can be left out. Which test is to notice what is written down here, so
a step that nobody notices any more is a test that has become weaker.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

# How raid-sim is called to notice.
NOTICED_BY = {
    'FAILURE_UNRECORDED': ['--level', 'raid1'],
    'SUPER_NOT_DURABLE': ['--level', 'raid1'],
    'CLEAN_BEFORE_FLUSH': ['--level', 'raid5'],
    'FLUSH_ONE_MEMBER': ['--level', 'raid5'],
    'FLUSH_ERROR_IGNORED': ['--level', 'raid5'],
    'NO_BOUNCE': ['--level', 'raid1'],
    'WRITE_ERROR_IGNORED': ['--level', 'raid5'],
    'CHECKPOINT_BEFORE_FLUSH': ['--level', 'raid10', '--policy', 'bitmap'],
    'REBUILD_UNLOCKED': ['--level', 'raid10'],
    'WRITES_UNLOCKED': ['--level', 'raid5'],
    'LAGGING_SUPERS': ['--model', '--level', 'raid5'],
    'DIRTY_NOT_MARKED': ['--level', 'raid5'],
    'INTENT_NOT_AWAITED': ['--level', 'raid5', '--policy', 'bitmap'],
    'INTENT_CLEARED_EARLY': ['--level', 'raid10', '--policy', 'bitmap'],
    'EVENT_COUNT_SKIPS': ['--model', '--level', 'raid5',
                          '--policy', 'bitmap'],
    'FUA_EMULATED': ['--level', 'raid1'],
    'REBUILT_TOO_EARLY': ['--level', 'raid5'],
    'WRITES_PASS_REBUILD': ['--level', 'raid10'],
    'JOURNAL_NOT_DURABLE': ['--level', 'raid5', '--policy', 'journal'],
    'JOURNAL_REUSED_EARLY': ['--level', 'raid5', '--policy', 'journal'],
    'PPL_NOT_DURABLE': ['--level', 'raid5', '--policy', 'ppl'],
    'PPL_REUSED_EARLY': ['--level', 'raid5', '--policy', 'ppl'],
    'RESYNC_BEFORE_FLUSH': ['--level', 'raid5', '--policy', 'resync'],
    'REPLAY_NOT_FLUSHED': ['--level', 'raid5', '--policy', 'journal'],
    'SWEEP_MARKS_STAY': ['--level', 'raid10', '--policy', 'bitmap',
                         '--number', '10000'],     # much must coincide
}
TRIALS = ['--number', '2000']
results = []


def report(good, text):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {text}", flush=True)


def simulate(raid_sim, step, words):
    """The last lines of a run, and whether it went well."""
    done = subprocess.run([raid_sim, *words], capture_output=True, text=True,
                          env={**os.environ, 'OPUS_SABOTAGE': step})
    lines = [line for line in done.stdout.splitlines()
             if line.startswith(('not ok', '# in'))]
    return done.returncode == 0, ' '.join(lines) or f'exit {done.returncode}'


def main():
    header, raid_sim = sys.argv[1:]
    steps = re.findall(r'/\* (.*) \*/\n *OPUS_SABOTAGE_(\w+) = (\d+),',
                       Path(header).read_text())
    for text, name, number in steps:
        words = [*TRIALS, *NOTICED_BY[name]]
        went_well, told = simulate(raid_sim, number, words)
        report(not went_well, f'{name}: {text}: raid-sim {" ".join(words)}')
        print(f'#   {told}')
    report(len(steps) == len(NOTICED_BY), 'the list is complete')
    print(f'1..{len(results)}')
    sys.exit(not all(results))


main()
