#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives the build of QEMU inside ours; called by meson.build only.

Owns: DIR/pristine (fetched source), DIR/src (prepared tree), DIR/build (QEMU's
build directory), DIR/stock and DIR/emulator (builds of the pristine tree),
DIR/apt and DIR/meson (fetched from Debian).
Each step is skipped when its result is there and its inputs are the same.
"""

import argparse
import filecmp
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import debian
import overlay

QEMU_VERSION = r'10\.0\.\d+'
MESON_NEEDED = (1, 5)

TOOLS = '''
--disable-user --enable-tools --disable-docs --disable-install-blobs
--disable-download --enable-werror --without-default-features
--enable-linux-io-uring --enable-linux-aio --enable-coroutine-pool
--enable-malloc-trim --enable-pixman --enable-avx2 --enable-avx512bw
--enable-vhost-user --enable-vhost-user-blk-server
--enable-libvduse --enable-vduse-blk-export --enable-fuse --enable-fuse-lseek
'''.split()
NO_SYSTEM = ['--disable-system']
SYSTEM = '''
--target-list=x86_64-softmmu --without-default-devices
--with-devices-x86_64=opus --enable-tcg --enable-kvm --disable-fdt
'''.split()
# For tests at the level of qtest, which run no guest: quick to build, and of
# the pristine tree, so that nothing of ours makes it build again.
EMULATOR = '''
--target-list=x86_64-softmmu --without-default-features
--without-default-devices --disable-user --enable-tools --disable-docs
--disable-install-blobs --disable-fdt --disable-download
--enable-vhost-user --enable-vhost-user-blk-server --enable-pixman
--enable-linux-aio --enable-linux-io-uring --enable-kvm --disable-tcg
--disable-debug-info -Doptimization=0
'''.split()
# Features taken when their library is there: (pkg-config's words, flag).
OPTIONAL = [(['libzstd'], '--enable-zstd'),
            (['blkio >= 1.3'], '--enable-blkio')]
SANITIZERS = {'address': '--enable-asan', 'undefined': '--enable-ubsan',
              'thread': '--enable-tsan'}


class BuildError(Exception):
    """The text says what is missing or wrong."""


def clean_environment():
    """The outer build's variables must not steer the inner one."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(('MESON', 'NINJA', 'MAKE', 'MFLAGS'))}


def call(argv, env, **kwargs):
    done = subprocess.run([str(a) for a in argv], env=env, **kwargs)
    if done.returncode != 0:
        raise BuildError(f"{shlex.join(str(a) for a in argv)}: failed "
                         f'with status {done.returncode}')


def find_source(work, named):
    """The pristine tree: the user's, or Debian's, fetched once."""
    tree = named or work / 'pristine'
    if not named and not tree.exists():
        print('fetching the source of QEMU from Debian', flush=True)
        debian.fetch_source(work / 'apt', 'qemu').rename(tree)
    if not (tree / 'VERSION').is_file():
        raise BuildError(f'{tree} is not a QEMU source tree (no VERSION)')
    version = (tree / 'VERSION').read_text().strip()
    if not re.fullmatch(QEMU_VERSION, version):
        raise BuildError(f'{tree} is QEMU {version}, needed is 10.0.*')
    return tree


def meson_version(text):
    return tuple(int(part) for part in re.findall(r'\d+', text)[:2])


def find_meson(work, source, python):
    """Directory to add to PYTHONPATH for a new enough meson, or None.

    A build from another one's pristine tree finds that one's meson beside it.
    """
    query = subprocess.run(
        [python, '-c', 'from mesonbuild.coredata import version; print(version)'],
        capture_output=True, text=True)
    if query.returncode == 0 and meson_version(query.stdout) >= MESON_NEEDED:
        return None
    packages = 'meson/usr/lib/python3/dist-packages'
    for place in (work, source.parent):
        if (place / packages).is_dir():
            return place / packages
    print('fetching meson >= 1.5 from Debian', flush=True)
    deb, = debian.fetch_debs(work / 'apt', ['meson'])
    unfinished = work / 'meson.new'
    shutil.rmtree(unfinished, ignore_errors=True)
    call(['dpkg-deb', '-x', deb, unfinished], None)
    unfinished.rename(work / 'meson')
    return work / packages


def common_flags(args):
    return [f'--python={args.python}', f'--cc={args.cc}',
            f'--ninja={args.ninja}', f'--with-pkgversion={args.version}']


def emulator_flags(args, source):
    """The list of devices is ours, and looked for beside QEMU's own."""
    devices = os.path.relpath(args.root / 'contrib/qemu/opus',
                              source.resolve()
                              / 'configs/devices/x86_64-softmmu')
    return [*EMULATOR, f'--with-devices-x86_64={devices}', *common_flags(args)]


def configure_flags(args, system):
    flags = TOOLS + (SYSTEM if system else NO_SYSTEM) + common_flags(args)
    for words, flag in OPTIONAL:
        if subprocess.run(['pkg-config', *words]).returncode == 0:
            flags.append(flag)
    if args.sabotage and args.step == 'build':
        flags.append(f'--extra-cflags=-DOPUS_SABOTAGE={args.sabotage}')
    return flags + [SANITIZERS[name] for name in args.sanitizers.split(',')
                    if name]


def remember_meson(build, meson):
    """Let QEMU's own virtual environment find meson without PYTHONPATH.

    So ninja run by hand in the inner build directory works too.
    """
    if meson:
        for packages in (build / 'pyvenv/lib').glob('python3*/site-packages'):
            (packages / 'opus-raid.pth').write_text(f'{meson}\n')


def configure(args, work, source, origin):
    """Configure QEMU if its tree or the flags are other ones than before.

    The stock build has no emulator: what that is for is ours.
    """
    build = work / args.step
    tree = Path('../src') if args.step == 'build' else source.resolve()
    stamp = build / 'opus-raid.configured'
    if args.step == 'emulator':
        flags = emulator_flags(args, source)
    else:
        flags = configure_flags(args, args.system and args.step == 'build')
    wanted = json.dumps([origin, flags])
    if stamp.is_file() and stamp.read_text() == wanted:
        return build
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir()
    env = clean_environment()
    meson = find_meson(work, source, args.python)
    if meson:
        env['PYTHONPATH'] = str(meson)
    call([tree / 'configure', *flags], env, cwd=build)
    remember_meson(build, meson)
    stamp.write_text(wanted)
    return build


def emulator_script(work, program):
    """A script that runs the emulator with the machine's firmware, if any.

    Tests at qtest level need only that the files exist: blank ones will do.
    """
    blank = work / 'blank-firmware'
    blank.mkdir(exist_ok=True)
    for name, size in (('bios-256k.bin', 256 << 10), ('kvmvapic.bin', 9216)):
        if not (blank / name).exists():
            (blank / name).write_bytes(bytes(size))
    return (f'#!/bin/sh\nexec {program} -L /usr/share/seabios '
            f'-L /usr/share/qemu -L {blank} "$@"\n')


def deliver(work, built, output):
    """Put a program where the user finds it, if it changed."""
    new = output.with_name(output.name + '.new')
    if output.name.startswith('qemu-system-'):
        script = emulator_script(work, built)
        if output.exists() and output.read_text() == script:
            return
        new.write_text(script)
        new.chmod(0o755)
    elif output.exists() and filecmp.cmp(built, output, shallow=True):
        return
    else:
        shutil.copy2(built, new)
    new.rename(output)      # the old one may be running


def build(args, work, source, origin):
    inner = configure(args, work, source, origin)
    programs = dict(word.split('=') for word in args.programs)
    call([args.ninja, '-C', inner, *programs.values()], clean_environment())
    for name, target in programs.items():
        deliver(work, inner / target, args.output / name)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument('--step', default='build',
                        choices=['prepare', 'build', 'stock', 'emulator'])
    parser.add_argument('--root', type=Path, required=True)
    parser.add_argument('--output', type=Path, required=True)
    parser.add_argument('--source', type=Path)
    parser.add_argument('--version', default='opus-raid')
    parser.add_argument('--python', default='/usr/bin/python3')
    parser.add_argument('--cc', default='cc')
    parser.add_argument('--ninja', default='ninja')
    parser.add_argument('--sanitizers', default='')
    parser.add_argument('--sabotage', type=int, default=0)
    parser.add_argument('--system', action='store_true')
    parser.add_argument('programs', nargs='*', metavar='NAME=INNER_TARGET')
    return parser.parse_args()


def main():
    args = parse_arguments()
    work = args.output.resolve() / 'qemu'
    work.mkdir(exist_ok=True)
    try:
        source = find_source(work, args.source)
        if args.step in ('stock', 'emulator'):
            # Nothing may leave files in the pristine tree: neither Python nor
            # the iotests, which configure asks for their names.
            os.environ['PYTHONDONTWRITEBYTECODE'] = '1'
            os.environ['TEST_DIR'] = str(work / 'scratch')
            origin = overlay.origin_of(source)
        else:
            origin = overlay.prepare(
                args.root, args.root / 'contrib/qemu/insertions.toml', source,
                work / 'src')
        if args.step == 'prepare':
            find_meson(work, source, args.python)
        else:
            build(args, work, source, origin)
    except (BuildError, debian.DebianError, overlay.OverlayError) as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
