# SPDX-License-Identifier: GPL-2.0-or-later
"""The prepared tree: a copy of pristine QEMU, our links, our insertions.

Owns: the meaning of insertions.toml, and every change made to a prepared tree.
Must not know: where the pristine tree comes from, how the tree is built.
Invariants: the pristine tree is only read.  A second run over an unchanged
list touches no file, so nothing is rebuilt for it.
"""

import json
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

PLACES = ('before', 'after', 'within')
RECORD = '.opus-raid.json'


class OverlayError(Exception):
    """The list does not fit the tree; the text names the entry."""


@dataclass(frozen=True)
class Insertion:
    """One entry of the list; 'lines' is the text to add."""
    file: str
    place: str
    anchor: str
    lines: tuple
    reason: str

    def fail(self, problem):
        raise OverlayError(f'{self.file}: {problem}\n'
                           f'  anchor: {self.anchor}\n'
                           f'  for:    {self.reason}')


def _parse_insertion(root, entry):
    entry = dict(entry)
    name = entry.pop('file')
    reason = entry.pop('reason')
    places = [place for place in PLACES if place in entry]
    if len(places) != 1 or ('text' in entry) == ('text_of' in entry):
        raise OverlayError(f'{name} ({reason}): an entry has one of '
                           f"{', '.join(PLACES)} and one of text, text_of")
    anchor = entry.pop(places[0])
    if 'text_of' in entry:
        path = root / entry.pop('text_of')
        if not path.is_file():
            raise OverlayError(f'{name} ({reason}): {path} is missing')
        text = path.read_text()
    else:
        text = entry.pop('text')
    if entry:
        raise OverlayError(f"{name} ({reason}): unknown key {', '.join(entry)}")
    return Insertion(name, places[0], anchor, tuple(text.splitlines()), reason)


def _expand_links(root, links):
    """Ours with a '*' stands for each file that matches, in a directory."""
    expanded = {}
    for name, ours in links.items():
        if '*' not in ours:
            expanded[name] = ours
            continue
        found = sorted(root.glob(ours))
        if not found:
            raise OverlayError(f'{name}: no file of ours matches {ours}')
        for path in found:
            expanded[f'{name}/{path.name}'] = str(path.relative_to(root))
    return expanded


def load(root, path):
    """Read the list: (insertions, {path in the tree: path of ours})."""
    root = Path(root)
    data = tomllib.loads(Path(path).read_text())
    insertions = [_parse_insertion(root, entry) for entry in data['insert']]
    return insertions, _expand_links(root, data['link'])


def insert(text, entry):
    """Apply one insertion to the text of its file."""
    lines = text.splitlines()
    pattern = re.compile(entry.anchor)
    hits = [(number, hit) for number, line in enumerate(lines)
            if (hit := pattern.fullmatch(line.strip()))]
    if len(hits) != 1:
        entry.fail(f'the anchor matches {len(hits)} lines, wanted is 1')
    number, hit = hits[0]
    if entry.place == 'within':
        line = lines[number]
        at = len(line) - len(line.lstrip()) + hit.end(1)
        lines[number] = line[:at] + ' '.join(entry.lines) + line[at:]
    else:
        at = number + (entry.place == 'after')
        lines[at:at] = entry.lines
    return '\n'.join(lines) + '\n'


def edited_files(pristine, insertions):
    """All insertions applied: {file: new text}."""
    texts = {}
    for entry in insertions:
        if entry.file not in texts:
            path = Path(pristine) / entry.file
            if not path.is_file():
                entry.fail('no such file in this QEMU')
            texts[entry.file] = path.read_text()
        texts[entry.file] = insert(texts[entry.file], entry)
    return texts


def _write_if_changed(path, text):
    if path.is_symlink() or not path.is_file() or path.read_text() != text:
        path.write_text(text)


def _link(root, tree, name, ours):
    target, path = Path(root) / ours, Path(tree) / name
    if not target.exists():
        raise OverlayError(f'{name}: our {ours} is missing')
    if path.is_symlink():
        if path.readlink() == target:
            return
        path.unlink()
    elif path.exists():
        raise OverlayError(f'{name}: QEMU has a file of that name')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def _undo_dropped(pristine, tree, before, files, links):
    """What an earlier list did and this one no longer does."""
    for name in before.get('links', []):
        if name not in links:
            (tree / name).unlink(missing_ok=True)
    for name in before.get('files', []):
        if name not in files:
            _write_if_changed(tree / name, (pristine / name).read_text())


def _copy(pristine, tree):
    unfinished = tree.with_name(tree.name + '.new')
    for path in (unfinished, tree):
        if path.exists():
            shutil.rmtree(path)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(['cp', '-a', '--reflink=auto', '--', pristine, unfinished],
                   check=True)
    unfinished.rename(tree)


def origin_of(pristine):
    """What tells one pristine tree from another: its path and version."""
    pristine = Path(pristine).resolve()
    return [str(pristine), (pristine / 'VERSION').read_text().strip()]


def prepare(root, list_path, pristine, tree):
    """Make or update the prepared tree; return what it was copied from.

    It is copied anew when that has changed.
    """
    pristine, tree = Path(pristine).resolve(), Path(tree)
    insertions, links = load(root, list_path)
    texts = edited_files(pristine, insertions)
    origin = origin_of(pristine)
    record = tree / RECORD
    before = json.loads(record.read_text()) if record.is_file() else {}
    if before.get('origin') != origin:
        before = {}
        _copy(pristine, tree)
    _undo_dropped(pristine, tree, before, texts, links)
    for name, ours in links.items():
        _link(root, tree, name, ours)
    for name, text in texts.items():
        _write_if_changed(tree / name, text)
    _write_if_changed(record, json.dumps(
        {'origin': origin, 'files': sorted(texts), 'links': sorted(links)}))
    return origin
