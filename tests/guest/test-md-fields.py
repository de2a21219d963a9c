#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What md came to write since 6.1, where no feature bit says so: the size of
logical blocks is kept by both sides, and arrays with lockless bitmaps are read.
"""
import shlex

import opus
import session
import tap
import uml
from md_array import KIB, Shape, block_sizes
from pattern import random_batches, sha256

SHAPES = [
    Shape('raid0', 3),
    Shape('raid1', 2),
    Shape('raid5', 4, 'left-symmetric'),
    Shape('raid6', 5, 'left-symmetric'),
    Shape('raid10', 4, 'n2'),
]
BLOCK_SIZE_SINCE = (6, 19)


def need_block_size(run):
    if run.version < BLOCK_SIZE_SINCE:
        raise tap.Skip('this md knows no logical block size')


def fill(run, array, body):
    """@body makes or assembles it; md fills it; what is on it then."""
    seen = array.in_guest(
        run.guest, f'{body}\nfill {shlex.quote(run.pattern.path)}\nchecksum\n'
                   'fact blocks "$(blockdev --getss "$md")"\nwords\nstop')
    reference = run.pattern.start(seen['size'])
    assert seen['sha256'] == sha256(reference), seen['said']
    return reference, seen


def there_and_back(run, array, reference, blocks):
    """opus-raid reads, writes, says what it is; md finds it right."""
    found = opus.info(array)
    assert found.get('logical-block-size', 0) == blocks, found
    assert opus.read_all(array, assemble='strict') == reference
    opus.write_batches(array, random_batches(
        f'{array.shape} {blocks}', len(reference),
        array.shape.chunk_kib * KIB), reference)
    assert opus.read_all(array) == reference
    assert block_sizes(array.paths()) == {blocks}
    seen = array.verify(run.guest)
    assert seen['sha256'] == sha256(reference), seen['said']
    assert seen['mismatch_cnt'] == 0, seen['said']
    assert seen['kernel_resyncs'] == seen['kernel_kicked'] == 0, seen['said']
    assert block_sizes(array.paths()) == {blocks}


def mdadm_create(shape, **options):
    words = shlex.join(shape.mdadm_options(**options))
    return (f'mdadm --create "$md" --run {words} '
            f'--raid-devices={shape.members} "${{loops[@]}}" 2>&1\n'
            'wait_until is_quiet 0')


def md_made_it(run, shape, blocks):
    """Members' blocks decide; but raid0's superblocks stay as mdadm made
    them."""
    need_block_size(run)
    with run.array(shape) as array:
        array.block_bytes = blocks
        reference, seen = fill(run, array, mdadm_create(shape))
        assert seen['blocks'] == blocks, seen['said']
        noted = blocks if shape.redundancy() else 0
        assert block_sizes(array.paths()) == {noted}
        there_and_back(run, array, reference, noted)


def mdadm_asked_for_it(run, shape, blocks):
    """More than the members' own, and of any level."""
    need_block_size(run)
    with open(run.mdadm, 'rb') as f:
        if b'logical-block-size' not in f.read():
            raise tap.Skip('this mdadm knows no logical block size')
    with run.array(shape) as array:
        reference, seen = fill(run, array, mdadm_create(
            shape, **{'logical-block-size': blocks}))
        assert seen['blocks'] == blocks, seen['said']
        assert block_sizes(array.paths()) == {blocks}
        there_and_back(run, array, reference, blocks)


def md_ran_ours(run, shape, blocks):
    """md notes it in an array that opus-raid made, and nobody wrote before."""
    need_block_size(run)
    with run.array(shape) as array:
        opus.create(array)
        assert block_sizes(array.paths()) == {0}
        array.block_bytes = blocks
        reference, seen = fill(run, array, 'assemble')
        assert seen['assemble_status'] == 0, seen['said']
        noted = blocks if shape.redundancy() else 0
        assert block_sizes(array.paths()) == {noted}, seen['said']
        there_and_back(run, array, reference, noted)


def opus_noted_it(run, shape, blocks):
    """md takes it from an array that opus-raid made with it."""
    need_block_size(run)
    with run.array(shape) as array:
        opus.create(array, **{'logical-block-size': blocks})
        assert block_sizes(array.paths()) == {blocks}
        reference, seen = fill(run, array, 'assemble')
        assert seen['blocks'] == blocks, seen['said']
        there_and_back(run, array, reference, blocks)


def from_kernel_to_kernel(run, shape):
    """An array of an older kernel stays fit for it; what the newer one makes
    is not, and the older one says so by itself."""
    need_block_size(run)
    try:
        kernel = uml.find_kernel()
    except uml.Unavailable as reason:
        raise tap.Skip(str(reason)) from reason
    if uml.version(kernel) >= BLOCK_SIZE_SINCE:
        raise tap.Skip('no older kernel')
    with uml.Guest(rw_dirs=[run.top], kernel=kernel) as older, \
            run.array(shape) as array, run.array(shape) as newer:
        made = array.create(older, run.pattern.path)
        reference = run.pattern.start(made['size'])
        there_and_back(run, array, reference, 0)
        opus.write_batches(array, random_batches(
            'older', len(reference), shape.chunk_kib * KIB), reference)
        seen = array.verify(older)
        assert seen['sha256'] == sha256(reference), seen['said']
        assert seen['mismatch_cnt'] == 0, seen['said']

        reference = fill(run, newer, mdadm_create(shape))[0]
        there_and_back(run, newer, reference, 512)
        before = newer.members_sha256()
        seen = newer.in_guest(older, 'must_not_start')
        assert seen['assemble_status'] != 0, seen['said']
        assert newer.members_sha256() == before


def has_lockless(run):
    """Does this kernel's md run such bitmaps?"""
    said = run.guest.sh(
        '[ -e /sys/block/md0 ] || '
        'echo md0 > /sys/module/md_mod/parameters/new_array\n'
        'cat /sys/block/md0/md/bitmap_type || true\nmdadm --stop /dev/md0')
    return 'llbitmap' in said


def need_lockless_mdadm(run):
    with open(run.mdadm, 'rb') as f:
        if b'llbitmap' not in f.read():
            raise tap.Skip('this mdadm knows no lockless bitmap')


def kept_off(array, reference):
    """Refused for writing, whichever the policy and the members; read where it
    may be; and as it was afterwards."""
    before = array.members_sha256()
    for policy in 'degraded', 'strict', 'force':
        opus.assert_refused(array, 'BITMAP', assemble=policy)
    for slot in range(array.shape.members):
        opus.assert_refused(array, 'BITMAP', (slot,), assemble='force')
    assert opus.read_all(array) == reference
    assert array.members_sha256() == before, 'the refusal wrote to a member'


def lockless_of_mdadm(run, shape):
    """Where the kernel would not take it, a file stands for the kernel's word,
    so that mdadm goes on and writes what it does; md then does not start it,
    and nothing is in the array.  By --force all members of raid5 are in it
    from the start."""
    need_lockless_mdadm(run)
    with run.array(shape) as array:
        words = shlex.join(shape.mdadm_options(bitmap='lockless'))
        said = array.in_guest(
            run.guest,
            'echo md0 > /sys/module/md_mod/parameters/new_array\n'
            'if ! grep -q llbitmap "$md_sys/bitmap_type"; then\n'
            '    : > /run/yes\n    mount --bind /run/yes "$md_sys/bitmap_type"\n'
            'fi\n'
            f'mdadm --create "$md" --run --force {words} '
            f'--raid-devices={shape.members} "${{loops[@]}}" 2>&1 || true\n'
            'umount "$md_sys/bitmap_type" 2> /dev/null || true\n'
            'if [ -e "$md_sys" ]; then stop; fi\n')['said']
        try:
            found = opus.info(array)
        except opus.OpusError as error:
            raise AssertionError(said) from error
        kept_off(array, bytes(found['size']))


def lockless_of_md(run, shape):
    """Filled by a kernel that runs it."""
    need_lockless_mdadm(run)
    if not has_lockless(run):
        raise tap.Skip('CONFIG_MD_LLBITMAP is off in this kernel')
    with run.array(shape) as array:
        reference, seen = fill(run, array, mdadm_create(
            shape, bitmap='lockless'))
        assert block_sizes(array.paths()) == {512}, seen['said']
        kept_off(array, reference)
        seen = array.verify(run.guest)
        assert seen['sha256'] == sha256(reference), seen['said']
        assert seen['mismatch_cnt'] == 0, seen['said']


def run_all(run):
    for shape in SHAPES:
        for blocks in 512, 4096:
            run.scenario(f'md notes blocks of {blocks}: {shape}',
                         md_made_it, run, shape, blocks)
        run.scenario(f'mdadm asks for blocks of 4096: {shape}',
                     mdadm_asked_for_it, run, shape, 4096)
        run.scenario(f'md notes blocks in an array of opus-raid: {shape}',
                     md_ran_ours, run, shape, 512)
        run.scenario(f'opus-raid notes blocks of 4096: {shape}',
                     opus_noted_it, run, shape, 4096)
    shape = SHAPES[2]
    run.scenario('md notes blocks of 4096 in an array of opus-raid: '
                 f'{shape}', md_ran_ours, run, shape, 4096)
    run.scenario(f'an older md, a newer one and opus-raid: {shape}',
                 from_kernel_to_kernel, run, shape)
    for shape in SHAPES:
        if shape.redundancy():
            run.scenario(f'a lockless bitmap that mdadm wrote: {shape}',
                         lockless_of_mdadm, run, shape)
            run.scenario(f'a lockless bitmap that md ran: {shape}',
                         lockless_of_md, run, shape)


if __name__ == '__main__':
    session.main(run_all)
