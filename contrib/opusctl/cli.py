# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line."""

import argparse
import asyncio
import logging
import sys
from typing import Any, Callable, Optional

from qemu.qmp import QMPError

from . import commands
from .arguments import member, option, size, used_member
from .daemon import CtlError, connect, find_socket
from .explain import find_word
from .jobs import watch


# Adds a command: name, coroutine, help; returns its parser.
Adder = Callable[..., argparse.ArgumentParser]

NODE_HELP = 'node name of the array'
MEMBER_HELP = 'node name, [NAME=]PATH of a file or drive, or json:{...}'
USED_HELP = 'node name of the member, or the PATH of its file or drive'


def add_create(sub: Adder) -> None:
    """create, assemble and stop."""
    cmd = sub('create', commands.create, 'make an array and start it')
    cmd.add_argument('member', nargs='+', type=member, help=MEMBER_HELP)
    cmd.add_argument('--level', required=True,
                     help='raid0, raid1, raid5, raid6 or raid10')
    for name in ('chunk-size', 'size', 'data-offset', 'bitmap-chunk-size'):
        cmd.add_argument(f'--{name}', type=size, metavar='BYTES')
    for name in ('layout', 'name', 'uuid', 'consistency-policy'):
        cmd.add_argument(f'--{name}')
    cmd.add_argument('--copies', type=int, help='for raid10')
    cmd.add_argument('--assume-clean', action='store_true',
                     help="don't zero the members")
    cmd.add_argument('--force', action='store_true',
                     help='overwrite members that hold something')
    cmd.add_argument('--no-start', action='store_true')

    cmd = sub('assemble', commands.assemble, 'start an array')
    cmd.add_argument('member', nargs='+', type=member, help=MEMBER_HELP)
    cmd.add_argument('--name', help='insist on this name')
    cmd.add_argument('--uuid', help='insist on this UUID')
    cmd.add_argument('--policy', help='strict, degraded or force')
    cmd.add_argument('--read-only', action='store_true')
    cmd.add_argument('-o', '--option', type=option, action='append',
                     default=[], metavar='KEY=VALUE',
                     help='another option of the driver')
    sub('stop', commands.stop, 'close an array')


def add_members(sub: Adder) -> None:
    """What is done to members."""
    for name, run, text in (
            ('fail', commands.fail, 'stop using a member'),
            ('remove', commands.remove,
             'let go of a member that is not in use'),
            ('add', commands.add,
             'add a spare; a degraded array is rebuilt with it'),
            ('replace', commands.replace,
             'copy a member to another one, then stop using it')):
        cmd = sub(name, run, text)
        if name == 'add':
            cmd.add_argument('member', type=member, help=MEMBER_HELP)
        else:
            cmd.add_argument('member', type=used_member, help=USED_HELP)
        if name == 'replace':
            cmd.add_argument('replacement', type=member, nargs='?',
                             help=f'{MEMBER_HELP} (default: a spare)')
        if name in ('add', 'replace'):
            cmd.add_argument('--force', action='store_true',
                             help='overwrite what it holds')
        if name == 'remove':
            cmd.add_argument('--close', action='store_true',
                             help='and close its node')


def add_arrays(sub: Adder) -> None:
    """What is done to arrays and to jobs."""
    sub('rebuild', commands.rebuild, 'go on with a rebuild')
    cmd = sub('check', commands.check, 'compare redundancy with data')
    cmd.add_argument('--repair', action='store_true', help='put it right')
    cmd.add_argument('--speed', type=size, metavar='BYTES',
                     help='per second, at most')
    cmd = sub('grow', commands.grow, 'use more of larger members')
    cmd.add_argument('--member-size', type=size, metavar='BYTES',
                     help='of each member (default: all there is)')
    cmd = sub('set-policy', commands.set_policy,
              'choose how redundancy is made right after a crash')
    cmd.add_argument('policy', help='resync, bitmap, ppl or journal')
    cmd.add_argument('--bitmap-chunk-size', type=size, metavar='BYTES')
    cmd = sub('job', commands.job, 'steer a job', node=None)
    cmd.add_argument('action', choices=['pause', 'resume', 'cancel', 'speed',
                                           'finalize', 'dismiss'])
    cmd.add_argument('job')
    cmd.add_argument('speed', nargs='?', type=size, metavar='BYTES',
                     help='per second, 0 for no limit')


def add_exports(sub: Adder) -> None:
    """Exports by vhost-user-blk."""
    cmd = sub('export', commands.export, 'serve an array by vhost-user-blk')
    cmd.add_argument('path', help='of the socket')
    cmd.add_argument('--id', help='of the export (default: NODE)')
    cmd.add_argument('--read-only', action='store_true')
    cmd.add_argument('--threads', type=int, default=1,
                     help='serve its queues by this many new iothreads '
                     '(default: 1)')
    cmd.add_argument('--iothread', action='append',
                     help='serve them by iothreads that are there')
    cmd.add_argument('--num-queues', type=int)
    cmd.add_argument('--queue-size', type=int)
    cmd.add_argument('--serial')
    cmd = sub('unexport', commands.unexport, 'take an export away', node=None)
    cmd.add_argument('id')
    cmd.add_argument('--hard', action='store_true',
                     help='even if a client is connected')


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    top = argparse.ArgumentParser(
        prog='opusctl', description='Drive the arrays of a storage daemon.')
    top.add_argument('-s', '--socket', metavar='PATH|NAME',
                     help="the daemon's QMP socket, or the name of an "
                     'opus-raid@NAME service (default: $OPUSCTL_SOCKET, or '
                     'the only service that runs)')
    group = top.add_subparsers(dest='command', required=True,
                               metavar='COMMAND')

    def sub(name: str, run: Callable[..., Any], text: str,
            node: Optional[str] = NODE_HELP) -> argparse.ArgumentParser:
        cmd = group.add_parser(name, help=text, description=text)
        cmd.set_defaults(run=run)
        if node:
            cmd.add_argument('node', help=node)
        return cmd

    cmd = sub('show', commands.show, 'show arrays and their members',
              node=None)
    cmd.add_argument('node', nargs='?', help='only this array')
    cmd.add_argument('--json', action='store_true', help='as QMP says it')
    cmd = sub('explain', commands.explain, 'print what a word means',
              node=None)
    cmd.add_argument('word', help='a state, an event, or a word of an error')
    cmd = sub('watch', watch, 'show the progress of jobs until none is left',
              node=None)
    cmd.add_argument('node', nargs='?',
                     help='the only array whose state is told in the end')
    for add in (add_create, add_members, add_arrays, add_exports):
        add(sub)
    return top


async def run_command(args: argparse.Namespace) -> int:
    """Run what was asked for; the exit status."""
    if args.run is commands.explain:
        commands.explain(args)
        return 0
    args.socket = find_socket(args.socket)
    if args.run is watch:
        return await watch(args)
    async with connect(args.socket) as daemon:
        await args.run(daemon, args)
    return 0


def main() -> int:
    """The exit status: 0, or 1 after a message."""
    logging.getLogger('qemu.qmp').setLevel(logging.CRITICAL + 1)
    try:
        return asyncio.run(run_command(parser().parse_args()))
    except CtlError as err:
        word = find_word(str(err))
        more = f' (see: opusctl explain {word})' if word else ''
        print(f'opusctl: {err}{more}', file=sys.stderr)
    except QMPError as err:
        print(f'opusctl: the connection broke: {err}', file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1
