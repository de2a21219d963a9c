#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Members are lost while one side runs the array; the other side then gets
the survivors, or the survivors and the members that missed writes.
"""
import shlex

import opus
import session
from md_array import Shape, examine
from pattern import random_batches, sha256

LOSSES = [
    (Shape('raid1', 3), (1,)),
    (Shape('raid1', 2), (0,)),
    (Shape('raid4', 5), (4,)),
    (Shape('raid5', 5, 'left-symmetric'), (1,)),
    (Shape('raid5', 4, 'right-asymmetric', metadata='1.0'), (3,)),
    (Shape('raid6', 7, 'left-symmetric'), (2,)),
    (Shape('raid6', 5, 'left-symmetric'), (0, 3)),
    (Shape('raid10', 4, 'n2'), (0, 2)),
    (Shape('raid10', 5, 'o2'), (4,)),
    (Shape('raid10', 4, 'f2'), (1,)),
]


def random_writes(shape, size, seed):
    return random_batches(f'{shape} {seed}', size, shape.chunk_kib << 10)


def check_survivors(array, lost):
    """The survivors' superblocks name the lost ones."""
    pattern = ''.join('.' if slot in lost else 'A'
                      for slot in range(array.shape.members))
    for path in array.paths(lost):
        found = examine(path)
        assert found['Array State'].split()[0] == pattern, found
        assert found['State'] == 'clean', found


def check_left_out(array, lost):
    """With all members given, opus-raid does without those that missed
    writes, and strict refuses."""
    found = opus.info(array)
    assert found['state'] == 'degraded', found
    unused = {member['state'] for member in found['members']
              if member.get('slot') in lost and member['state'] != 'missing'}
    assert unused <= {'stale', 'faulty', 'spare'}, found
    in_sync = {member['slot'] for member in found['members']
               if member['state'] == 'in-sync'}
    assert in_sync == set(range(array.shape.members)) - set(lost), found
    opus.assert_refused(array, 'STALE', assemble='strict')
    opus.assert_refused(array, 'INCOMPLETE', lost, assemble='strict')


def recover_by_md(run, array, lost, expected):
    """md rebuilds the lost members; then they serve for the others."""
    seen = array.rebuild(run.guest, lost)
    assert seen['sha256'] == expected, seen['said']
    assert seen['mismatch_cnt'] == 0, seen['said']
    assert opus.info(array)['state'] == 'optimal'
    others = [slot for slot in range(array.shape.members) if slot not in lost]
    assert opus.checksum(array, others[:array.shape.redundancy()]) == expected


def lost_in_opus(run, shape, lost):
    """opus-raid writes without the members; md gets the array."""
    with run.array(shape) as array:
        made = array.create(run.guest, run.pattern.path)
        reference = run.pattern.start(made['size'])
        opus.write_batches(array, random_writes(shape, made['size'], 1),
                           reference, without=lost)
        check_survivors(array, lost)
        expected = sha256(reference)
        assert opus.checksum(array, lost) == expected
        check_left_out(array, lost)

        seen = array.read_degraded(run.guest, lost)
        assert seen['sha256'] == expected, seen['said']
        assert seen['degraded'] == len(lost), seen['said']
        seen = array.read_degraded(run.guest, ())
        assert seen['sha256'] == expected, seen['said']
        assert seen['degraded'] == len(lost), seen['said']
        recover_by_md(run, array, lost, expected)


def lost_in_md(run, shape, lost):
    """md fails the members and writes on; opus-raid gets the array, writes,
    and gives it back."""
    with run.array(shape) as array:
        made = array.create(run.guest, run.pattern.path)
        fresh = run.pattern.data[-made['size']:]
        with open(f'{array.dir}/fresh', 'wb') as f:
            f.write(fresh)
        failed = ' '.join(f'"${{loops[{slot}]}}"' for slot in lost)
        seen = array.in_guest(
            run.guest,
            f'assemble\nmdadm --manage "$md" --fail {failed} 2>&1\n'
            f'fill {shlex.quote(array.dir)}/fresh\nchecksum\nstop')
        assert seen['sha256'] == sha256(fresh), seen['said']

        reference = bytearray(fresh)
        assert opus.info(array, lost)['state'] == 'degraded'
        assert opus.read_all(array, lost) == reference
        check_left_out(array, lost)
        assert opus.read_all(array) == reference
        opus.write_batches(array, random_writes(shape, made['size'], 2),
                           reference)
        check_survivors(array, lost)
        expected = sha256(reference)
        seen = array.read_degraded(run.guest, lost)
        assert seen['sha256'] == expected, seen['said']
        recover_by_md(run, array, lost, expected)


def too_many_lost(run, shape, lost):
    """Neither side starts an array that lost more than its level bears, and
    it is not changed by the attempt."""
    with run.array(shape) as array:
        array.create(run.guest, run.pattern.path)
        before = array.members_sha256()
        opus.assert_refused(array, 'TOO_FEW', lost)
        opus.assert_refused(array, 'TOO_FEW', lost, assemble='force')
        seen = array.in_guest(run.guest, 'must_not_start --run', lost)
        assert seen['assemble_status'] != 0, seen['said']
        assert before == array.members_sha256()


def dropped_in_md(run, shape, lost):
    """md loses more than the level bears, and calls them faulty. Force takes
    the last of them back, and md agrees with what has become of it."""
    with run.array(shape) as array:
        made = array.create(run.guest, run.pattern.path)
        expected = sha256(run.pattern.start(made['size']))
        failed = ''.join(f'mdadm --manage "$md" --fail "${{loops[{slot}]}}" '
                         '2>&1 || true\n' for slot in lost)
        array.in_guest(run.guest, f'assemble\n{failed}stop')
        before = array.members_sha256()
        opus.assert_refused(array, 'STALE', assemble='strict')
        opus.assert_refused(array, 'TOO_FEW')
        assert sha256(opus.read_all(array, assemble='force')) == expected
        assert before == array.members_sha256()
        found = opus.info(array, assemble='force')
        in_sync = {member['slot'] for member in found['members']
                   if member['state'] == 'in-sync'}
        assert in_sync == set(range(shape.members)) - set(lost[:-1]), found

        opus.open_writable(array, assemble='force')
        assert opus.checksum(array) == expected
        seen = array.read_degraded(run.guest, lost[:-1])
        assert seen['sha256'] == expected, seen['said']
        recover_by_md(run, array, lost[:-1], expected)


def run_all(run):
    for shape, lost in LOSSES:
        names = ' and '.join(str(slot) for slot in lost)
        run.scenario(f'opus-raid loses {names} of {shape}, md goes on',
                     lost_in_opus, run, shape, lost)
        run.scenario(f'md loses {names} of {shape}, opus-raid goes on',
                     lost_in_md, run, shape, lost)
    for shape, lost in (
            (Shape('raid0', 3), (1,)),
            (Shape('raid5', 4, 'left-symmetric'), (0, 2)),
            (Shape('raid6', 5, 'left-symmetric'), (0, 2, 3)),
            (Shape('raid10', 4, 'n2'), (2, 3))):
        names = ', '.join(str(slot) for slot in lost)
        run.scenario(f'nobody starts {shape} without {names}',
                     too_many_lost, run, shape, lost)
    for shape, lost in ((Shape('raid5', 4, 'left-symmetric'), (0, 2)),
                        (Shape('raid6', 5, 'left-symmetric'), (1, 4, 2))):
        names = ', '.join(str(slot) for slot in lost)
        run.scenario(f'md loses {names} of {shape}, force takes back the last',
                     dropped_in_md, run, shape, lost)


if __name__ == '__main__':
    session.main(run_all)
