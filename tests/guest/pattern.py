# SPDX-License-Identifier: GPL-2.0-or-later
"""Data from a seed, and writes from a seed that are done twice: to the array
under test and to a copy in memory, the reference.
"""
import dataclasses
import hashlib
import random


class Pattern:
    """A file of random bytes; an array is filled with its start."""

    def __init__(self, path, size, seed):
        self.path = path
        self.data = random.Random(seed).randbytes(size)
        with open(path, 'wb') as f:
            f.write(self.data)

    def start(self, size):
        assert 0 < size <= len(self.data), size
        return bytearray(self.data[:size])


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@dataclasses.dataclass(frozen=True)
class Write:
    """One piece: @length bytes of the value @byte at @offset."""
    offset: int
    length: int
    byte: int

    def apply(self, reference):
        reference[self.offset:self.offset + self.length] = \
            bytes([self.byte]) * self.length

    def overlaps(self, other):
        return (self.offset < other.offset + other.length
                and other.offset < self.offset + self.length)


def random_write(rng, size, chunk):
    """Mostly pieces near a chunk's size; any byte is start or end; some are
    whole sectors or chunks, some longer than a stripe, some at the ends."""
    length = rng.choice([rng.randint(1, 3 * chunk),
                         512 * rng.randint(1, 64),
                         4096 * rng.randint(1, 16),
                         chunk * rng.randint(1, 12)])
    length = min(length, size)
    offset = rng.choice([rng.randint(0, size - length),
                         4096 * rng.randint(0, (size - length) // 4096),
                         size - length, 0])
    if rng.random() < 0.3:
        offset -= offset % chunk
    return Write(offset, length, rng.randint(0, 255))


def random_batches(seed, size, chunk, batches=24, depth=8):
    """Batches of writes that do not overlap within a batch, so that all of
    one may be in flight together and the result is still known."""
    rng = random.Random(seed)
    for _ in range(batches):
        batch = []
        for _ in range(depth):
            write = random_write(rng, size, chunk)
            if not any(write.overlaps(other) for other in batch):
                batch.append(write)
        yield batch
