#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Ask Linux md where it places data: prints tests/unit/golden-geometry.inc.

To be run as root where md may make arrays (golden-geometry.sh runs it in a
guest).  Each array is made on small files full of zeros, every sector of it is
written with bytes that tell its number, and the files are read back.
"""
import os
import struct
import subprocess
import sys
import zlib

WORK = '/run/golden'
MD = '/dev/md0'
SECTOR = 512
CHUNK = 4096
SUPER = 4096                    # where a v1.2 superblock is
MASK = (1 << 64) - 1

# Sizes of the files: metadata in front, then some chunks and a rest.
BASE = 128 << 10
EQUAL = BASE + 11 * CHUNK + 1536

HEAD = """\
/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Printed by tests/guest/golden-geometry.sh, from what Linux md did. */"""


def sizes(*chunks):
    """Members with room for so many chunks, and a rest."""
    return [BASE + n * CHUNK + 512 * (slot + 1)
            for slot, n in enumerate(chunks)]


def arrays():
    """(name, mdadm's arguments, sizes of the members, fields to patch)"""
    for n in 1, 2, 5:
        yield f'raid0-{n}', ['-l0'], [EQUAL] * n, {}
    for layout in 'original', 'alternate':
        yield (f'raid0-{layout}-3', ['-l0', f'--layout={layout}'],
               sizes(7, 12, 9), {})
        yield (f'raid0-{layout}-5', ['-l0', f'--layout={layout}'],
               sizes(9, 4, 14, 9, 6), {})
    yield 'raid0-unset-3', ['-l0'], sizes(5, 9, 5), {'layout': 0}
    for n in 1, 2, 3:
        yield (f'raid1-{n}', ['-l1'], [BASE + (64 << 10)] * n,
               {'size': 11 * 8 + 3})
    for n in 2, 3, 5:
        yield f'raid4-{n}', ['-l4'], [EQUAL] * n, {}
    rotating = ['left-asymmetric', 'right-asymmetric', 'left-symmetric',
                'right-symmetric', 'parity-first', 'parity-last']
    for layout in rotating:
        for n in 3, 4:
            yield (f'raid5-{layout}-{n}', ['-l5', f'--layout={layout}'],
                   [EQUAL] * n, {})
    yield 'raid5-left-symmetric-2', ['-l5'], [EQUAL] * 2, {}
    yield 'raid5-rest', ['-l5'], [EQUAL] * 3, {'size': 11 * 8 + 3}
    for layout in rotating:
        for n in 4, 5:
            yield (f'raid6-{layout}-{n}', ['-l6', f'--layout={layout}'],
                   [EQUAL] * n, {})
    yield 'raid6-left-symmetric-8', ['-l6'], [EQUAL] * 8, {}
    # Those of DDF, and of a RAID5 that got a second parity member.
    for number, layout in enumerate(('ddf-zero-restart', 'ddf-n-restart',
                                     'ddf-n-continue'), 8):
        for n in 4, 5, 6:
            yield (f'raid6-{layout}-{n}', ['-l6'], [EQUAL] * n,
                   {'layout': number})
    for number, layout in enumerate(rotating[:4] + ['parity-first'], 16):
        for n in 4, 5:
            yield (f'raid6-{layout}-6-{n}', ['-l6'], [EQUAL] * n,
                   {'layout': number})
    for layout, n in (('n2', 2), ('n2', 3), ('n2', 4), ('n2', 5), ('n3', 3),
                      ('n3', 4), ('n3', 5), ('f2', 2), ('f2', 3), ('f2', 4),
                      ('f3', 5), ('o2', 2), ('o2', 3), ('o2', 4), ('o2', 5),
                      ('o3', 4)):
        yield (f'raid10-{layout}-{n}', ['-l10', f'--layout={layout}'],
               [EQUAL] * n, {})
    # What mdadm does not make, but md knows.
    for n in 4, 5, 7:
        yield (f'raid10-n2f2-{n}', ['-l10'], [EQUAL] * n, {'layout': 0x202})
    # With an odd number of members, copies of two chunks meet in one place.
    for n in 4, 6:
        yield (f'raid10-n2o2-{n}', ['-l10'], [EQUAL] * n, {'layout': 0x10202})
    # Far copies that stay among some of the members, in both ways. Sets that
    # are too small for all copies have some of them on one member.
    for layout, counts in ((0x20201, (4, 5, 6, 7)), (0x40201, (2, 4, 6)),
                           (0x40301, (3, 6)), (0x30201, (4, 5)),
                           (0x50201, (4, 6)), (0x20202, (8,)),
                           (0x40202, (4, 8)), (0x40201, (3, 5, 7))):
        for n in counts:
            yield (f'raid10-{layout:#x}-{n}', ['-l10'], [EQUAL] * n,
                   {'layout': layout})
    yield ('raid10-f2-rest', ['-l10', '--layout=f2'], [EQUAL] * 3,
           {'size': 11 * 8 + 5})
    yield ('raid10-o2-rest', ['-l10', '--layout=o2'], [EQUAL] * 3,
           {'size': 11 * 8 + 5})


def run(*args):
    done = subprocess.run(args, stdin=subprocess.DEVNULL, check=False,
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f'{args}: {done.stdout}{done.stderr}')
    return done.stdout.strip()


def pattern(sector):
    """The bytes of a sector: splitmix64 started at its number + 1."""
    words = []
    x = (sector + 1) << 32
    for _ in range(SECTOR // 8):
        x = (x + 0x9e3779b97f4a7c15) & MASK
        z = x
        z = ((z ^ (z >> 30)) * 0xbf58476d1ce4e5b9) & MASK
        z = ((z ^ (z >> 27)) * 0x94d049bb133111eb) & MASK
        words.append(z ^ (z >> 31))
    return struct.pack('<64Q', *words)


class Super:
    """The fields that matter here, of a file's v1.2 superblock."""

    FIELDS = {'level': (72, '<i'), 'layout': (76, '<I'), 'size': (80, '<Q'),
              'chunk': (88, '<I'), 'data_offset': (128, '<Q'),
              'data_size': (136, '<Q'), 'max_dev': (220, '<I')}
    CSUM = 216

    def __init__(self, path):
        self.path = path
        with open(path, 'rb') as f:
            f.seek(SUPER)
            self.image = bytearray(f.read(4096))
        for name, (offset, kind) in self.FIELDS.items():
            setattr(self, name, struct.unpack_from(kind, self.image,
                                                   offset)[0])

    def patch(self, fields):
        for name, value in fields.items():
            struct.pack_into(self.FIELDS[name][1], self.image,
                             self.FIELDS[name][0], value)
        struct.pack_into('<I', self.image, self.CSUM, 0)
        used = 256 + 2 * self.max_dev
        total = sum(struct.unpack_from(f'<{used // 4}I', self.image))
        if used % 4:
            total += struct.unpack_from('<H', self.image, used - 2)[0]
        total = (total & 0xffffffff) + (total >> 32)
        struct.pack_into('<I', self.image, self.CSUM, total & 0xffffffff)
        with open(self.path, 'r+b') as f:
            f.seek(SUPER)
            f.write(self.image)


def start_array(paths, args, patch):
    for path in paths:
        run('losetup', '-f', path)
    loops = [run('losetup', '-j', path, '-n', '-O', 'NAME').split()[0]
             for path in paths]
    if '-l1' not in args:
        args = args + [f'--chunk={CHUNK // 1024}']
    if '-l0' not in args:
        args = args + ['--bitmap=none', '--assume-clean']
    run('mdadm', '--create', MD, *args, f'--raid-devices={len(loops)}',
        '--metadata=1.2', f'--data-offset={BASE // 1024}K', '--run', '--force',
        *loops)
    if patch:
        run('mdadm', '--stop', MD)
        for loop in loops:
            Super(loop).patch(patch)
        run('sync')
        for loop in loops:
            run('blockdev', '--flushbufs', loop)
        run('mdadm', '--assemble', MD, *loops)
    return loops


def fill_array():
    """Write every sector; returns how many there are."""
    with open('/sys/block/md0/size', encoding='ascii') as f:
        sectors = int(f.read())
    with open(MD, 'r+b', buffering=0) as f:
        data = b''.join(map(pattern, range(sectors)))
        if f.write(data) != len(data):
            sys.exit('short write')
        os.fsync(f.fileno())
    return sectors


def describe(member, names, slot, index):
    """What a cell of a member is: a chunk's number, parity, or unused."""
    cell = member[index * CHUNK:(index + 1) * CHUNK]
    first = names.get(cell[:SECTOR])
    if first is None:
        return 'parity' if cell.strip(b'\0') else '-'
    if first % (CHUNK // SECTOR):
        sys.exit(f'slot {slot}: chunk {index} begins with sector {first}')
    for i in range(0, len(cell), SECTOR):
        sector = cell[i:i + SECTOR]
        if sector.strip(b'\0') and names.get(sector) != first + i // SECTOR:
            sys.exit(f'slot {slot}: chunk {index} is not in order')
    return first // (CHUNK // SECTOR)


def xor(cells):
    total = 0
    for cell in cells:
        total ^= int.from_bytes(cell, 'little')
    return total.to_bytes(CHUNK, 'little')


def find_parity(table, members):
    """Name parity cells in @table; returns the CRC of all P, and of all Q."""
    crcs = {'P': 0, 'Q': 0}
    for row in range(max(map(len, table))):
        cells = [m[row * CHUNK:(row + 1) * CHUNK] for m in members]
        parity = [s for s, t in enumerate(table) if t[row:row + 1] ==
                  ['parity']]
        if not parity:
            continue
        p = xor(c for s, c in enumerate(cells) if s not in parity)
        for slot in sorted(parity, key=lambda s: cells[s] != p):
            kind = 'P' if cells[slot] == p else 'Q'
            table[slot][row] = kind
            crcs[kind] = zlib.crc32(cells[slot], crcs[kind])
        kinds = [table[slot][row] for slot in parity]
        if sorted(kinds) not in (['P'], ['P', 'Q']):
            sys.exit(f'row {row}: {kinds}')
    return crcs


def show(name, sectors, supers, table, crcs):
    first = supers[0]
    member_bytes = [(s.data_size if first.level == 0 else s.size) * SECTOR
                    for s in supers]
    print(f'{{ "{name}", {first.level}, {first.layout:#x}, {len(supers)}, '
          f'{sectors * SECTOR},')
    print(f'  {crcs["P"]:#010x}, {crcs["Q"]:#010x},')
    print('  { ' + ', '.join(map(str, member_bytes)) + ' },')
    print('  { "' + '",\n    "'.join(' '.join(map(str, t)) for t in table)
          + '" } },')


def examine(name, args, file_sizes, patch):
    paths = []
    for slot, size in enumerate(file_sizes):
        paths.append(f'{WORK}/{slot}')
        with open(paths[-1], 'wb') as f:
            f.truncate(size)
    loops = start_array(paths, args, patch)
    sectors = fill_array()
    run('mdadm', '--stop', MD)
    for loop in loops:
        run('losetup', '-d', loop)

    supers = [Super(path) for path in paths]
    members = []
    for s in supers:
        with open(s.path, 'rb') as f:
            f.seek(s.data_offset * SECTOR)
            members.append(f.read(s.data_size * SECTOR))
    names = {pattern(sector): sector for sector in range(sectors)}
    table = [[describe(member, names, slot, i)
              for i in range(len(member) // CHUNK)]
             for slot, member in enumerate(members)]
    crcs = find_parity(table, members)
    show(name, sectors, supers, table, crcs)
    for path in paths:
        os.unlink(path)


def main():
    os.makedirs(WORK, exist_ok=True)
    print(HEAD)
    for array in arrays():
        examine(*array)


if __name__ == '__main__':
    main()
