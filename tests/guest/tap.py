# SPDX-License-Identifier: GPL-2.0-or-later
"""Results of scenarios in the Test Anything Protocol."""
import contextlib
import sys
import time
import traceback


class Skip(Exception):
    """A scenario that can't be had here; the text says why."""


class Tap:
    """with tap.scenario('md raid5 -> opus -> md'): ..."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    @contextlib.contextmanager
    def scenario(self, name, after_failure=None):
        """Any exception of the body makes it "not ok"; the next one runs."""
        started = time.monotonic()
        self.count += 1
        try:
            yield
        except Skip as reason:
            print(f'ok {self.count} - {name} # SKIP {reason}')
            sys.stdout.flush()
        except Exception:
            self.failed += 1
            print(f'not ok {self.count} - {name}')
            comment(traceback.format_exc())
            sys.stdout.flush()
            if after_failure:
                after_failure()
        else:
            print(f'ok {self.count} - {name}')
            comment(f'{time.monotonic() - started:.1f} s')

    def finish(self):
        """The plan; returns the exit status."""
        print(f'1..{self.count}')
        return 1 if self.failed or not self.count else 0


def comment(text):
    for line in text.rstrip().splitlines():
        print(f'# {line}')
    sys.stdout.flush()


def skip_all(reason):
    """A whole program that cannot run here; returns the exit status."""
    print(f'1..0 # SKIP {reason}')
    return 0
