#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Levels, metadata and consistency policies, each with each: arrays of md are
written by opus-raid and go back, arrays of opus-raid are written by md and come
back, and either side dies while it writes and leaves the array to the other.

What one side must refuse of the other, it refuses, and changes no byte.
"""
import shlex

import opus
import session
import tap
from crash import (check_data, kill_md, kill_opus, md_replays, md_resyncs,
                   opus_replays, opus_resyncs, tear)
from md_array import KIB, MIB, Shape, block_sizes
from pattern import random_batches, sha256
from shell import GuestError

# Wide enough that a small write modifies parity rather than to compute it anew.
SHAPES = {
    'raid0': {'members': 3},
    'raid1': {'members': 2},
    'raid5': {'members': 5, 'layout': 'left-symmetric'},
    'raid6': {'members': 7, 'layout': 'left-symmetric'},
    'raid10': {'members': 4, 'layout': 'n2'},
}
POLICIES = {
    'raid0': ('resync',),
    'raid1': ('resync', 'bitmap'),
    'raid5': ('resync', 'bitmap', 'ppl', 'journal'),
    'raid6': ('resync', 'bitmap', 'journal'),
    'raid10': ('resync', 'bitmap'),
}
METADATA = ('1.0', '1.1', '1.2')
# mdadm's words for what is made with the array; a journal that is not a device
# of its own is opus-raid's alone.
MDADM = {
    'resync': {},
    'journal': {},
    'bitmap': {'bitmap': 'internal'},
    'ppl': {'bitmap': None, 'consistency-policy': 'ppl'},
}
DETAIL = {
    'resync': 'Consistency Policy : resync',
    'bitmap': 'Intent Bitmap : Internal',
    'ppl': 'Consistency Policy : ppl',
}
# md since 6.19 notes it in new arrays, see docs/format.rst; but superblocks of
# raid0 it does not write, once mdadm has.
NOTES_BLOCK_SIZE = (6, 19)
# A bug of mdadm 4.6, which looks for the log before the start of the device.
NO_LOG = 'Failed to seek offset for zeroing'
NO_LOG_OF = ('1.0', 'ppl')
# What a crash is tried with in CI.
CRASHES = {('raid5', 'ppl'), ('raid6', 'bitmap'), ('raid10', 'resync'),
           ('raid5', 'journal')}


def shape_of(level, metadata='1.2'):
    return Shape(level, metadata=metadata, **SHAPES[level])


def has_no_room(metadata, policy):
    return metadata == '1.0' and policy == 'journal'


def create(run, array, policy):
    """md makes it, and fills it; what is on it."""
    options = shlex.join(array.shape.mdadm_options(
        **MDADM[policy] if array.shape.redundancy() else {}))
    try:
        seen = array.in_guest(
            run.guest, f'create {options}\n'
                       f'fill {shlex.quote(run.pattern.path)}\nchecksum\nstop')
    except GuestError as error:
        if NO_LOG in str(error) and (array.shape.metadata, policy) == NO_LOG_OF:
            run.recover()
            raise tap.Skip('this mdadm makes none') from error
        raise
    reference = run.pattern.start(seen['size'])
    assert seen['sha256'] == sha256(reference), seen['said']
    return reference


def write(array, reference, seed):
    """opus-raid writes all over it, and reads what is there then."""
    opus.write_batches(array, random_batches(
        f'{array.shape} {seed}', len(reference), array.shape.chunk_kib * KIB),
        reference)
    assert opus.read_all(array) == reference, 'opus-raid reads other data'


def check_policy(array, policy):
    if array.shape.redundancy():
        found = opus.info(array)
        assert found['consistency-policy'] == policy, found


def md_goes_on(run, array, policy, reference):
    """md finds nothing to mend in what opus-raid left, and writes."""
    fresh = run.pattern.data[-2 * MIB:]
    offset = len(reference) // 3 // 512 * 512
    with open(f'{array.dir}/fresh', 'wb') as f:
        f.write(fresh)
    seen = array.in_guest(
        run.guest,
        'assemble\nchecksum\ncheck\n'
        f'dd if={shlex.quote(array.dir)}/fresh of="$md" bs=1M status=none '
        f'oflag=seek_bytes seek={offset} conv=fsync\nwords\nstop')
    said = seen['said']
    assert seen['assemble_status'] == 0, said
    assert seen['sha256'] == sha256(reference), said
    assert seen['mismatch_cnt'] == 0, said
    assert seen['resync_start'] in ('none', ''), said
    assert seen['kernel_resyncs'] == seen['kernel_kicked'] == 0, said
    assert not array.shape.redundancy() or DETAIL[policy] in said, said
    reference[offset:offset + len(fresh)] = fresh


def md_refuses(run, array):
    """An array whose policy md does not know; as it was, then without it."""
    before = array.members_sha256()
    seen = array.in_guest(run.guest, 'must_not_start --run')
    assert seen['assemble_status'] != 0, seen['said']
    assert array.members_sha256() == before, 'md wrote to what it refuses'
    opus.set_policy(array, 'resync')


def give_to_md(run, array, policy, reference):
    """And take back."""
    if policy == 'journal':
        md_refuses(run, array)
        policy = 'resync'
    md_goes_on(run, array, policy, reference)
    assert opus.read_all(array, assemble='strict') == reference, \
        'opus-raid reads other data than md wrote'
    check_policy(array, policy)
    write(array, reference, 'again')
    seen = array.verify(run.guest)
    assert seen['sha256'] == sha256(reference), seen['said']
    assert seen['mismatch_cnt'] == 0, seen['said']
    assert seen['kernel_resyncs'] == 0, seen['said']


def from_md(run, shape, policy):
    with run.array(shape) as array:
        reference = create(run, array, policy)
        blocks = block_sizes(array.paths())
        notes = run.version >= NOTES_BLOCK_SIZE and shape.redundancy()
        assert blocks == {512 if notes else 0}, blocks
        if policy == 'journal':
            opus.set_policy(array, policy)
        check_policy(array, policy)
        assert opus.read_all(array, assemble='strict') == reference, \
            'opus-raid reads other data than md wrote'
        write(array, reference, 'first')
        check_policy(array, policy)
        give_to_md(run, array, policy, reference)
        assert block_sizes(array.paths()) == blocks


def no_room(run, shape, policy):
    """opus-raid's journal is not had with superblocks at the end."""
    with run.array(shape) as array:
        create(run, array, policy)
        before = array.members_sha256()
        try:
            opus.set_policy(array, policy)
        except opus.OpusError as error:
            assert '(metadata 1.0)' in str(error), error
        else:
            raise AssertionError('there is no room, and nobody says so')
        assert array.members_sha256() == before, 'the refusal wrote to a member'


def from_opus(run, shape, policy):
    with run.array(shape) as array:
        opus.create(array, **{'consistency-policy': policy}
                    if shape.redundancy() else {})
        reference = run.pattern.start(opus.info(array)['size'])
        opus.fill(array, bytes(reference))
        give_to_md(run, array, policy, reference)


def opus_replays_journal(run, array, reference):
    """Nobody else can; md then finds nothing to do."""
    opus.open_writable(array)
    found = opus.info(array)
    assert found['state'] == 'optimal', found
    check_data(opus.read_all(array), reference)
    md_refuses(run, array)
    md_replays(run, array, reference, ())


def killed_opus(run, shape, policy):
    with run.array(shape) as array:
        reference = create(run, array, policy)
        if policy == 'journal':
            opus.set_policy(array, policy)
        kill_opus(run, array, len(reference))
        if policy == 'journal':
            opus_replays_journal(run, array, reference)
        elif policy == 'ppl':
            md_replays(run, array, reference, ())
        else:
            tear(array, len(reference))
            check_data(md_resyncs(run, array), reference)


def killed_md(run, shape, policy):
    with run.array(shape) as array:
        reference = create(run, array, policy)
        kill_md(run, array, len(reference))
        if policy == 'ppl':
            opus_replays(run, array, reference, ())
        else:
            tear(array, len(reference))
            opus_resyncs(run, array, reference)


def run_crashes(run, level, metadata, policy):
    shape = shape_of(level, metadata)
    rare = metadata != '1.2' or (level, policy) not in CRASHES
    run.scenario(f'opus-raid is killed: {shape}, {policy}',
                 killed_opus, run, shape, policy, rare=rare)
    if policy != 'journal':
        run.scenario(f'md is killed: {shape}, {policy}',
                     killed_md, run, shape, policy, rare=rare)


def run_all(run):
    cells = [(level, policy) for level, policies in POLICIES.items()
             for policy in policies]
    for level, policy in cells:
        for metadata in METADATA:
            shape = shape_of(level, metadata)
            if has_no_room(metadata, policy):
                run.scenario(f'md -> opus-raid: {shape}, no room for a '
                             f'{policy}', no_room, run, shape, policy)
            else:
                run.scenario(f'md -> opus-raid -> md: {shape}, {policy}',
                             from_md, run, shape, policy)
        shape = shape_of(level)
        run.scenario(f'opus-raid -> md -> opus-raid: {shape}, {policy}',
                     from_opus, run, shape, policy)
    for level, policy in cells:
        if not shape_of(level).redundancy():
            continue
        for metadata in METADATA:
            if not has_no_room(metadata, policy):
                run_crashes(run, level, metadata, policy)


if __name__ == '__main__':
    session.main(run_all)
