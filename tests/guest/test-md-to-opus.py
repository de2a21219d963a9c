#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Arrays of md in the hands of opus-raid and back: made and filled by md,
read by opus-raid, written by it in random pieces, assembled by md again.
"""
import shlex

import md_array
import opus
import session
from md_array import Shape
from pattern import random_batches, sha256

# Five members of RAID5 and seven of RAID6 are the least of which a small write
# modifies the old parity; with fewer it is computed anew from the other data.
SHAPES = [
    Shape('raid0', 3, chunk_kib=16),
    Shape('raid0', 4, chunk_kib=512, metadata='1.0'),
    Shape('raid0', 4, 'original', sizes_mib=(5, 9, 7, 9)),
    Shape('raid0', 4, 'alternate', sizes_mib=(5, 9, 7, 9)),
    Shape('raid1', 2),
    Shape('raid1', 3, metadata='1.1'),
    Shape('raid4', 5),
    Shape('raid5', 5, 'left-symmetric'),
    Shape('raid5', 3, 'left-symmetric', metadata='1.0', chunk_kib=512),
    Shape('raid5', 6, 'left-symmetric', metadata='1.1', chunk_kib=4),
    Shape('raid5', 5, 'left-asymmetric'),
    Shape('raid5', 5, 'right-symmetric'),
    Shape('raid5', 5, 'right-asymmetric'),
    Shape('raid5', 5, 'parity-first'),
    Shape('raid5', 5, 'parity-last'),
    Shape('raid6', 7, 'left-symmetric'),
    Shape('raid6', 4, 'left-symmetric', metadata='1.0', chunk_kib=16),
    Shape('raid6', 7, 'left-asymmetric'),
    Shape('raid6', 7, 'right-symmetric'),
    Shape('raid6', 8, 'right-asymmetric', chunk_kib=16),
    Shape('raid6', 5, 'parity-first'),
    Shape('raid6', 7, 'parity-last'),
    Shape('raid10', 4, 'n2', metadata='1.1'),
    Shape('raid10', 5, 'n2'),
    Shape('raid10', 4, 'f2'),
    Shape('raid10', 3, 'f2', metadata='1.0'),
    Shape('raid10', 4, 'o2'),
    Shape('raid10', 5, 'o2'),
    Shape('raid10', 6, 'n3'),
    Shape('raid10', 4, 'n3'),
    Shape('raid10', 5, 'f3', chunk_kib=16),
    Shape('raid1', 1),
    Shape('raid6', 7, 'left-symmetric-6'),
    Shape('raid6', 7, 'ddf-N-continue'),
]

RARE_SHAPES = [
    Shape('raid6', 6, 'left-asymmetric-6'),
    Shape('raid6', 6, 'right-asymmetric-6', chunk_kib=16),
    Shape('raid6', 6, 'right-symmetric-6'),
    Shape('raid6', 5, 'parity-first-6'),
    Shape('raid6', 7, 'ddf-zero-restart'),
    Shape('raid6', 6, 'ddf-N-restart', chunk_kib=16),
]

# Far copies in sets of members, which mdadm does not make: the layout as md
# numbers it, and a shape that is all zero and so right in any.
FAR_SETS = [
    (0x20201, Shape('raid10', 5, 'f2')),
]

RARE_FAR_SETS = [
    (0x40201, Shape('raid10', 6, 'f2', chunk_kib=16)),
    (0x50201, Shape('raid10', 4, 'o2')),
    (0x20202, Shape('raid10', 8, 'n2')),
]


def round_trip(run, shape, layout=None):
    with run.array(shape) as array:
        if layout is None:
            made = array.create(run.guest, run.pattern.path)
        else:
            words = shlex.join(shape.mdadm_options())
            array.in_guest(run.guest, f'create {words}\nstop')
            for path in array.paths():
                md_array.patch_layout(path, layout)
            made = array.in_guest(
                run.guest, 'assemble\nfill '
                           f'{shlex.quote(run.pattern.path)}\nchecksum\nstop')
        reference = run.pattern.start(made['size'])
        assert made['sha256'] == sha256(reference), made['said']

        data = opus.read_all(array)
        assert len(data) == len(reference), (len(data), len(reference))
        assert data == reference, 'opus-raid reads other data than md wrote'
        opus.write_batches(
            array, random_batches(str(shape), len(data),
                                  shape.chunk_kib << 10), reference)
        assert opus.read_all(array) == reference, \
            'opus-raid does not read what it wrote'

        seen = array.verify(run.guest)
        assert seen['sha256'] == sha256(reference), seen['said']
        assert seen['mismatch_cnt'] == 0, seen['said']
        assert seen['resync_start'] in ('none', ''), seen['said']
        assert seen['kernel_resyncs'] == 0, seen['said']
        assert seen['kernel_kicked'] == 0, seen['said']
        assert seen['detail_state'] == 'clean', seen['said']


def run_all(run):
    for shape in SHAPES + RARE_SHAPES:
        run.scenario(f'md -> opus-raid -> md: {shape}', round_trip, run, shape,
                     rare=shape in RARE_SHAPES)
    for layout, shape in FAR_SETS + RARE_FAR_SETS:
        run.scenario('md -> opus-raid -> md: far sets, layout '
                     f'{layout:#x} of {shape.members}', round_trip, run, shape,
                     layout, rare=(layout, shape) in RARE_FAR_SETS)


if __name__ == '__main__':
    session.main(run_all)
