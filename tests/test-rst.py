#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Each .rst file here is valid reStructuredText, as TAP.

Warnings count as errors: what docutils warns of is shown as something else
than was meant. A link to a file must have the file there.

usage: test-rst.py SOURCE
"""

import io
import sys
from pathlib import Path

try:
    import docutils.core
    import docutils.nodes
    import docutils.utils
except ImportError:
    print('1..0 # SKIP no docutils (package python3-docutils)')
    sys.exit(0)

SOURCE = Path(sys.argv[1]).resolve()
# A title that is there twice is no fault as long as nothing refers to it.
WARNING = docutils.utils.Reporter.WARNING_LEVEL


def documents():
    """All of ours; builds are below the source directory, often."""
    return sorted(path for kind in ('*.rst', '*/*.rst', '*/*/*.rst')
                  for path in SOURCE.glob(kind)
                  if not path.relative_to(SOURCE).parts[0].startswith('build'))


def dead_links(path, tree):
    """Files that it links to and that are not there."""
    for link in tree.findall(docutils.nodes.reference):
        target = link.get('refuri', '').partition('#')[0]
        if target and '://' not in target and not target.startswith('mailto:'):
            if not (path.parent / target).exists():
                yield f'there is no {target}'


def faults(path):
    said = io.StringIO()
    tree = docutils.core.publish_doctree(
        path.read_text(encoding='utf-8'), str(path), settings_overrides={
            'report_level': WARNING, 'halt_level': 5, 'warning_stream': said,
            'syntax_highlight': 'none', 'file_insertion_enabled': False})
    return [*said.getvalue().splitlines(), *dead_links(path, tree)]


def main():
    paths = documents()
    print(f'1..{len(paths)}')
    failed = False
    for nr, path in enumerate(paths, 1):
        found = faults(path)
        failed |= bool(found)
        print(f"{'not ok' if found else 'ok'} {nr} - "
              f'{path.relative_to(SOURCE)}')
        for fault in found:
            print('#', fault)
    if not paths:
        print('Bail out! no documents')
    return failed or not paths


if __name__ == '__main__':
    sys.exit(main())
