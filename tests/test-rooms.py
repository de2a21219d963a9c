#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The rooms of the driver: which file includes what, as TAP.

A file of block/opus-raid includes headers of its own room, of rooms below it,
and util/raid. No two files include each other, by whatever detour. A header
that is called private is included in its own room only.

usage: test-rooms.py DRIVER/meson.build
"""

import re
import sys
from pathlib import Path

DRIVER = Path(sys.argv[1]).parent
PREFIX = 'block/opus-raid/'

# From top to bottom; rooms on one line do not know each other.
FLOORS = [['control'], ['setup'], ['io', 'jobs'], ['members', 'redundancy'],
          ['consistency'], ['array'], ['member'], ['base']]

def floor(path):
    room = path.split('/')[0]
    return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def read_includes():
    """{file: [what it includes of the driver]}, both without the prefix."""
    found = {}
    for path in sorted(DRIVER.rglob('*.[ch]')):
        name = str(path.relative_to(DRIVER))
        if '/' in name:
            found[name] = re.findall(rf'^#include "{PREFIX}(.+/.+)"',
                                     path.read_text(), re.MULTILINE)
    return found


def is_allowed(name, included):
    if name.split('/')[0] == included.split('/')[0]:
        return True
    return floor(included) > floor(name) and 'private' not in included


def unit_of(name):
    """A source file, and its headers."""
    return re.sub(r'(-private)?\.[ch]$', '', name)


def find_circle(graph):
    """A list of units that lead back to the first, or None."""
    done, path = set(), []

    def visit(unit):
        if unit in path:
            return path[path.index(unit):] + [unit]
        if unit in done:
            return None
        path.append(unit)
        for below in graph.get(unit, ()):
            circle = visit(below)
            if circle:
                return circle
        path.pop()
        done.add(unit)
        return None

    for unit in graph:
        circle = visit(unit)
        if circle:
            return circle
    return None


def check_floors(includes):
    wrong = {(name, included) for name, all_included in includes.items()
             for included in all_included if not is_allowed(name, included)}
    for name, included in sorted(wrong):
        yield f'{name} may not include {included}'


def check_circles(includes):
    graph = {}
    for name, all_included in includes.items():
        unit = unit_of(name)
        graph.setdefault(unit, set()).update(
            map(unit_of, all_included))
        graph[unit].discard(unit)
    circle = find_circle(graph)
    if circle:
        yield ' includes '.join(circle)


def main():
    includes = read_includes()
    checks = {'every file is in a room': lambda: (
                  f'{path.name} lies outside' for path in DRIVER.glob('*.c')),
              'files include what lies below them':
                  lambda: check_floors(includes),
              'no circles': lambda: check_circles(includes)}
    failed = False
    print(f'1..{len(checks)}')
    for i, (what, check) in enumerate(checks.items(), 1):
        complaints = list(check())
        for complaint in complaints:
            print(f'# {complaint}')
        print(f'{"not ok" if complaints else "ok"} {i} - {what}')
        failed |= bool(complaints)
    sys.exit(failed)


main()
