#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sum up meson's test logs in one line, behind what the failed tests said.

A sanitizer's report (BUILD/report.*) counts as a failure, and so does a log
that is missing or empty. The status is 1 if anything failed.

usage: count-results.py BUILD...
"""

import json
import re
import sys
from collections import Counter
from pathlib import Path

KINDS = {'OK': 'passed', 'EXPECTEDFAIL': 'passed', 'SKIP': 'skipped'}

# What a failed test said is shown up to here: ends of logs are what is kept.
MOST_LINES = 40


def words_of_failure(test):
    """The failed points of a test that speaks TAP, each with what it says
    of itself; else the end of all that was said."""
    said = (test.get('stdout', '') + test.get('stderr', '')).splitlines()
    if not any(line.startswith('not ok') for line in said):
        return said[-MOST_LINES:]
    shown, failing = [], False
    for line in said:
        if re.match(r'(not )?ok\b', line):
            failing = line.startswith('not ok')
        if failing:
            shown.append(line)
    return shown[:MOST_LINES]


def test_results(build):
    """Yield (kind, what failed) for each test of a build."""
    log = build / 'meson-logs/testlog.json'
    lines = log.read_text().splitlines() if log.exists() else []
    if not lines:
        yield 'failed', 'no test ran'
    for line in lines:
        test = json.loads(line)
        kind = KINDS.get(test['result'], 'failed')
        what = [f"{test['name']}: {test['result']}"]
        if kind == 'failed':
            what += words_of_failure(test)
        yield kind, '\n  '.join(what)


def sanitizer_reports(build):
    for path in sorted(build.glob('report.*')):
        text = path.read_text(errors='replace')
        if re.search(r'ERROR: |runtime error: ', text):
            yield 'failed', f'{path}:\n{text}'


def main():
    count = Counter()
    for build in map(Path, sys.argv[1:]):
        for kind, what in (*test_results(build), *sanitizer_reports(build)):
            count[kind] += 1
            if kind == 'failed':
                print(f'failed in {build}: {what}')
    print(f"{count['passed']} passed, {count['failed']} failed, "
          f"{count['skipped']} skipped")
    sys.exit(count['failed'] > 0)


main()
