# SPDX-License-Identifier: GPL-2.0-or-later
"""The insertion list against the pristine tree.

usage: test-insertions.py ROOT PRISTINE

Shown: every anchor matches once; an anchor that is gone, or there twice, is an
error that names its file, its expression and its reason; a second preparation
touches nothing, and one with a shorter list takes the dropped entries back.
"""

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT, PRISTINE = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(ROOT / 'contrib/qemu'))
import overlay  # noqa: E402 (needs the path above)

LIST = ROOT / 'contrib/qemu/insertions.toml'
results = []


def report(good, name):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}", flush=True)


def error_of(text, entry):
    try:
        overlay.insert(text, entry)
    except overlay.OverlayError as error:
        return str(error)
    return ''


def names_entry(error, entry):
    return all(part in error
               for part in (entry.file, entry.anchor, entry.reason))


def check_anchor(entry):
    text = (PRISTINE / entry.file).read_text()
    lines = text.splitlines()
    hits = [number for number, line in enumerate(lines)
            if re.fullmatch(entry.anchor, line.strip())]
    title = f'{entry.file}: {entry.reason}'
    report(len(hits) == 1, f'{title}: anchor matches once')
    if len(hits) != 1:
        return
    at = hits[0]
    after = overlay.insert(text, entry)
    report(len(after) - len(text) >= sum(map(len, entry.lines)),
           f'{title}: inserted')
    gone = '\n'.join(lines[:at] + lines[at + 1:])
    twice = '\n'.join(lines[:at] + [lines[at]] + lines[at:])
    for text, what in ((gone, 'a missing'), (twice, 'an ambiguous')):
        report(names_entry(error_of(text, entry), entry),
               f'{title}: {what} anchor is an error that names it')


def small_pristine(directory, insertions):
    """Of the pristine tree only what the list touches."""
    for name in {entry.file for entry in insertions} | {'VERSION'}:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PRISTINE / name, directory / name)
    return directory


def snapshot(tree):
    """Everything in the tree: its time, and where a link leads."""
    return {str(path): (os.lstat(path).st_mtime_ns,
                        os.readlink(path) if path.is_symlink() else None)
            for path in sorted(tree.rglob('*'))}


def shorter_list(path):
    """The list without its last link and its last insertion."""
    head, *entries = LIST.read_text().split('\n[[insert]]\n')
    links = head.rstrip().splitlines()
    while not re.match(r"'.*' = '.*'", links[-1]):
        links.pop()
    dropped = re.match("'(.*)' = ", links.pop())[1]
    path.write_text('\n[[insert]]\n'.join(['\n'.join(links), *entries[:-1]]))
    return dropped


def check_prepare(insertions, links, scratch):
    pristine = small_pristine(scratch / 'pristine', insertions)
    tree = scratch / 'src'
    originals = snapshot(pristine)

    overlay.prepare(ROOT, LIST, pristine, tree)
    report(all((tree / name).samefile(ROOT / ours)
               for name, ours in links.items()), 'links lead to our files')
    report(all((tree / entry.file).read_text()
               != (pristine / entry.file).read_text()
               for entry in insertions), 'files have the insertions')

    before = snapshot(tree)
    overlay.prepare(ROOT, LIST, pristine, tree)
    report(snapshot(tree) == before, 'second run touches nothing')

    dropped = shorter_list(scratch / 'short.toml')
    overlay.prepare(ROOT, scratch / 'short.toml', pristine, tree)
    expected = overlay.edited_files(pristine, insertions[:-1])
    report(not os.path.lexists(tree / dropped),
           f'a dropped link goes ({dropped})')
    report((tree / insertions[-1].file).read_text()
           == expected.get(insertions[-1].file,
                           (pristine / insertions[-1].file).read_text()),
           'a dropped insertion goes')

    report(snapshot(pristine) == originals, 'the pristine tree is as it was')
    (pristine / 'VERSION').write_text('10.0.99\n')
    overlay.prepare(ROOT, LIST, pristine, tree)
    report((tree / 'VERSION').read_text() == '10.0.99\n',
           'another version is copied anew')


def main():
    insertions, links = overlay.load(ROOT, LIST)
    for entry in insertions:
        check_anchor(entry)
    with tempfile.TemporaryDirectory() as scratch:
        check_prepare(insertions, links, Path(scratch))
    print(f'1..{len(results)}')
    sys.exit(not all(results))


main()
