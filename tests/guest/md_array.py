# SPDX-License-Identifier: GPL-2.0-or-later
"""An md array as the host sees it: a directory of member files, and what a
guest says of the array when it runs it.

Owns: the member files of one array.
Must not know: what opus-raid is.
"""
import dataclasses
import hashlib
import os
import re
import shlex
import shutil
import struct
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
KIB = 1 << 10
MIB = 1 << 20


@dataclasses.dataclass(frozen=True)
class Shape:
    """What is asked of mdadm --create, and of opus-raid alike."""
    level: str
    members: int
    layout: str = ''            # as mdadm has it: left-symmetric, n2, ...
    metadata: str = '1.2'
    chunk_kib: int = 64
    sizes_mib: tuple = ()       # of the members, if they differ

    def __str__(self):
        words = [self.level, self.layout, f'of {self.members}',
                 f'chunk {self.chunk_kib}K' if self.has_chunk() else '',
                 self.metadata]
        if self.sizes_mib:
            words.insert(3, 'uneven')
        return ' '.join(word for word in words if word)

    def has_chunk(self):
        return self.level != 'raid1'

    def redundancy(self):
        """How many members may be lost, whichever they are."""
        if self.level == 'raid1':
            return self.members - 1
        if self.level == 'raid10':
            return int(self.layout[1:]) - 1
        return {'raid0': 0, 'raid4': 1, 'raid5': 1, 'raid6': 2}[self.level]

    def has_parity(self):
        return self.level in ('raid4', 'raid5', 'raid6')

    def mdadm_options(self, **other):
        """For mdadm --create; @other options replace those of a name."""
        options = {'level': self.level[4:], 'metadata': self.metadata}
        if self.redundancy():
            options['bitmap'] = 'none'
        if self.layout:
            options['layout'] = self.layout
        if self.has_chunk():
            options['chunk'] = self.chunk_kib
        options.update(other)
        words = [f'--{name}={value}' for name, value in options.items()
                 if value is not None]
        # mdadm asks whether a mirror of one is meant.
        return words + ['--force'] * (self.level == 'raid1'
                                      and self.members == 1)


class MdArray:
    """Files @top/@name/m0.img ... and the guest that runs them."""

    # Not a multiple of any chunk, so that the ends are uneven.
    member_bytes = 8 * MIB + 28 * KIB
    # Of the guest's devices.
    block_bytes = 512

    def __init__(self, shape, top, name):
        self.shape = shape
        self.dir = os.path.join(top, name)
        os.mkdir(self.dir)
        self.files = [f'm{i}.img' for i in range(shape.members)]
        for i, path in enumerate(self.paths()):
            size = (shape.sizes_mib[i] * MIB if shape.sizes_mib
                    else self.member_bytes)
            with open(path, 'wb') as f:
                f.truncate(size)

    def paths(self, without=()):
        return [os.path.join(self.dir, name)
                for i, name in enumerate(self.files) if i not in without]

    def remove(self):
        shutil.rmtree(self.dir)

    def copy_to(self, name):
        """The same array in another directory."""
        twin = object.__new__(MdArray)
        twin.shape, twin.files = self.shape, self.files
        twin.block_bytes = self.block_bytes
        twin.dir = os.path.join(os.path.dirname(self.dir), name)
        shutil.copytree(self.dir, twin.dir)
        return twin

    def members_sha256(self):
        digests = []
        for path in self.paths():
            with open(path, 'rb') as f:
                digests.append(hashlib.file_digest(f, 'sha256').hexdigest())
        return digests

    def script(self, body, without=()):
        """@body with the members attached, all or some."""
        files = [name for i, name in enumerate(self.files)
                 if i not in without]
        return (f'. {HERE}/md-array.sh\n'
                f'loop_blocks={self.block_bytes}\n'
                f'attach {shlex.quote(self.dir)} {shlex.join(files)}\n{body}\n')

    def in_guest(self, guest, body, without=()):
        """Run @body between attach and detach; returns the facts."""
        return facts(guest.sh(self.script(body, without)
                              + f'detach {shlex.quote(self.dir)}\n'))

    def create(self, guest, pattern_path, *options):
        """mdadm --create, resync, the pattern all over it, stop."""
        options = shlex.join([*self.shape.mdadm_options(), *options])
        return self.in_guest(
            guest, f'create {options}\nfill {shlex.quote(pattern_path)}\n'
                   'checksum\nstop')

    def verify(self, guest, check=True):
        """Assemble as it is, checksum, check, stop."""
        return self.in_guest(
            guest, 'assemble\nchecksum\n' + 'check\n' * check
                   + 'words\nstop')

    def read_degraded(self, guest, without):
        """Checksum of what md reads without some members; writes nothing."""
        return self.in_guest(
            guest, 'assemble --readonly --run\nchecksum\nwords\nstop',
            without)

    def rebuild(self, guest, lost):
        """md runs the survivors, gets the lost members back, rebuilds them."""
        loops = [f'"${{every[{i}]}}"' for i in range(self.shape.members)]
        kept = [loop for i, loop in enumerate(loops) if i not in lost]
        back = [loop for i, loop in enumerate(loops) if i in lost]
        return self.in_guest(
            guest, f'every=("${{loops[@]}}")\nloops=({" ".join(kept)})\n'
                   'assemble --run\n'
                   f'mdadm --manage "$md" --add {" ".join(back)} 2>&1\n'
                   'wait_until is_quiet 0\nchecksum\ncheck\nwords\nstop')


def patch_layout(path, layout):
    """Let the superblock (version 1.2) of a member name another layout."""
    with open(path, 'r+b') as f:
        f.seek(4096)
        image = bytearray(f.read(4096))
        struct.pack_into('<I', image, 76, layout)
        struct.pack_into('<I', image, 216, 0)
        max_dev, = struct.unpack_from('<I', image, 220)
        used = image[:256 + 2 * max_dev] + bytes(-2 * max_dev % 4)
        total = sum(word for word, in struct.iter_unpack('<I', used))
        struct.pack_into('<I', image, 216,
                         ((total & 0xffffffff) + (total >> 32)) & 0xffffffff)
        f.seek(4096)
        f.write(image)


SHA256SUM = re.compile(r'^([0-9a-f]{64})  /dev/md0$', re.M)
DETAIL_STATE = re.compile(r'^ *State : (.*?) *$', re.M)


def facts(output):
    """{name: value} of the lines name=value; sha256, the last one of several;
    detail_state and how often the kernel said kernel_NAME, from words();
    said, which is all of it.
    """
    found = {
        'said': output,
        'kernel_resyncs': output.count('resync of RAID array'),
        'kernel_unclean': output.count('not clean'),
        'kernel_kicked': output.count('kicking non-fresh'),
        'kernel_dirty_degraded': output.count('dirty degraded array'),
    }
    for line in output.splitlines():
        name, equals, value = line.partition('=')
        if equals and name.isidentifier():
            found[name] = int(value) if value.isdigit() else value
    sums = SHA256SUM.findall(output)
    if sums:
        found['sha256'] = sums[-1]
    state = DETAIL_STATE.search(output)
    if state:
        found['detail_state'] = state[1]
    return found


def examine(path):
    """{field: value} of mdadm --examine, run on the host."""
    text = subprocess.run(['/sbin/mdadm', '--examine', path], check=True,
                          capture_output=True, text=True).stdout
    fields = {}
    for line in text.splitlines():
        name, colon, value = line.partition(' : ')
        if colon:
            fields[name.strip()] = value.strip()
    return fields


def data_offset(path):
    """Where the data of a member starts, in bytes; with its superblock at the
    end mdadm has no line for it."""
    return 512 * int(examine(path).get('Data Offset', '0').split()[0])


MD_MAGIC = 0xa92b4efc
BLOCK_SIZE_AT = 224


def superblock_at(path):
    """Where it is, whichever of the three places of version 1."""
    at_end = (os.path.getsize(path) // 512 - 16) // 8 * 8 * 512
    with open(path, 'rb') as f:
        for offset in (0, 4096, at_end):
            f.seek(offset)
            if int.from_bytes(f.read(4), 'little') == MD_MAGIC:
                return offset
    raise AssertionError(f'{path} has no superblock')


def block_sizes(paths):
    """What the superblocks say of logical blocks; mdadm has no word for it."""
    found = set()
    for path in paths:
        with open(path, 'rb') as f:
            f.seek(superblock_at(path) + BLOCK_SIZE_AT)
            found.add(int.from_bytes(f.read(4), 'little'))
    return found
