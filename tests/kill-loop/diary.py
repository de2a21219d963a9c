# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened, in order; printed when something went wrong."""

import time

_LAST = 400


class Diary:
    """Lines with the time since the start; a copy goes to a file."""

    def __init__(self, path):
        self.start = time.monotonic()
        self.lines = []
        # Line by line, so it is complete whatever happens.
        self.file = open(path, 'w', buffering=1, encoding='utf-8')

    def seconds(self):
        return time.monotonic() - self.start

    def note(self, text):
        line = f'{self.seconds():9.3f}  {text}'
        self.lines.append(line)
        del self.lines[:-_LAST]
        self.file.write(line + '\n')

    def tail(self):
        return '\n'.join(self.lines)

    def close(self):
        self.file.close()
