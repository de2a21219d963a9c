#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Sum up meson's test logs: one line, status 1 if a test failed or a log is missing.

usage: count-results.py BUILD...
"""

import json
import sys
from collections import Counter
from pathlib import Path

KINDS = {'OK': 'passed', 'EXPECTEDFAIL': 'passed', 'SKIP': 'skipped'}


def main():
    count = Counter()
    for build in sys.argv[1:]:
        log = Path(build) / 'meson-logs/testlog.json'
        if not log.exists():
            print(f'failed in {build}: no test ran')
            count['failed'] += 1
            continue
        for line in log.read_text().splitlines():
            test = json.loads(line)
            kind = KINDS.get(test['result'], 'failed')
            count[kind] += 1
            if kind == 'failed':
                print(f"failed in {build}: {test['name']}")
    print(f"{count['passed']} passed, {count['failed']} failed, "
          f"{count['skipped']} skipped")
    sys.exit(count['failed'] > 0)


main()
