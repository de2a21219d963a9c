#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Signed packages and sources of Debian, whatever this machine runs.

Owns: a private apt state below one directory.  The machine's apt
configuration is read (mirror, proxy) and never changed; no root is needed.
Must not know: what the packages are for.

Those of trixie, because its QEMU stays at 10.0.* for years, while versions in
sid and in backports vanish from the mirrors within days; or of another suite,
where the newest is wanted.

usage: debian.py deb[/SUITE] DIR PACKAGE...
                    download .deb files, print their names
       debian.py source DIR PACKAGE
                    unpack a source package as DIR/PACKAGE
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

SUITE = 'trixie'
KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

# The #clear lines drop the machine's hooks: they serve its own package lists,
# and those of container images fail without root.
APT_CONF = '''
Dir::Etc::SourceList "{state}/sources.list";
Dir::Etc::SourceParts "{state}/none";
Dir::Etc::Preferences "{state}/none";
Dir::Etc::PreferencesParts "{state}/none";
Dir::State "{state}";
Dir::State::Lists "{state}/lists";
Dir::State::Status "/dev/null";
Dir::Cache "{state}/cache";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
'''


class DebianError(Exception):
    """Something cannot be had; the text says what and what to do."""


def run(argv, **kwargs):
    return subprocess.run(argv, text=True, capture_output=True, **kwargs)


def last_lines(text, count=6):
    return '\n'.join(text.strip().splitlines()[-count:])


def machine_mirrors():
    """Base addresses of Debian's own archive in this machine's apt set-up."""
    query = run(['apt-get', 'indextargets', '--format',
                 '$(REPO_URI) $(CODENAME) $(LABEL)', 'Identifier: Packages'])
    found = [line.split()[0] for line in query.stdout.splitlines()
             if re.fullmatch(r'\S+ [a-z]+ Debian', line)]
    if not found:
        # No package lists yet (a fresh container): ask where they would be.
        query = run(['apt-get', 'update', '--print-uris'])
        found = re.findall(r"^'(\S+/)dists/[a-z]+/InRelease'", query.stdout,
                           re.MULTILINE)
    return list(dict.fromkeys(found))


class Apt:
    """apt with its own lists, of one mirror, one suite and one kind (deb,
    deb-src)."""

    def __init__(self, directory, kind, suite=SUITE):
        self.state = Path(directory).resolve() / suite / kind
        self.suite = suite
        self.conf = self.state / 'apt.conf'
        self.kind = kind

    def get(self, *args, **kwargs):
        return run(['apt-get', '-c', str(self.conf), '-q', *args], **kwargs)

    def _point_at(self, mirror):
        for name in ('none', 'lists/partial', 'cache/archives/partial'):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        self.conf.write_text(APT_CONF.format(state=self.state))
        (self.state / 'sources.list').write_text(
            f'{self.kind} [signed-by={KEYRING}] {mirror} {self.suite} main\n')

    def update(self):
        """Get the lists from the first of the machine's mirrors that works."""
        if not shutil.which('apt-get'):
            raise DebianError(
                'apt-get is not installed: this is not a Debian system.')
        if not Path(KEYRING).exists():
            raise DebianError(
                f'{KEYRING} is missing: signatures cannot be checked. Install '
                'the package debian-archive-keyring.')
        mirrors = machine_mirrors()
        if not mirrors:
            raise DebianError(
                "apt's configuration on this machine names no mirror of "
                "Debian's archive. Add one.")
        for mirror in mirrors:
            self._point_at(mirror)
            result = self.get('update', '--error-on=any')
            if result.returncode == 0:
                return
        raise DebianError(
            f"{self.suite} cannot be read from {', '.join(mirrors)} "
            f'(network, proxy or mirror):\n{last_lines(result.stderr)}')

    def download(self, verb, packages, directory):
        directory.mkdir(parents=True, exist_ok=True)
        result = self.get(*verb, *packages, cwd=directory)
        if result.returncode != 0:
            raise DebianError(
                f"download of {' '.join(packages)} from {self.suite} "
                f'failed (network or mirror):\n{last_lines(result.stderr)}')


def fetch_debs(directory, packages, suite=SUITE):
    """Download packages built for this machine; return their files."""
    apt = Apt(directory, 'deb', suite)
    apt.update()
    target = apt.state.parent / 'debs'
    apt.download(['download'], packages, target)
    return [max(target.glob(f'{package}_*.deb'),
                key=lambda path: path.stat().st_mtime)
            for package in packages]


def fetch_source(directory, package):
    """Download and unpack a source package as DIR/PACKAGE; return that."""
    if not shutil.which('dpkg-source'):
        raise DebianError('dpkg-source is not installed (package dpkg-dev)')
    apt = Apt(directory, 'deb-src')
    try:
        apt.update()
    except DebianError as error:
        raise DebianError(
            f'{error}\nOr unpack the source of {package} yourself; -D'
            f'{package}_source=DIR names it to meson.') from error
    parts = Path(directory).resolve() / f'{package}.parts'
    shutil.rmtree(parts, ignore_errors=True)
    apt.download(['source', '--download-only'], [package], parts)
    tree, unpacking = parts.with_name(package), parts / 'tree'
    result = run(['dpkg-source', '-x', str(next(parts.glob('*.dsc'))),
                  str(unpacking)])
    if result.returncode != 0:
        raise DebianError(f'dpkg-source failed:\n{last_lines(result.stderr)}')
    shutil.rmtree(tree, ignore_errors=True)
    unpacking.rename(tree)
    shutil.rmtree(parts)
    return tree


def main(argv):
    verb, slash, suite = argv[1].partition('/') if len(argv) > 3 else ('',) * 3
    if verb not in ('deb', 'source') or slash and verb != 'deb':
        sys.exit(__doc__)
    try:
        if verb == 'deb':
            print(*fetch_debs(argv[2], argv[3:], suite or SUITE), sep='\n')
        else:
            print(fetch_source(argv[2], argv[3]))
    except DebianError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main(sys.argv)
