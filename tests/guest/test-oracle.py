#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Can the oracle fail?  Arrays that only md ever touched pass every check the
other tests make; one byte changed behind md's back is noticed.
"""
import session
from md_array import Shape, data_offset
from pattern import sha256

SHAPES = [
    Shape('raid1', 2),
    Shape('raid5', 4, 'left-symmetric'),
    Shape('raid6', 5, 'left-symmetric'),
    Shape('raid10', 4, 'n2'),
]


def flip_byte(path, offset):
    with open(path, 'r+b') as f:
        f.seek(offset)
        byte = f.read(1)[0]
        f.seek(offset)
        f.write(bytes([byte ^ 0xff]))


def untouched(run, shape):
    with run.array(shape) as array:
        made = array.create(run.guest, run.pattern.path)
        expected = sha256(run.pattern.start(made['size']))
        assert made['sha256'] == expected, made['said']
        seen = array.verify(run.guest)
        assert seen['sha256'] == expected, seen['said']
        assert seen['mismatch_cnt'] == 0, seen['said']
        assert seen['resync_start'] == 'none', seen['said']
        assert seen['kernel_resyncs'] == 0, seen['said']
        assert seen['detail_state'] == 'clean', seen['said']


def damaged(run, shape):
    """The first byte of member 1 is data, not parity, in all these shapes;
    where member 0 has a copy, md must read without it."""
    mirrors = () if shape.has_parity() else (0,)
    with run.array(shape) as array:
        made = array.create(run.guest, run.pattern.path)
        flip_byte(array.paths()[1], data_offset(array.paths()[1]))
        seen = array.verify(run.guest)
        assert seen['mismatch_cnt'] > 0, seen['said']
        seen = array.read_degraded(run.guest, mirrors)
        assert seen['sha256'] != made['sha256'], seen['said']


def unclean(run, shape):
    """A superblock that says dirty is told from one that says clean."""
    with run.array(shape) as array:
        array.create(run.guest, run.pattern.path)
        seen = array.in_guest(
            run.guest, 'assemble --update=resync\nchecksum\n'
                       'wait_until is_quiet\nwords\nstop')
        assert seen['kernel_resyncs'] != 0, seen['said']


def run_all(run):
    for shape in SHAPES:
        run.scenario(f'md alone: {shape} passes all checks',
                     untouched, run, shape)
        run.scenario(f'md alone: {shape} with one byte changed is caught',
                     damaged, run, shape)
        run.scenario(f'md alone: {shape} marked dirty is resynced',
                     unclean, run, shape)


if __name__ == '__main__':
    session.main(run_all)
