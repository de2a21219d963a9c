#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sum up meson's test logs in one line.

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


def test_results(build):
    """Yield (kind, what failed) for each test of a build."""
    log = build / 'meson-logs/testlog.json'
    lines = log.read_text().splitlines() if log.exists() else []
    if not lines:
        yield 'failed', 'no test ran'
    for line in lines:
        test = json.loads(line)
        yield KINDS.get(test['result'], 'failed'), test['name']


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
