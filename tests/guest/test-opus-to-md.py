#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays made and filled by opus-raid: mdadm --examine says what was meant,
md assembles them clean, and reads the same with every set of members missing
that the level bears.
"""
import itertools
import subprocess
import uuid

import opus
import session
from md_array import KIB, MIB, SHA256SUM, Shape, examine
from pattern import sha256

SHAPES = [
    Shape('raid0', 3),
    Shape('raid0', 4, 'original', sizes_mib=(5, 9, 7, 9)),
    Shape('raid0', 4, 'alternate', sizes_mib=(5, 9, 7, 9)),
    Shape('raid1', 2),
    Shape('raid1', 3),
    Shape('raid5', 3, 'left-symmetric', chunk_kib=512),
    Shape('raid5', 5, 'left-symmetric'),
    Shape('raid5', 4, 'left-asymmetric'),
    Shape('raid5', 4, 'right-symmetric', chunk_kib=4),
    Shape('raid5', 4, 'right-asymmetric'),
    Shape('raid5', 4, 'parity-first'),
    Shape('raid5', 4, 'parity-last'),
    Shape('raid6', 4, 'left-symmetric'),
    Shape('raid6', 5, 'left-symmetric', chunk_kib=16),
    Shape('raid6', 5, 'left-asymmetric'),
    Shape('raid6', 5, 'right-symmetric'),
    Shape('raid6', 5, 'right-asymmetric'),
    Shape('raid6', 5, 'parity-first'),
    Shape('raid6', 5, 'parity-last'),
    Shape('raid10', 4, 'n2'),
    Shape('raid10', 5, 'n2'),
    Shape('raid10', 4, 'f2'),
    Shape('raid10', 5, 'f2'),
    Shape('raid10', 4, 'o2'),
    Shape('raid10', 3, 'o2'),
    Shape('raid10', 5, 'n3'),
    Shape('raid1', 1),
    Shape('raid6', 5, 'ddf-N-continue'),
]

RARE_SHAPES = [
    Shape('raid6', 5, 'left-asymmetric-6'),
    Shape('raid6', 5, 'right-asymmetric-6'),
    Shape('raid6', 5, 'left-symmetric-6'),
    Shape('raid6', 5, 'right-symmetric-6'),
    Shape('raid6', 5, 'parity-first-6'),
    Shape('raid6', 5, 'ddf-zero-restart'),
    Shape('raid6', 5, 'ddf-N-restart'),
]

ARRAY_NAME = 'host7:oracle'


def expected_layout(shape):
    """As mdadm --examine prints it; None when it prints none."""
    if shape.level == 'raid10':
        return {'n': 'near', 'f': 'far', 'o': 'offset'}[shape.layout[0]] \
            + '=' + shape.layout[1:]
    if shape.level in ('raid5', 'raid6'):
        return shape.layout
    return None


def array_bytes(shape, member_bytes):
    """Size of the array, from the bytes used on each member."""
    chunk = shape.chunk_kib * KIB
    if shape.level == 'raid0':
        return sum(size // chunk * chunk for size in member_bytes)
    size = min(member_bytes)
    if shape.level == 'raid1':
        return size
    rows = size // chunk
    if shape.level == 'raid10':
        copies = int(shape.layout[1:])
        return rows * shape.members // copies * chunk
    return rows * chunk * (shape.members - shape.redundancy())


def check_examine(array, array_uuid):
    """Every line that mdadm prints about a member, against what was meant."""
    shape = array.shape
    fields = [examine(path) for path in array.paths()]
    usable = [512 * int(found['Avail Dev Size'].split()[0])
              for found in fields]
    for slot, found in enumerate(fields):
        wanted = {
            'Magic': 'a92b4efc', 'Version': '1.2',
            'Array UUID': mdadm_uuid(array_uuid),
            'Raid Level': shape.level, 'Raid Devices': str(shape.members),
            'State': 'clean', 'Device Role': f'Active device {slot}',
            'Layout': expected_layout(shape),
            'Chunk Size': f'{shape.chunk_kib}K' if shape.has_chunk() else None,
            'Events': fields[0]['Events'], 'Name': ARRAY_NAME,
        }
        for name, value in wanted.items():
            if value is not None:
                assert found[name] == value, (name, value, found)
        assert found['Checksum'].endswith(' - correct'), found
        assert found['Array State'].split()[0] == 'A' * shape.members, found
        offset = int(found['Data Offset'].split()[0]) * 512
        assert offset % MIB == 0 and offset > 0, found
        if shape.level != 'raid0':
            said_kib = int(found['Array Size'].split()[0])
            # mdadm leaves the half chunk in that 5 members / 3 copies give.
            spare = shape.chunk_kib if shape.level == 'raid10' else 1
            size_kib = array_bytes(shape, usable) // KIB
            assert 0 <= said_kib - size_kib < spare, found
    devices = {found['Device UUID'] for found in fields}
    assert len(devices) == shape.members, fields
    return array_bytes(shape, usable)


def mdadm_uuid(value):
    digits = uuid.UUID(value).hex
    return ':'.join(digits[i:i + 8] for i in range(0, 32, 8))


def check_short_forms(array, array_uuid):
    """--brief makes a line for mdadm.conf, --export one for udev."""
    def mdadm(*args):
        return subprocess.run(['/sbin/mdadm', '--examine', *args], check=True,
                              capture_output=True, text=True).stdout

    brief = mdadm('--brief', *array.paths())
    assert brief.count('ARRAY') == 1, brief
    assert f'UUID={mdadm_uuid(array_uuid)}' in brief, brief
    exported = mdadm('--export', array.paths()[0]).splitlines()
    assert f'MD_LEVEL={array.shape.level}' in exported, exported
    assert f'MD_DEVICES={array.shape.members}' in exported, exported
    assert f'MD_UUID={mdadm_uuid(array_uuid)}' in exported, exported
    assert f'MD_NAME={ARRAY_NAME}' in exported, exported


def losses(shape):
    """Every set of members that the level can always do without."""
    for count in range(1, shape.redundancy() + 1):
        yield from itertools.combinations(range(shape.members), count)


def read_with_losses(run, array, expected):
    """md reads the array without each of the sets; the members stay as they
    are, byte by byte."""
    before = array.members_sha256()
    script = ['every=("${loops[@]}")']
    for lost in losses(array.shape):
        kept = [f'"${{every[{i}]}}"' for i in range(array.shape.members)
                if i not in lost]
        script += [f'loops=({" ".join(kept)})',
                   'assemble --readonly --run', 'checksum', 'stop']
    said = array.in_guest(run.guest, '\n'.join(script))['said']
    assert before == array.members_sha256(), 'md wrote to the members'
    sums = SHA256SUM.findall(said)
    assert sums == [expected] * len(list(losses(array.shape))), said
    degraded = [int(line[9:]) for line in said.splitlines()
                if line.startswith('degraded=')]
    assert degraded == [len(lost) for lost in losses(array.shape)], said


def made_by_opus(run, shape):
    array_uuid = str(uuid.uuid4())
    with run.array(shape) as array:
        opus.create(array, name=ARRAY_NAME, uuid=array_uuid)
        size = check_examine(array, array_uuid)
        reference = run.pattern.start(size)
        opus.fill(array, reference)
        assert opus.info(array)['size'] == size
        check_examine(array, array_uuid)
        check_short_forms(array, array_uuid)

        expected = sha256(reference)
        if shape.redundancy():
            read_with_losses(run, array, expected)
        seen = array.verify(run.guest)
        assert seen['size'] == size, seen['said']
        assert seen['sha256'] == expected, seen['said']
        assert seen['mismatch_cnt'] == 0, seen['said']
        assert seen['kernel_resyncs'] == 0, seen['said']
        assert seen['detail_state'] == 'clean', seen['said']


def never_written(run, shape):
    """Redundancy is right before the first write, and all is zero, whatever
    the members held."""
    with run.array(shape) as array:
        for path in array.paths():
            with open(path, 'r+b') as f:
                f.write(run.pattern.data[:array.member_bytes])
        opus.create(array, force=True)
        seen = array.verify(run.guest)
        assert seen['sha256'] == sha256(bytes(seen['size'])), seen['said']
        assert seen['mismatch_cnt'] == 0, seen['said']
        assert seen['kernel_resyncs'] == 0, seen['said']


def run_all(run):
    for shape in SHAPES + RARE_SHAPES:
        count = len(list(losses(shape)))
        run.scenario(f'opus-raid -> md: {shape}, whole and {count} x degraded',
                     made_by_opus, run, shape, rare=shape in RARE_SHAPES)
    for shape in (Shape('raid1', 2), Shape('raid5', 4, 'left-symmetric'),
                  Shape('raid6', 5, 'left-symmetric'),
                  Shape('raid10', 4, 'n2')):
        run.scenario(f'opus-raid -> md: new {shape} over old data',
                     never_written, run, shape)


if __name__ == '__main__':
    session.main(run_all)
