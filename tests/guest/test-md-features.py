#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What else md arrays may have: opus-raid serves them right, or refuses them
by name and leaves every byte as it was.
"""
import re
import shlex

import opus
import session
from md_array import Shape, examine
from pattern import random_batches, sha256

RAID1 = Shape('raid1', 2)
RAID5 = Shape('raid5', 4, 'left-symmetric')
RAID6 = Shape('raid6', 5, 'left-symmetric')

# Recovery and reshape in a guest are to be found half done.
SLOW = ('echo 100 > /proc/sys/dev/raid/speed_limit_min\n'
        'echo 100 > /proc/sys/dev/raid/speed_limit_max\n')
FAST = ('echo 100000 > /proc/sys/dev/raid/speed_limit_min\n'
        'echo 200000 > /proc/sys/dev/raid/speed_limit_max\n')


def create(run, array, body):
    """@body makes /dev/md0 of ${loops[@]}; returns what is on it."""
    seen = array.in_guest(
        run.guest, f'{body}\nfill {shlex.quote(run.pattern.path)}\n'
                   'checksum\nstop')
    reference = run.pattern.start(seen['size'])
    assert seen['sha256'] == sha256(reference), seen['said']
    return reference


def mdadm_create(shape, members, **options):
    """The command for the first @members of ${loops[@]}."""
    words = shlex.join(shape.mdadm_options(**options))
    return (f'mdadm --create "$md" --run {words} '
            f'--raid-devices={members} "${{loops[@]:0:{members}}}" 2>&1\n'
            'wait_until is_quiet 0\n')


def refused(run, array, why, reference=None, without=()):
    """By name, and untouched; with @reference it can be read."""
    before = array.members_sha256()
    opus.assert_refused(array, why, without)
    opus.assert_refused(array, why, without, assemble='force')
    if reference is not None:
        assert opus.read_all(array, without) == reference
    assert array.members_sha256() == before, 'the refusal wrote to a member'


def served(run, array, reference, without=()):
    """Read, written, given back to md and read there."""
    assert opus.read_all(array, without) == reference
    opus.write_batches(
        array, random_batches('served', len(reference),
                              array.shape.chunk_kib << 10), reference, without)
    assert opus.read_all(array, without) == reference
    seen = array.verify(run.guest)
    assert seen['sha256'] == sha256(reference), seen['said']
    assert seen['mismatch_cnt'] == 0, seen['said']
    assert seen['kernel_resyncs'] == 0, seen['said']
    return seen


def set_bits(run, array):
    """Bits that are set, by mdadm's own account of each member's bitmap."""
    said = array.in_guest(
        run.guest, 'for loop in "${loops[@]}"; do\n'
                   'mdadm --examine-bitmap "$loop" 2>&1\ndone')['said']
    return [int(n) for n in re.findall(r'chunks\), (\d+) dirty', said)]


def with_bitmap(run):
    """Kept by both; what one's member missed, the other's bits name."""
    for shape in (RAID1, RAID5):
        with run.array(shape) as array:
            n = shape.members
            reference = create(run, array, mdadm_create(
                shape, n, bitmap='internal', **{'bitmap-chunk': '64K'}))
            assert opus.info(array)['consistency-policy'] == 'bitmap'
            served(run, array, reference)
            assert set_bits(run, array) == [0] * n

            # md's member comes back after writes of ours ...
            opus.write_batches(array, random_batches(
                'ours', len(reference), 64 << 10), reference, without=(1,))
            assert set_bits(run, array)[0] > 0
            seen = array.in_guest(
                run.guest,
                'assemble --run\n'
                'mdadm --manage "$md" --re-add "${loops[1]}" 2>&1\n'
                'wait_until is_quiet 0\nchecksum\ncheck\nwords\nstop')
            assert 're-added' in seen['said'], seen['said']
            assert seen['sha256'] == sha256(reference), seen['said']
            assert seen['mismatch_cnt'] == 0, seen['said']


def bitmap_from_opus(run):
    """Made by opus-raid: md keeps it, and after a crash resyncs by it."""
    with run.array(RAID5) as array:
        opus.create(array, **{'consistency-policy': 'bitmap',
                              'bitmap-chunk-size': 65536})
        seen = array.in_guest(
            run.guest,
            f'assemble\nfill {shlex.quote(run.pattern.path)}\nchecksum\n'
            'words\nstop')
        reference = run.pattern.start(seen['size'])
        assert seen['sha256'] == sha256(reference), seen['said']
        assert 'Intent Bitmap : Internal' in seen['said'], seen['said']
        served(run, array, reference)
        assert set_bits(run, array) == [0] * 4


def with_ppl(run):
    with run.array(RAID5) as array:
        reference = create(run, array, mdadm_create(
            RAID5, 4, bitmap=None, **{'consistency-policy': 'ppl'}))
        assert opus.info(array)['consistency-policy'] == 'ppl'
        seen = served(run, array, reference)
        assert 'Consistency Policy : ppl' in seen['said'], seen['said']


def ppl_from_opus(run):
    with run.array(RAID5) as array:
        opus.create(array, **{'consistency-policy': 'ppl'})
        seen = array.in_guest(
            run.guest,
            f'assemble\nfill {shlex.quote(run.pattern.path)}\nchecksum\n'
            'words\nstop')
        reference = run.pattern.start(seen['size'])
        assert seen['sha256'] == sha256(reference), seen['said']
        assert 'Consistency Policy : ppl' in seen['said'], seen['said']
        served(run, array, reference)


def with_journal(run):
    with run.array(Shape('raid5', 4, 'left-symmetric')) as array:
        create(run, array,
               'mdadm --create "$md" --run --level=5 --chunk=64 '
               '--raid-devices=3 "${loops[@]:0:3}" '
               '--write-journal="${loops[3]}" 2>&1\nwait_until is_quiet 0')
        refused(run, array, 'JOURNAL')
        refused(run, array, 'JOURNAL', without=(3,))


def with_bad_blocks(run):
    with run.array(RAID5) as array:
        create(run, array, mdadm_create(RAID5, 4))
        array.in_guest(
            run.guest,
            'assemble\necho 4096 8 > "$md_sys/dev-${loops[2]#/dev/}/bad_blocks"'
            '\ndd if=/dev/zero of="$md" bs=4k count=1 oflag=direct status=none\n'
            'stop')
        refused(run, array, 'BAD_BLOCKS')


def with_unknown_layout(run):
    with run.array(RAID6) as array:
        create(run, array, mdadm_create(RAID6, 5,
                                        layout='left-symmetric-6'))
        refused(run, array, 'GEOMETRY')


def in_reshape(run):
    with run.array(RAID5) as array:
        create(run, array, mdadm_create(RAID5, 3))
        array.in_guest(
            run.guest,
            'every=("${loops[@]}")\nloops=("${every[@]:0:3}")\nassemble\n'
            f'{SLOW}mdadm --manage "$md" --add "${{every[3]}}" 2>&1\n'
            'mdadm --grow "$md" --raid-devices=4 2>&1\n'
            f'stop\n{FAST}')
        assert 'Delta Devices' in examine(array.paths()[0])
        refused(run, array, 'RESHAPE')


def after_reshape(run):
    """A reshape that ended: other data offsets, one more member."""
    with run.array(RAID5) as array:
        create(run, array, mdadm_create(RAID5, 3))
        seen = array.in_guest(
            run.guest,
            'every=("${loops[@]}")\nloops=("${every[@]:0:3}")\nassemble\n'
            f'{FAST}mdadm --manage "$md" --add "${{every[3]}}" 2>&1\n'
            'mdadm --grow "$md" --raid-devices=4 2>&1\n'
            'wait_until is_quiet 0\n'
            f'fill {shlex.quote(run.pattern.path)}\nchecksum\nstop')
        reference = run.pattern.start(seen['size'])
        assert seen['sha256'] == sha256(reference), seen['said']
        assert 'Delta Devices' not in examine(array.paths()[0])
        assert examine(array.paths()[0])['Raid Devices'] == '4'
        served(run, array, reference)


def in_recovery(run):
    """A member that md has rebuilt in part only is not used."""
    with run.array(RAID5) as array:
        reference = create(run, array, mdadm_create(RAID5, 4))
        array.in_guest(
            run.guest,
            f'assemble\n{SLOW}'
            'mdadm --manage "$md" --fail "${loops[1]}" 2>&1\n'
            'mdadm --manage "$md" --remove "${loops[1]}" 2>&1\n'
            'mdadm --zero-superblock "${loops[1]}"\n'
            'mdadm --manage "$md" --add "${loops[1]}" 2>&1\n'
            'recovering() { md_get sync_action; [ "$REPLY" = recover ]; }\n'
            f'wait_until recovering\nstop\n{FAST}')
        found = opus.info(array)
        states = {member.get('slot'): member['state']
                  for member in found['members']}
        assert states[1] in ('rebuilding', 'missing', 'spare'), found
        assert found['state'] == 'degraded', found
        assert opus.read_all(array) == reference
        opus.write_batches(array, random_batches('recovery', len(reference),
                                                 64 << 10), reference)
        seen = array.rebuild(run.guest, (1,))
        assert seen['sha256'] == sha256(reference), seen['said']
        assert seen['mismatch_cnt'] == 0, seen['said']


def in_replacement(run):
    with run.array(RAID5) as array:
        create(run, array, mdadm_create(RAID5, 3))
        array.in_guest(
            run.guest,
            'every=("${loops[@]}")\nloops=("${every[@]:0:3}")\nassemble\n'
            f'{SLOW}mdadm --manage "$md" --add "${{every[3]}}" 2>&1\n'
            'mdadm --manage "$md" --replace "${every[1]}" '
            '--with "${every[3]}" 2>&1\n'
            'recovering() { md_get sync_action; [ "$REPLY" = recover ]; }\n'
            f'wait_until recovering\nstop\n{FAST}')
        refused(run, array, 'REPLACEMENT')


def with_spare(run):
    with run.array(RAID5) as array:
        reference = create(run, array, mdadm_create(RAID5, 3))
        array.in_guest(
            run.guest,
            'every=("${loops[@]}")\nloops=("${every[@]:0:3}")\nassemble\n'
            'mdadm --manage "$md" --add "${every[3]}" 2>&1\n'
            'wait_until is_quiet\nstop')
        found = opus.info(array)
        assert found['state'] == 'optimal', found
        assert [member['state'] for member in found['members']] == \
            ['in-sync'] * 3 + ['spare'], found
        served(run, array, reference)
        assert examine(array.paths()[3])['Device Role'] == 'spare'


def with_data_offsets(run):
    """Each member's data starts elsewhere."""
    with run.array(RAID5) as array:
        options = shlex.join(RAID5.mdadm_options())
        reference = create(
            run, array,
            f'mdadm --create "$md" --run {options} --data-offset=variable '
            '--raid-devices=4 "${loops[0]}:1024" "${loops[1]}:2048" '
            '"${loops[2]}:1536" "${loops[3]}:1028" 2>&1\n'
            'wait_until is_quiet 0')
        offsets = {examine(path)['Data Offset'] for path in array.paths()}
        assert len(offsets) == 4, offsets
        served(run, array, reference)


def with_size(run):
    """Less used of the members than there is."""
    with run.array(RAID5) as array:
        reference = create(run, array,
                           mdadm_create(RAID5, 4, size=5120))
        assert len(reference) == 3 * 5 << 20, len(reference)
        served(run, array, reference)


def with_write_mostly(run):
    """Flags and names that opus-raid has no use for are still there."""
    with run.array(RAID1) as array:
        reference = create(
            run, array,
            'mdadm --create "$md" --run --level=1 --bitmap=none '
            '--name=shelf --homehost=barn --raid-devices=2 "${loops[0]}" '
            '--write-mostly --failfast "${loops[1]}" 2>&1\n'
            'wait_until is_quiet 0')
        assert opus.info(array, name='barn:shelf')['name'] == 'barn:shelf'
        opus.assert_refused(array, 'WRONG_NAME', name='other')
        before = examine(array.paths()[1])
        served(run, array, reference)
        after = examine(array.paths()[1])
        for field in ('Name', 'Flags', 'Creation Time', 'Device UUID',
                      'Array UUID', 'Bad Block Log', 'Unused Space'):
            assert before.get(field) == after.get(field), (before, after)
        assert 'write-mostly' in after['Flags'], after


SCENARIOS = {
    'a write-intent bitmap is kept': with_bitmap,
    'a write-intent bitmap of opus-raid is kept by md': bitmap_from_opus,
    'a partial parity log is kept': with_ppl,
    'a partial parity log of opus-raid is kept by md': ppl_from_opus,
    'a journal device is refused': with_journal,
    'recorded bad blocks are refused': with_bad_blocks,
    'a layout of half a migration is refused': with_unknown_layout,
    'a reshape under way is refused': in_reshape,
    'a replacement under way is refused': in_replacement,
    'a reshaped array is served': after_reshape,
    'a member rebuilt in part is left out': in_recovery,
    'a spare stays one': with_spare,
    'members with their own data offsets are served': with_data_offsets,
    'members used in part are served': with_size,
    'names and flags survive': with_write_mostly,
}


def run_all(run):
    for name, body in SCENARIOS.items():
        run.scenario(f'md features: {name}', body, run)


if __name__ == '__main__':
    session.main(run_all)
