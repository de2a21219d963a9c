#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/trouble.rst has an entry for each word that users see, as TAP.

The words are those of the code: refusals, states, events, and what "action:"
of opusctl names. An entry without a word fails too. The commands on the page
are such as opusctl takes.

And docs/invariants.rst lists what the source files cite.

usage: test-words.py SOURCE BUILD
"""

import re
import shlex
import sys
from pathlib import Path

SOURCE, BUILD = (Path(given).resolve() for given in sys.argv[1:3])
sys.path[:0] = [str(SOURCE / 'contrib'), str(BUILD / 'qemu/src/python')]

# pylint: disable=wrong-import-position
from opusctl import action, cli, explain  # noqa: E402

# Words of the host's errors that messages pass on.
ERRNO = {'ENOSPC'}


def read(path):
    return (SOURCE / path).read_text(encoding='utf-8')


def refusals():
    names = set(re.findall(r'^\s+RAID_REFUSE_([A-Z][A-Z_]*[A-Z])\b,',
                           read('util/raid/assemble.h'), re.MULTILINE))
    for path in sorted((SOURCE / 'block').rglob('*.c')):
        names |= set(re.findall(r'"([A-Z]+_[A-Z_]+): ', path.read_text()))
    return names - {'NONE', '_MAX'}


def states():
    types = read('qapi/opus-raid-types.json')
    found = set()
    for enum in ('OpusRaidArrayState', 'OpusRaidMemberState'):
        data = re.search(rf"'enum': '{enum}',\s*'data': \[(.*?)\]", types,
                         re.DOTALL).group(1)
        found |= set(re.findall(r"'([a-z-]+)'", data))
    return found


def events():
    return set(re.findall(r"'event': '(\w+)'", read('qapi/opus-raid.json')))


def action_words():
    text = Path(action.__file__).read_text(encoding='utf-8')
    return set(re.findall(r"'([A-Z]+(?:_[A-Z]+)+)'", text))


def cited_invariants():
    found = set()
    for room in ('block', 'util', 'export'):
        for path in (SOURCE / room).rglob('*.[ch]'):
            found |= set(re.findall(r'\bI[1-9][0-9]?\b', path.read_text()))
    return found


def listed_invariants():
    return set(re.findall(r'^(I[0-9]+) ', read('docs/invariants.rst'),
                          re.MULTILINE))


def commands():
    """What the page tells to type."""
    page = explain.page()
    return re.findall(r'^    \$ opusctl (.*)$', page, re.MULTILINE)


def is_taken(line):
    try:
        cli.parser().parse_args(shlex.split(line))
    except SystemExit:
        return False
    return True


def main():
    entries = set(explain.read_entries(explain.page()))
    groups = {'refusals': refusals(), 'states': states(), 'events': events()}
    words = set().union(*groups.values()) | ERRNO
    wrong = {f'the code has {name}': [] if group else ['nothing found']
             for name, group in groups.items()}
    wrong['each word has an entry'] = sorted(words - entries)
    wrong['each entry has a word'] = sorted(entries - words)
    wrong['each action has an entry'] = sorted(action_words() - entries)
    wrong['each command is one of opusctl'] = [
        line for line in commands() if not is_taken(line)]
    wrong['there are commands'] = [] if commands() else ['none']
    wrong['each invariant that is cited is listed'] = sorted(
        cited_invariants() - listed_invariants())
    wrong['each invariant that is listed is cited'] = sorted(
        listed_invariants() - cited_invariants())
    print(f'1..{len(wrong)}')
    for i, (name, found) in enumerate(wrong.items(), 1):
        print(f"{'not ok' if found else 'ok'} {i} - {name}")
        for one in found:
            print(f'# {one}')
    return any(wrong.values())


sys.exit(main())
