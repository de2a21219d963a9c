#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/crossings.rst: no cell is empty, and all that it names exists.

usage: test-crossings.py ROOT BUILD

ROOT is the checkout, BUILD the build directory, where meson lists all tests.
What can be done and what an array may be in is what raid-kill-loop counts; a
cell names tests, with a scenario in quotes where a test has many, or a refusal
by words that the source has.
"""

import json
import re
import sys
from pathlib import Path

results = []


def report(good, text):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {text}", flush=True)


def source_text(root):
    """All of the driver and the export, with literals in one piece."""
    text = ''.join(path.read_text(encoding='utf-8')
                   for where in ('block', 'export', 'util')
                   for path in sorted((root / where).rglob('*.[ch]')))
    return re.sub(r'"\s*\n\s*"', '', text)


def cells_of(path, columns):
    """{row: {column: text}}; a row is a heading, a cell a line of a table."""
    rows, cell = {}, None
    lines = path.read_text(encoding='utf-8').splitlines()
    for line, below in zip(lines, lines[1:] + ['']):
        if line and below and set(below) == {'-'}:
            rows[line] = {}
            cell = None
        elif rows and line:
            row = next(reversed(rows.values()))
            name = line[:18].strip()
            if name in columns:
                cell = name
                row[cell] = line[18:].strip()
            elif cell and not name and line[18:].strip():
                row[cell] += ' ' + line[18:].strip()
            else:
                cell = None
    return rows


def check_claim(claim, root, tests, source):
    """An error, or None."""
    refusal = re.fullmatch(r'refused: "(.*)"', claim)
    if refusal:
        return None if refusal[1] in source else 'no such words'
    match = re.fullmatch(r'([a-z0-9-]+)(?: "(.*)")?', claim)
    if not match:
        return 'neither a test nor a refusal'
    name, scenario = match.groups()
    if name not in tests:
        return 'no such test'
    if scenario:
        script = root / 'tests/iotests' / name
        if not script.exists() or \
                f"@scenario('{scenario}')" not in script.read_text():
            return 'no such scenario'
    return None


def main():
    root = Path(sys.argv[1])
    listed = Path(sys.argv[2], 'meson-info/intro-tests.json').read_text()
    tests = {test['name'] for test in json.loads(listed)}
    sys.path.insert(0, str(root / 'tests/kill-loop'))
    # pylint: disable-next=import-outside-toplevel
    from crossings import COLUMNS, ROWS
    source = source_text(root)
    rows = cells_of(root / 'docs/crossings.rst', COLUMNS)
    report(list(rows) == list(ROWS), 'the rows are those that are counted')
    for row in ROWS:
        cells = rows.get(row, {})
        problems = [f'{column}: empty' for column in COLUMNS
                    if not cells.get(column)]
        for column, text in cells.items():
            for claim in text.split('; '):
                problem = check_claim(claim, root, tests, source)
                if problem:
                    problems.append(f'{column}: {claim}: {problem}')
        report(not problems, row)
        for problem in problems:
            print(f'# {problem}')
    print(f'1..{len(results)}')
    sys.exit(not all(results))


main()
