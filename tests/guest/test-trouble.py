#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/trouble.rst: what it tells root to type is typed here as it is there,
in the trouble that it is for. What it says of opusctl is for tests/iotests,
and virsh is not run by any test.
"""
import os
import re
import subprocess
import tempfile

import opus
import session
from md_array import Shape

PAGE = os.path.join(opus.HERE, '../../docs/trouble.rst')
RAID5 = Shape('raid5', 3, 'left-symmetric')
DRIVES = ('/dev/sdb', '/dev/sdc', '/dev/sdd')
STORY = 'It is all there.\n'


class Page:
    """Commands of root: those in blocks, and words of mdadm in the text."""

    def __init__(self):
        with open(PAGE, encoding='utf-8') as file:
            text = file.read()
        self.lines = re.findall(r'^    # (.*)$', text, re.M)
        self.left = set(self.lines) | set(re.findall(
            r'``(mdadm\s[^`]*)``', text.replace('\n', ' ')))

    def type(self, start):
        """The commands of the page that start so, for a guest."""
        found = [line for line in self.left if line.startswith(start)]
        assert len(found) == 1, (start, found)
        self.left.remove(found[0])
        return re.sub(r'\s+', ' ', found[0])


def as_drives():
    """The guest's loop devices have the names that the page has."""
    return ''.join(f'ln -sf "${{loops[{i}]}}" {drive}\n'
                   for i, drive in enumerate(DRIVES))


def file_system(size):
    """With one file in it."""
    with tempfile.TemporaryDirectory() as top:
        os.mkdir(f'{top}/root')
        with open(f'{top}/root/story', 'w', encoding='utf-8') as file:
            file.write(STORY)
        with open(f'{top}/image', 'wb') as file:
            file.truncate(size)
        subprocess.run(['/sbin/mkfs.ext4', '-q', '-d', f'{top}/root',
                        f'{top}/image'], check=True)
        with open(f'{top}/image', 'rb') as file:
            return file.read()


def another_machine(run, page):
    """Looked at without writing, given to md, and taken back."""
    with run.array(RAID5) as array:
        opus.create(array, **{'consistency-policy': 'journal'})
        opus.set_policy(array, 'resync')
        image = file_system(opus.info(array)['size'])
        opus.fill(array, image)
        before = array.members_sha256()
        said = array.in_guest(run.guest, as_drives() + '\n'.join([
            page.type('mdadm --examine /dev'),
            page.type('mdadm --assemble --readonly') + ' 2>&1',
            page.type('mount'), 'cat /mnt/story', 'umount /mnt', 'stop',
            page.type('mdadm --examine-badblocks') + f' {DRIVES[0]}']))['said']
        for drive in DRIVES:
            assert f'{drive}:' in said, said
        assert said.count('Raid Level : raid5') == len(DRIVES), said
        assert STORY in said and 'Bad-blocks list is empty' in said, said
        assert array.members_sha256() == before, 'it was written to'

        stop = page.type('mdadm --stop /dev/md0')
        said = array.in_guest(
            run.guest, as_drives() +
            f'mdadm --assemble /dev/md0 {" ".join(DRIVES)} 2>&1\n'
            'mount /dev/md0 /mnt\necho "And more." >> /mnt/story\n'
            f'umount /mnt\n{stop} 2>&1')['said']
        assert 'has been started' in said, said
        assert opus.info(array)['state'] == 'optimal'
        assert f'{STORY}And more.'.encode() in opus.read_all(array)


def in_use(run, page):
    """The drives are free again."""
    with run.array(RAID5) as array:
        opus.create(array)
        write = f'{opus.program("qemu-io")} -c "write 0 4k" "$json" 2>&1'
        stop = page.type('mdadm --stop /dev/md127')
        said = array.in_guest(
            run.guest, f'{opus.ON_LOOPS}'
            'mdadm --assemble /dev/md127 "${loops[@]}" 2>&1\n'
            f'{write} || true\n{stop} 2>&1\n{write}')['said']
        refused, free = said.split('stopped /dev/md127')
        assert 'IN_USE' in refused and f"'{stop}'" in refused, said
        assert "'opusctl explain IN_USE' tells more." in refused, said
        assert 'wrote 4096/4096' in free, said


def bitmap(run, page):
    """It goes; md of this guest makes no kinds that are not known here."""
    with run.array(RAID5) as array:
        opus.create(array, **{'consistency-policy': 'bitmap'})
        remove = page.type('mdadm --grow')
        array.in_guest(run.guest, f'assemble\n{remove} /dev/md0 2>&1\nstop')
        assert opus.info(array)['consistency-policy'] == 'resync'


def every_command(page):
    # Such as the first command of a block has it.
    page.left.discard('mdadm --examine')
    assert page.lines and not page.left, page.left


def run_all(run):
    page = Page()
    run.scenario('trouble: with mdadm on another machine', another_machine,
                 run, page)
    run.scenario('trouble: drives in use', in_use, run, page)
    run.scenario('trouble: a bitmap is removed', bitmap, run, page)
    if not run.words:
        run.scenario('trouble: each command was run', every_command, page)


if __name__ == '__main__':
    session.main(run_all)
