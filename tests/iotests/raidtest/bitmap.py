# SPDX-License-Identifier: GPL-2.0-or-later
"""The write-intent bitmap on a member, as bytes in a file."""

import struct

from .superblock import Superblock

AT_EVENTS = 24
AT_STATE = 48
AT_SLEEP = 56
SUPER_BYTES = 256


class Bitmap:
    """What the member's bitmap says now."""

    def __init__(self, path):
        super_ = Superblock(path)
        self.offset = (super_.super_offset + super_.bitmap_offset) * 512
        with open(path, 'rb') as file:
            file.seek(self.offset)
            head = file.read(SUPER_BYTES)
            assert head[:4] == b'bitm', 'no bitmap'
            (self.events, self.events_cleared, self.sync_size, self.state,
             self.chunk, self.sleep) = struct.unpack_from('<QQQIII', head,
                                                          AT_EVENTS)
            self.nr_bits = -(-self.sync_size * 512 // self.chunk)
            data = file.read(-(-self.nr_bits // 8))
        self.bits = [i for i in range(self.nr_bits)
                     if data[i // 8] >> (i % 8) & 1]


def patch(path, at, value):
    """Change a field of 32 bits."""
    offset = Bitmap(path).offset
    with open(path, 'r+b') as file:
        file.seek(offset + at)
        file.write(struct.pack('<I', value))
