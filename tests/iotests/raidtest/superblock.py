# SPDX-License-Identifier: GPL-2.0-or-later
"""Read and patch md superblocks (version 1) in member files.

The layout is written down here once more, apart from the driver's own, so
that a mistake in one of them shows.
"""

import os
import struct

MAGIC = 0xa92b4efc
CLEAN = 0xffffffffffffffff      # resync_offset: nothing left to resync
SPARE, FAULTY, JOURNAL = 0xffff, 0xfffe, 0xfffd

# feature_map
BITMAP, RECOVERY, RESHAPE, BAD_BLOCKS = 1, 2, 4, 8
REPLACEMENT, PPL, HAS_JOURNAL = 16, 2048, 512

_FIELDS = {
    'magic': (0, 'I'), 'major': (4, 'I'), 'feature_map': (8, 'I'),
    'devflags': (184, 'B'),
    'set_uuid': (16, '16s'), 'set_name': (32, '32s'), 'level': (72, 'i'),
    'layout': (76, 'I'), 'size': (80, 'Q'), 'chunk': (88, 'I'),
    'raid_disks': (92, 'I'), 'bitmap_offset': (96, 'i'),
    'ppl_offset': (96, 'h'), 'ppl_size': (98, 'H'),
    'reshape_position': (104, 'Q'), 'data_offset': (128, 'Q'),
    'data_size': (136, 'Q'), 'super_offset': (144, 'Q'),
    'recovery_offset': (152, 'Q'), 'dev_number': (160, 'I'),
    'corrected_reads': (164, 'I'), 'device_uuid': (168, '16s'),
    'bblog_shift': (185, 'B'), 'bblog_size': (186, 'H'),
    'bblog_offset': (188, 'i'), 'events': (200, 'Q'),
    'resync_offset': (208, 'Q'), 'checksum': (216, 'I'), 'max_dev': (220, 'I'),
    'block_size': (224, 'I'),
}
_ROLES = 256


def place(minor, device_bytes):
    """Byte offset of a superblock of version 1.minor."""
    if minor == 0:
        return (device_bytes // 512 - 16) // 8 * 8 * 512
    return {1: 0, 2: 4096}[minor]


def checksum(image):
    """Sum of all 32-bit words but the checksum, carries added back once."""
    image = bytes(image[:216]) + bytes(4) + bytes(image[220:])
    image += bytes(-len(image) % 4)
    total = sum(word for word, in struct.iter_unpack('<I', image))
    return ((total & 0xffffffff) + (total >> 32)) & 0xffffffff


class Superblock:
    """The superblock of one member file. Fields are attributes."""

    def __init__(self, path, minor=2):
        object.__setattr__(self, 'path', path)
        object.__setattr__(self, 'offset', place(minor, os.path.getsize(path)))
        with open(path, 'rb') as file:
            file.seek(self.offset)
            object.__setattr__(self, 'image', bytearray(file.read(4096)))

    def __getattr__(self, name):
        if name not in _FIELDS:
            raise AttributeError(name)
        at, form = _FIELDS[name]
        return struct.unpack_from('<' + form, self.image, at)[0]

    def __setattr__(self, name, value):
        at, form = _FIELDS[name]
        struct.pack_into('<' + form, self.image, at, value)

    def _used(self):
        return self.image[:_ROLES + 2 * self.max_dev]

    @property
    def roles(self):
        return list(struct.unpack_from(f'<{self.max_dev}H', self.image,
                                       _ROLES))

    def set_role(self, device, role):
        struct.pack_into('<H', self.image, _ROLES + 2 * device, role)

    @property
    def role(self):
        return self.roles[self.dev_number]

    def is_valid(self):
        return self.magic == MAGIC and self.checksum == checksum(self._used())

    def is_dirty(self):
        return self.resync_offset != CLEAN

    def save(self, offset=None):
        """Write it back, with the checksum it must have."""
        self.checksum = checksum(self._used())
        self.save_raw(offset)

    def save_raw(self, offset=None):
        """Write it back as it is."""
        with open(self.path, 'r+b') as file:
            file.seek(self.offset if offset is None else offset)
            file.write(self.image)


def patch(path, **fields):
    """Set fields of a member's superblock; role=R sets its own role."""
    superblock = Superblock(path)
    role = fields.pop('role', None)
    for name, value in fields.items():
        setattr(superblock, name, value)
    if role is not None:
        superblock.set_role(superblock.dev_number, role)
    superblock.save()
