# SPDX-License-Identifier: GPL-2.0-or-later
"""vhost-user-blk exports of the storage daemon, for guests.

Owns: the daemon's command line.
Must not know: what a guest is.
"""
import json
import os

import opus


def export(node, socket, **options):
    """Arguments for one export; @options as QAPI has them, with _ for -."""
    options = {name.replace('_', '-'): value
               for name, value in options.items()}
    return ['--export', json.dumps(
        {'type': 'vhost-user-blk', 'id': os.path.basename(socket),
         'node-name': node, 'addr': {'type': 'unix', 'path': socket},
         'writable': True, **options})]


def on_iothreads(count):
    """(arguments, the export's option) for that many iothreads."""
    args = []
    for i in range(count):
        args += ['--object', f'iothread,id=io{i}']
    return args, [{'iothread': f'io{i}'} for i in range(count)]


class Daemon(opus.StorageDaemon):
    """A storage daemon whose trace of the queues is kept."""

    def __init__(self, args, trace_path):
        self.trace_path = trace_path
        super().__init__(['--trace', f'vub_queue_start,file={trace_path}',
                          *args])

    def traced(self):
        with open(self.trace_path, encoding='utf-8') as f:
            return f.read()
