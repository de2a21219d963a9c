# SPDX-License-Identifier: GPL-2.0-or-later
"""One side dies in the middle of writing, and the other side, or the same, gets
the array.

Owns: what such a writer writes.
Must not know: which shapes and policies are tried.

All writes go to the second half of the array and have one value, so that
afterwards the first half must be as it was, and each sector of the second one
either as it was or all of that value.
"""
import os
import shlex
import subprocess
import time

import opus
from md_array import KIB, data_offset, examine

SECTOR = 512
# A multiple of the stripes of all these shapes.
STRIPES_BYTES = 20 * 64 * KIB
WRITE_BYTES = 20 * KIB
NEW = 0x5a
NEW_SECTOR = bytes([NEW]) * SECTOR


def check_data(data, reference):
    """The rule of the module's header."""
    assert len(data) == len(reference), (len(data), len(reference))
    start = window(len(reference))[0]
    assert data[:start] == reference[:start], 'bytes changed outside writes'
    for offset in range(start, len(data), SECTOR):
        sector = data[offset:offset + SECTOR]
        assert sector in (NEW_SECTOR, reference[offset:offset + SECTOR]), \
            f'a third value at {offset}'


def window(size):
    """(offset, length) of what is being written when one side dies; it
    shares no stripe with the rest."""
    start = size // 2 // STRIPES_BYTES * STRIPES_BYTES
    return start, (size - start) // WRITE_BYTES * WRITE_BYTES


def wait_for(condition, process_alive):
    """Until condition(); the writer must live on."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, 'nothing is written'
        time.sleep(0.02)
    assert process_alive(), 'the writer ended before it could be killed'


def says_active(array):
    return examine(array.paths()[0])['State'] == 'active'


def holds_new_data(array):
    """Has a write arrived on a member?"""
    with open(array.paths()[0], 'rb') as f:
        f.seek(data_offset(array.paths()[0]))
        return NEW_SECTOR in f.read()


def is_being_written(array):
    return says_active(array) and holds_new_data(array)


def kill_opus(_run, array, size):
    """opus-raid's daemon dies by kill -9 under a client that writes."""
    socket = f'{array.dir}/nbd'
    offset, length = window(size)
    target = {'driver': 'raw', 'offset': offset, 'size': length,
              'file': {'driver': 'nbd', 'export': 'array',
                       'server': {'type': 'unix', 'path': socket}}}
    with opus.served(array, socket) as daemon:
        writer = subprocess.Popen(
            [opus.program('qemu-img'), 'bench', '-w', '-t', 'none', '-c',
             '100000000', '-d', '16', '-s', str(WRITE_BYTES),
             '--pattern', str(NEW), '--image-opts',
             ','.join(opus.image_opts(target))],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: is_being_written(array),
                     lambda: writer.poll() is None)
            daemon.kill()
            assert writer.wait() == 1, 'it must have died with the daemon'
        finally:
            writer.kill()
            writer.wait()
    os.unlink(socket)


def kill_md(run, array, size):
    """The guest that runs the array dies while it writes."""
    offset, length = window(size)
    with open(f'{array.dir}/new', 'wb') as f:
        f.write(bytes([NEW]) * length)
    run.guest.begin(array.script(
        'assemble\nwhile true; do\n'
        f'    dd if={shlex.quote(array.dir)}/new of="$md" status=none \\\n'
        f'        bs={WRITE_BYTES} oflag=direct,dsync,seek_bytes '
        f'seek={offset}\ndone'))
    wait_for(lambda: is_being_written(array), run.guest.alive)
    run.guest.kill()
    run.boot()


def tear(array, size):
    """More of what a crash may leave: where writes were in flight, some
    sectors of each member are new and others are not, so that redundancy is
    wrong at many places."""
    shape = array.shape
    data_members = shape.members // 2 if shape.level == 'raid10' else \
        shape.members - shape.redundancy()
    start = window(size)[0] // data_members
    length = window(size)[1] // data_members
    for slot, path in enumerate(array.paths()):
        offset = data_offset(path)
        with open(path, 'r+b') as f:
            for sector in range(slot, length // SECTOR, 5 + slot):
                f.seek(offset + start + sector * SECTOR)
                f.write(NEW_SECTOR)


def md_resyncs(run, array):
    """md calls the array unclean, and makes its redundancy right; returns
    what it then reads."""
    copy = f'{array.dir}/dump'
    seen = array.in_guest(
        run.guest, f'assemble\nwait_until is_quiet 0\ndump {shlex.quote(copy)}'
                   '\ncheck\nwords\nstop')
    assert seen['kernel_unclean'] > 0, seen['said']
    assert seen['kernel_resyncs'] > 0, seen['said']
    assert seen['mismatch_cnt'] == 0, seen['said']
    assert says_clean(array), seen['said']
    with open(copy, 'rb') as f:
        return f.read()


def opus_resyncs(run, array, reference):
    """opus-raid makes its redundancy right; md finds nothing to do, and
    reads the same."""
    socket, copy = f'{array.dir}/nbd', f'{array.dir}/dump'
    with opus.served(array, socket) as daemon:
        wait_for(lambda: daemon.cmd('query-opus-raid')[0]['state'] ==
                 'optimal', lambda: daemon.process.poll() is None)
    data = opus.read_all(array)
    check_data(data, reference)
    seen = array.in_guest(
        run.guest, f'assemble\ndump {shlex.quote(copy)}\ncheck\nwords\nstop')
    assert seen['kernel_unclean'] == 0, seen['said']
    assert seen['kernel_resyncs'] == 0, seen['said']
    assert seen['mismatch_cnt'] == 0, seen['said']
    with open(copy, 'rb') as f:
        assert f.read() == data, 'md reads other data'


def says_clean(array):
    return examine(array.paths()[0])['State'] == 'clean'


def md_replays(run, array, reference, without):
    """md's check finds nothing, or the array runs without a member."""
    copy = f'{array.dir}/dump'
    seen = array.in_guest(
        run.guest,
        f'assemble --run\nwait_until is_quiet {len(without)}\n'
        f'dump {shlex.quote(copy)}\n' + 'check\n' * (not without)
        + 'words\nstop', without)
    assert seen['kernel_resyncs'] == 0, seen['said']
    assert not without or 'with PPL' in seen['said'], seen['said']
    assert without or seen['mismatch_cnt'] == 0, seen['said']
    with open(copy, 'rb') as f:
        check_data(f.read(), reference)


def opus_replays(run, array, reference, without):
    """Likewise; writable, for read-only nothing is replayed."""
    opus.open_writable(array, without)
    assert says_clean(array) or 0 in without
    found = opus.info(array, without)
    assert found['state'] == ('degraded' if without else 'optimal'), found
    data = opus.read_all(array, without)
    check_data(data, reference)
    if not without:
        md_replays(run, array, data, ())
