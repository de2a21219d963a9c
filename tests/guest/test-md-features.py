#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What else md arrays may have: opus-raid serves them right, or refuses them
by name and leaves every byte as it was.
"""
import json
import os
import re
import shlex
import shutil
import subprocess

import opus
import session
from md_array import Shape, data_offset, examine
from pattern import Write, random_batches, sha256

CONTRIB = os.path.join(opus.HERE, '../../contrib')

RAID1 = Shape('raid1', 2)
RAID5 = Shape('raid5', 4, 'left-symmetric')
RAID10 = Shape('raid10', 4, 'n2')

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


def grown_with_bitmap(run):
    """By opus-raid: md believes it in the new area, too."""
    for shape in (RAID1, RAID5, RAID10):
        with run.array(shape) as array:
            n = shape.members
            reference = create(run, array, mdadm_create(
                shape, n, bitmap='internal', **{'bitmap-chunk': '64K'}))
            for path in array.paths():
                os.truncate(path, os.path.getsize(path) + (8 << 20))
            args = ['--blockdev', json.dumps(
                {**opus.node(array), 'node-name': 'array'})]
            with opus.StorageDaemon(args) as daemon:
                daemon.cmd('opus-raid-grow', **{'node-name': 'array'})
            old_size = len(reference)
            reference += bytes(opus.info(array)['size'] - old_size)
            assert len(reference) > 3 * old_size // 2
            served(run, array, reference)
            assert set_bits(run, array) == [0] * n

            last = [[Write(len(reference) - 65536, 65536, 77)]]
            opus.write_batches(array, last, reference, without=(1,))
            assert set_bits(run, array)[0] > 0
            seen = array.in_guest(
                run.guest,
                'assemble --run\n'
                'mdadm --manage "$md" --re-add "${loops[1]}" 2>&1\n'
                'wait_until is_quiet 0\nchecksum\ncheck\nstop')
            assert 're-added' in seen['said'], seen['said']
            assert seen['sha256'] == sha256(reference), seen['said']
            assert seen['mismatch_cnt'] == 0, seen['said']


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


def policies_from_opus(run):
    """md's own array is given another policy, and back to md, and so on."""
    words = {'bitmap': 'Intent Bitmap : Internal',
             'ppl': 'Consistency Policy : ppl',
             'resync': 'Consistency Policy : resync'}
    with run.array(RAID5) as array:
        reference = create(run, array, mdadm_create(RAID5, 4, bitmap=None))
        for policy in ('bitmap', 'ppl', 'bitmap', 'journal', 'ppl', 'resync'):
            opus.set_policy(array, policy)
            if policy == 'journal':
                array.in_guest(run.guest, 'mdadm --assemble --run '
                               '"$md" "${loops[@]}" 2>&1 || true\n'
                               '[ ! -e "$md_sys" ]')
                continue
            seen = array.in_guest(run.guest, 'assemble\nwords\nstop')
            assert words[policy] in seen['said'], seen['said']
            served(run, array, reference)
            assert opus.info(array)['consistency-policy'] == policy
            if policy == 'bitmap':
                assert set_bits(run, array) == [0] * 4


def with_journal(run):
    with run.array(Shape('raid5', 4, 'left-symmetric')) as array:
        create(run, array,
               'mdadm --create "$md" --run --level=5 --chunk=64 '
               '--raid-devices=3 "${loops[@]:0:3}" '
               '--write-journal="${loops[3]}" 2>&1\nwait_until is_quiet 0')
        refused(run, array, 'JOURNAL')
        refused(run, array, 'JOURNAL', without=(3,))


def bad_ranges(path):
    """{first sector: sectors} on the device, by mdadm's own account."""
    said = subprocess.run(['/sbin/mdadm', '--examine-badblocks', path],
                          check=True, capture_output=True, text=True).stdout
    return {int(start): int(sectors) for start, sectors in
            re.findall(r'(\d+) for (\d+) sectors', said)}


def spoil(path, ranges):
    """Nobody may read what is there from now on."""
    with open(path, 'r+b') as f:
        for start, sectors in ranges.items():
            f.seek(start * 512)
            f.write(b'\xdb' * (sectors * 512))


def with_bad_blocks(run):
    ranges = {4096: 8, 5000: 512, 5512: 188}
    with run.array(RAID5) as array:
        reference = create(run, array, mdadm_create(RAID5, 4))
        log = '"$md_sys/dev-${loops[2]#/dev/}/bad_blocks"'
        # It is written when the array becomes dirty.
        array.in_guest(
            run.guest,
            f'assemble\necho 4096 8 > {log}\necho 5000 700 > {log}\n'
            'dd if=/dev/zero of="$md" bs=4k count=1 oflag=direct status=none\n'
            'stop')
        reference[:4096] = bytes(4096)
        member = array.paths()[2]
        assert bad_ranges(member) == ranges, bad_ranges(member)
        spoil(member, ranges)
        assert opus.read_all(array) == reference
        assert bad_ranges(member) == ranges
        # All of it is written, so it is good again, and md knows.
        opus.fill(array, bytes(reference))
        assert not bad_ranges(member)
        served(run, array, reference)


def rebuild_past(array, place):
    """m0 is replaced while m1 can't be read in one place of its data."""
    spare = f'{array.dir}/spare.img'
    shutil.copyfile(array.paths()[0], spare)
    with open(spare, 'r+b') as f:
        f.truncate(0)
        f.truncate(array.member_bytes)
    members = [{'driver': 'file', 'filename': path}
               for path in array.paths(without=(0,))]
    sector = (data_offset(array.paths()[1]) + place) // 512
    members[0] = {'driver': 'blkdebug', 'image': members[0], 'inject-error': [
        {'event': 'none', 'iotype': 'read', 'errno': 5, 'sector': sector}]}
    args = ['--blockdev', json.dumps({'driver': 'opus-raid', 'members': members,
                                      'node-name': 'r0'}),
            '--blockdev', f'driver=file,node-name=spare,filename={spare}']
    with opus.StorageDaemon(args) as daemon:
        daemon.cmd('opus-raid-add-member', **{'node-name': 'r0',
                                              'member': 'spare'})
        while daemon.cmd('query-jobs'):
            pass
        info, = daemon.cmd('query-opus-raid')
        assert info['state'] == 'optimal', info
    array.files[0] = 'spare.img'


def bad_blocks_from_opus(run):
    with run.array(RAID5) as array:
        opus.create(array)
        reference = run.pattern.start(opus.info(array)['size'])
        opus.fill(array, bytes(reference))
        rebuild_past(array, 3 * 65536 + 8192)
        member = array.paths()[0]
        ranges = {(data_offset(member) + 3 * 65536 + 8192) // 512: 8}
        assert bad_ranges(member) == ranges, bad_ranges(member)
        spoil(member, ranges)
        seen = array.in_guest(
            run.guest, 'assemble\ncat "$md_sys/dev-${loops[0]#/dev/}/bad_blocks"'
            '\nchecksum\nstop')
        start, = ranges
        assert f'\n{start} 8\n' in seen['said'], seen['said']
        assert seen['sha256'] == sha256(reference), seen['said']
        served(run, array, reference)


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
        reference = create(run, array, mdadm_create(RAID5, 3))
        array.in_guest(
            run.guest,
            'every=("${loops[@]}")\nloops=("${every[@]:0:3}")\nassemble\n'
            f'{SLOW}mdadm --manage "$md" --add "${{every[3]}}" 2>&1\n'
            'mdadm --manage "$md" --replace "${every[1]}" '
            '--with "${every[3]}" 2>&1\n'
            'recovering() { md_get sync_action; [ "$REPLY" = recover ]; }\n'
            f'wait_until recovering\nstop\n{FAST}')
        assert opus.read_all(array) == reference
        # It is started over, and the other one is left out then.
        args = ['--blockdev', json.dumps({**opus.node(array),
                                          'node-name': 'r0'})]
        with opus.StorageDaemon(args) as daemon:
            while 'rebuilding' in {member['state'] for member in daemon.cmd(
                    'query-opus-raid')[0]['members']}:
                pass
        array.files[1] = array.files.pop(3)
        assert opus.read_all(array, assemble='strict') == reference
        served(run, array, reference)


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


# As the udev rule of mdadm does for each drive that was written to.
INCREMENTAL = """incremental() {
    local loop
    for loop in "${loops[@]}"; do
        mdadm --incremental "$@" "$loop" 2>&1 || true
    done
    fact "$1" "$(grep -c ^md /proc/mdstat || true)"
    mdadm --stop --scan 2>&1 || true
}
"""


def with_md_on_its_drives(run):
    """While md runs an array, opus-raid keeps off its drives, and says so."""
    with run.array(RAID5) as array:
        reference = create(run, array, mdadm_create(RAID5, 4))
        seen = array.in_guest(
            run.guest, f'{opus.ON_LOOPS}assemble\n'
            f'{opus.program("qemu-io")} -c "write 0 1M" "$json" 2>&1 || true\n'
            f'{opus.program("qemu-io")} -r -c "read 0 4k" "$json" 2>&1\n'
            'checksum\ncheck\nstop')
        said = seen['said']
        assert 'IN_USE' in said and "'mdadm --stop /dev/md0'" in said, said
        assert 'wrote' not in said and 'read 4096/4096' in said, said
        assert seen['sha256'] == sha256(reference), said
        assert seen['mismatch_cnt'] == 0, said


def kept_from_md(run):
    """While opus-raid has drives open, md can't assemble them; nor later, if
    mdadm.conf says so."""
    with run.array(RAID5) as array:
        create(run, array, mdadm_create(RAID5, 4))
        uuid = examine(array.paths()[0])['Array UUID']
        conf = shlex.quote(f'{array.dir}/mdadm.conf')
        said = array.in_guest(
            run.guest, f'{opus.ON_LOOPS}{INCREMENTAL}'
            f'coproc OPUS {{ {opus.program("qemu-io")} "$json" 2>&1; }}\n'
            'pid=$OPUS_PID REPLY=\n'
            'echo "write 0 64k" >&"${OPUS[1]}"\n'
            'until [[ $REPLY = *wrote* ]]; do read -r <&"${OPUS[0]}"; done\n'
            'incremental --config=none\n'
            'eval "exec ${OPUS[1]}>&-"\nwait "$pid"\n'
            f'echo "ARRAY <ignore> UUID={uuid}" > {conf}\n'
            f'incremental --config={conf}\n'
            'incremental --config=partitions\n')['said']
        starts = re.findall(r'^--config=(?:\S+)=(\d+)$', said, re.M)
        assert starts == ['0', '0', '1'], said


# udev's rules for each drive; run as a test, they still call mdadm.
EVENTS = """events() {
    local loop
    for loop in "${loops[@]}"; do
        udevadm test --action=change "/sys/class/block/${loop#/dev/}" 2>&1 |
            grep -E '^(ID_FS_TYPE|MD_STARTED)=' || true
    done
    mdadm --stop --scan 2>&1 || true
}
"""


def kept_from_udev(run):
    """With our rule udev does not offer mdadm what a CONFIG names."""
    rule = os.path.join(CONTRIB, 'udev/63-opus-raid.rules.in')
    with open(rule, encoding='utf-8') as file:
        text = file.read().replace(
            '@libexecdir@/opus-raid-service owns',
            f'{CONTRIB}/systemd/opus-raid-service owns /run/conf')
    with run.array(RAID5) as array:
        create(run, array, mdadm_create(RAID5, 4))
        uuid = examine(array.paths()[0])['Array UUID']
        said = array.in_guest(
            run.guest, f'{EVENTS}mkdir -p /run/conf /run/udev/rules.d\n'
            f'echo {shlex.quote(text)} > /run/udev/rules.d/63-opus-raid.rules\n'
            'echo owns name=other > /run/conf/other.conf\nevents\necho next\n'
            f'echo owns uuid={uuid} > /run/conf/own.conf\nevents\n'
            'rm -r /run/conf /run/udev\n')['said']
        before, after = said.split('next\n')
        assert before.count('ID_FS_TYPE=linux_raid_member') == 4, said
        assert 'MD_STARTED=yes' in before, said
        assert after.count('ID_FS_TYPE=opus_raid_member') == 4, said
        assert 'MD_STARTED' not in after, said


SCENARIOS = {
    'a write-intent bitmap is kept': with_bitmap,
    'a write-intent bitmap of opus-raid is kept by md': bitmap_from_opus,
    'a write-intent bitmap that opus-raid made larger is kept by md':
        grown_with_bitmap,
    'a partial parity log is kept': with_ppl,
    'a partial parity log of opus-raid is kept by md': ppl_from_opus,
    'a policy that opus-raid has changed is kept by md': policies_from_opus,
    'a journal device is refused': with_journal,
    'recorded bad blocks are not read': with_bad_blocks,
    'bad blocks from opus-raid are not read': bad_blocks_from_opus,
    'a reshape under way is refused': in_reshape,
    'a replacement under way is started over': in_replacement,
    'a reshaped array is served': after_reshape,
    'a member rebuilt in part is left out': in_recovery,
    'a spare stays one': with_spare,
    'members with their own data offsets are served': with_data_offsets,
    'members used in part are served': with_size,
    'names and flags survive': with_write_mostly,
    'drives that md runs are refused': with_md_on_its_drives,
    'drives in use are kept from md': kept_from_md,
    'drives of arrays that are ours are kept from udev': kept_from_udev,
}


def run_all(run):
    for name, body in SCENARIOS.items():
        run.scenario(f'md features: {name}', body, run)


if __name__ == '__main__':
    session.main(run_all)
