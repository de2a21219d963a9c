# SPDX-License-Identifier: GPL-2.0-or-later
"""What a word of a message means: the entry of docs/trouble.rst."""

import difflib
from pathlib import Path
import re
from typing import Dict, List, Optional


# Beside this file where it is installed, in docs of a source checkout.
HERE = Path(__file__).resolve().parent
PAGES = (HERE / 'trouble.rst', HERE.parents[1] / 'docs/trouble.rst')


def read_entries(text: str) -> Dict[str, str]:
    """{word: entry}: sections that are underlined by dashes."""
    entries: Dict[str, str] = {}
    lines = text.splitlines()
    word = ''
    for i, line in enumerate(lines):
        below = lines[i + 1] if i + 1 < len(lines) else ''
        if line and re.fullmatch('(=+|-+)', below) \
                and len(below) == len(line):
            word = line if below[0] == '-' else ''
            if word in entries:
                raise ValueError(f'{word} has two entries')
        if word:
            entries[word] = entries.get(word, '') + line + '\n'
    return {word: entry.rstrip() for word, entry in entries.items()}


def page() -> str:
    """The text of the page."""
    return next(path for path in PAGES if path.exists()).read_text('utf-8')


def find_entry(word: str) -> str:
    """The entry of a word; LookupError has a text with words like it."""
    entries = read_entries(page())
    if word in entries:
        return entries[word]
    # 'STALE' and 'stale' have an entry each, others may be spelt as one likes.
    by_spelling: Dict[str, List[str]] = {}
    for name in entries:
        key = name.lower().replace('_', '-')
        by_spelling.setdefault(key, []).append(name)
    given = word.lower().replace('_', '-').rstrip(':')
    if f'opus-raid-{given}' in by_spelling and given not in by_spelling:
        given = f'opus-raid-{given}'
    if given in by_spelling:
        return '\n\n'.join(entries[name] for name in by_spelling[given])
    near = [name for key in difflib.get_close_matches(given, by_spelling)
            for name in by_spelling[key]]
    raise LookupError(f"no entry for '{word}'; "
                      + ('near: ' if near else 'there are: ')
                      + ', '.join(near or sorted(entries)))


def find_word(message: str) -> Optional[str]:
    """The word of a refusal in an error message, if it has an entry."""
    found = re.search(r'\b([A-Z][A-Z_]+): ', message)
    if not found or found[1] not in read_entries(page()):
        return None
    return found[1]
