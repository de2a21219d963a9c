#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""One side dies in the middle of writing; the other side finds an array that
was not closed cleanly, and must say so.
"""
import os
import shlex

import opus
import session
from crash import (check_data, kill_md, kill_opus, md_replays, md_resyncs,
                   opus_replays, opus_resyncs, says_active, tear, window)
from md_array import KIB, Shape
from pattern import random_batches

# Wide enough that a small write modifies parity rather than to compute it
# anew, where it may.
SHAPES = [
    Shape('raid1', 2),
    Shape('raid5', 5, 'left-symmetric'),
    Shape('raid6', 7, 'left-symmetric'),
    Shape('raid10', 4, 'n2'),
]


def md_resyncs_right(run, array, reference):
    check_data(md_resyncs(run, array), reference)


def opus_goes_on(run, array, reference):
    """opus-raid serves the unclean array and says what it is.  What it then
    writes has right redundancy, and is there for md, which resyncs."""
    shape, size = array.shape, len(reference)
    found = opus.info(array)
    assert found['state'] == 'resync-pending', found
    data = bytearray(opus.read_all(array))
    check_data(data, reference)
    batches = list(random_batches(f'unclean {shape}', size, 64 * KIB))
    opus.write_batches(array, batches, data)
    assert opus.info(array)['state'] == 'resync-pending'
    assert opus.read_all(array) == data, 'the copies differ, and it shows'
    for slot in range(shape.members):
        check_pieces(opus.read_all(array, (slot,), assemble='force'),
                     data, batches)
    after = md_resyncs(run, array)
    check_pieces(after, data, batches)
    assert after == data, 'md reads other data'


def check_pieces(data, reference, batches):
    """What was written is there; later pieces may lie over earlier ones."""
    for batch in batches:
        for piece in batch:
            where = slice(piece.offset, piece.offset + piece.length)
            assert data[where] == reference[where], f'lost: {piece}'


def degraded_too(run, array, reference):
    """Without a member as well: with parity nobody starts the array, unless
    opus-raid is forced; copies need no parity, so those are read."""
    start = window(len(reference))[0]
    before = array.members_sha256()
    for slot in range(array.shape.members):
        policy = {}
        if array.shape.has_parity():
            opus.assert_refused(array, 'DIRTY_DEGRADED', (slot,))
            policy = {'assemble': 'force'}
        data = opus.read_all(array, (slot,), **policy)
        assert data[:start] == reference[:start], slot
    if array.shape.has_parity():
        seen = array.in_guest(run.guest, 'must_not_start --run', (1,))
        assert seen['assemble_status'] != 0, seen['said']
        assert seen['kernel_dirty_degraded'] > 0, seen['said']
    assert before == array.members_sha256(), 'a refusal wrote to a member'


def killed(run, shape, kill):
    with run.array(shape) as array:
        made = array.create(run.guest, run.pattern.path)
        reference = run.pattern.start(made['size'])
        kill(run, array, made['size'])
        assert says_active(array)
        tear(array, made['size'])
        degraded_too(run, array, reference)
        for resync in md_resyncs_right, opus_resyncs:
            twin = array.copy_to(os.path.basename(array.dir) + '-twin')
            try:
                resync(run, twin, reference)
            finally:
                twin.remove()
        opus_goes_on(run, array, reference)


def killed_with_log(run, kill, replay):
    """With a partial parity log the other side needs no resync, and bears
    the loss of a member at the same time."""
    shape = Shape('raid5', 4, 'left-symmetric')
    options = shlex.join(shape.mdadm_options(
        bitmap=None, **{'consistency-policy': 'ppl'}))
    with run.array(shape) as array:
        made = array.in_guest(
            run.guest, f'create {options}\n'
                       f'fill {shlex.quote(run.pattern.path)}\nchecksum\nstop')
        reference = run.pattern.start(made['size'])
        kill(run, array, made['size'])
        assert says_active(array)
        for without in ((), *((slot,) for slot in range(shape.members))):
            twin = array.copy_to(os.path.basename(array.dir) + '-twin')
            try:
                replay(run, twin, reference, without)
            finally:
                twin.remove()


def run_all(run):
    run.scenario('opus-raid is killed, md replays its log',
                 killed_with_log, run, kill_opus, md_replays)
    run.scenario('md is killed, opus-raid replays its log',
                 killed_with_log, run, kill_md, opus_replays)
    run.scenario('opus-raid is killed, and replays its own',
                 killed_with_log, run, kill_opus, opus_replays)
    for shape in SHAPES:
        run.scenario(f'opus-raid is killed while it writes {shape}',
                     killed, run, shape, kill_opus)
        run.scenario(f'md is killed while it writes {shape}',
                     killed, run, shape, kill_md)


if __name__ == '__main__':
    session.main(run_all)
