# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs of this machine for a guest, with the libraries that they need.

Owns: nothing.
Must not know: what guest it is.
"""
import os
import re
import subprocess
import tempfile


def needed(program):
    """Paths of the libraries, the loader among them."""
    said = subprocess.run(['ldd', program], capture_output=True, text=True,
                          check=True).stdout
    return re.findall(r'(/\S+) \(0x', said)


def stripped(path):
    """Its contents without what only debuggers need."""
    with tempfile.NamedTemporaryFile() as out:
        done = subprocess.run(['strip', '-o', out.name, path],
                              capture_output=True, check=False)
        with open(path if done.returncode else out.name, 'rb') as f:
            return f.read()


def files(programs):
    """{path in the guest: contents}, with the directories they need."""
    found = {f'bin/{os.path.basename(path)}': stripped(path)
             for path in programs}
    for library in sorted({lib for path in programs for lib in needed(path)}):
        with open(library, 'rb') as f:
            found[library.lstrip('/')] = f.read()
    directories = set()
    for path in found:
        while path := os.path.dirname(path):
            directories.add(path)
    return {**{path: None for path in sorted(directories - {'bin'})}, **found}
