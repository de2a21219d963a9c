# SPDX-License-Identifier: GPL-2.0-or-later
"""What users type, as QMP wants it."""

import argparse
import hashlib
import json
import os
from pathlib import Path
import re
import stat
from typing import Dict

from .daemon import Info


# What QEMU takes; and what is left of the start of a longer name.
NAME_CHARS = 31
HEAD_CHARS = 4
SUM_CHARS = 4


def size(text: str) -> int:
    """A number of bytes, maybe with K, M, G or T."""
    match = re.fullmatch(r'(\d+)([KMGT]?)(i?B)?', text, re.IGNORECASE)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is no size")
    return int(match[1]) << 10 * ' KMGT'.index(match[2].upper() or ' ')


def option(text: str) -> Dict[str, object]:
    """KEY=VALUE, where the value is true, false, a size or a text."""
    key, sep, value = text.partition('=')
    if not sep:
        raise argparse.ArgumentTypeError(f"'{text}' is not KEY=VALUE")
    if value in ('true', 'on', 'false', 'off'):
        return {key: value in ('true', 'on')}
    try:
        return {key: size(value)}
    except argparse.ArgumentTypeError:
        return {key: value}


def node_name(path: str) -> str:
    """A name that QEMU allows, from a path.

    Drives of one model differ at the end of their names, where the serial is;
    a long one keeps that, and a sum of what it lost.
    """
    name = re.sub(r'[^A-Za-z0-9._-]', '-', Path(path).name)
    name = name if name[:1].isalpha() else f'm{name}'
    if len(name) <= NAME_CHARS:
        return name
    sum_of_it = hashlib.sha256(name.encode()).hexdigest()[:SUM_CHARS]
    tail = NAME_CHARS - HEAD_CHARS - SUM_CHARS - 2
    return f'{name[:HEAD_CHARS]}-{sum_of_it}-{name[-tail:]}'


def is_block_device(path: str) -> bool:
    """As seen from here, which is where the daemon runs as well."""
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)
    except OSError:
        return False            # let the daemon tell


def member(text: str) -> object:
    """The name of a node as it is; of [NAME=]PATH or json:{...} the options.
    """
    if text.startswith('json:'):
        try:
            return dict(json.loads(text[5:]))
        except ValueError as err:
            raise argparse.ArgumentTypeError(f"'{text}': {err}") from err
    if '/' not in text:
        return text
    name, sep, path = text.partition('=')
    if not sep or '/' in name:
        name, path = node_name(text), text
    node: Info = {'driver': 'file', 'node-name': name,
                  'filename': os.path.abspath(path), 'discard': 'unmap'}
    if is_block_device(path):
        node.update({'driver': 'host_device', 'aio': 'io_uring',
                     'cache': {'direct': True}})
    return node


def used_member(text: str) -> str:
    """The name of a node as it is; of [NAME=]PATH the absolute path."""
    if '/' not in text:
        return text
    name, sep, path = text.partition('=')
    return os.path.abspath(path if sep and '/' not in name else text)
