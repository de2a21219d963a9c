# SPDX-License-Identifier: GPL-2.0-or-later
"""Each command: what it says to the daemon."""

import argparse
import json
import os
import re
import stat
from typing import Any, List

from .action import action_line
from .arguments import NAME_CHARS
from .daemon import CtlError, Daemon, Info
from .display import show_array
from .explain import find_entry
from .jobs import finish_job


async def check_name(daemon: Daemon, name: str) -> None:
    """May a node be called like that? The daemon knows."""
    await daemon.run('blockdev-add', driver='null-co', node_name=name,
                     read_zeroes=True)
    await daemon.run('blockdev-del', node_name=name)


def name_apart(members: List[Any]) -> None:
    """Files in several directories may have one name; their nodes not."""
    taken = {given for given in members if isinstance(given, str)}
    for given in members:
        name = given.get('node-name') if isinstance(given, dict) else None
        number = 1
        while name and given['node-name'] in taken:
            number += 1
            given['node-name'] = f'{name[:NAME_CHARS - 3]}-{number}'
        if name:
            taken.add(given['node-name'])


async def create(daemon: Daemon, args: argparse.Namespace) -> None:
    """Write superblocks, then start the array."""
    name_apart(args.member)
    if not args.no_start:
        await check_name(daemon, args.node)
    options = {
        'driver': 'opus-raid', 'level': args.level, 'members': args.member,
        'chunk-size': args.chunk_size, 'layout': args.layout,
        'copies': args.copies, 'size': args.size, 'name': args.name,
        'uuid': args.uuid, 'data-offset': args.data_offset,
        'consistency-policy': args.consistency_policy,
        'bitmap-chunk-size': args.bitmap_chunk_size,
        'assume-clean': args.assume_clean or None,
        'force': args.force or None,
    }
    job_id = f'opusctl-create-{args.node}'
    await daemon.run('blockdev-create', job_id=job_id, options={
        key: value for key, value in options.items() if value is not None})
    await finish_job(daemon, job_id)
    if not args.no_start:
        await daemon.run('blockdev-add', driver='opus-raid',
                         node_name=args.node, members=args.member)


async def assemble(daemon: Daemon, args: argparse.Namespace) -> None:
    """Start an array that exists."""
    name_apart(args.member)
    options = {key: value for given in args.option
               for key, value in given.items()}
    await daemon.run('blockdev-add', driver='opus-raid', node_name=args.node,
                     members=args.member, name=args.name, uuid=args.uuid,
                     assemble=args.policy, read_only=args.read_only or None,
                     **options)


async def stop(daemon: Daemon, args: argparse.Namespace) -> None:
    """Close an array that has no export."""
    await daemon.run('blockdev-del', node_name=args.node)


async def show(daemon: Daemon, args: argparse.Namespace) -> None:
    """Arrays and their members."""
    arrays = await daemon.arrays(args.node)
    if args.json:
        print(json.dumps(arrays, indent=2))
        return
    jobs = [entry['id'] for entry in await daemon.jobs()]
    for info in arrays:
        show_array(info)
        line = action_line(info, jobs)
        if line:
            print(f'  {line}')
    if not arrays:
        print('no arrays')


def explain(args: argparse.Namespace) -> None:
    """What a word of a message means; asks no daemon."""
    try:
        print(find_entry(args.word))
    except LookupError as err:
        raise CtlError(str(err)) from err


def is_same_file(path: str, node: Info) -> bool:
    """Is it what the node is on? A drive may have many paths."""
    file = node.get('file', '')
    try:
        ours, its = os.stat(path), os.stat(file)
    except OSError:
        return path == file     # it is gone, but its node is not
    if stat.S_ISBLK(ours.st_mode) and stat.S_ISBLK(its.st_mode):
        return ours.st_rdev == its.st_rdev
    return os.path.samestat(ours, its)


async def member_name(daemon: Daemon, array: str, given: str) -> str:
    """The node name of a member that is given by that, or by its path."""
    if '/' not in given:
        return given
    info, = await daemon.arrays(array)
    names = {entry.get('node-name') for entry in info['members']}
    for node in await daemon.run('query-named-block-nodes', flat=True):
        if node['node-name'] in names and is_same_file(given, node):
            return str(node['node-name'])
    raise CtlError(f"Array '{array}' has no member on '{given}'")


async def add(daemon: Daemon, args: argparse.Namespace) -> None:
    """A spare, which a degraded array uses at once."""
    await daemon.run('opus-raid-add-member', node_name=args.node,
                     member=args.member, force=args.force or None)


async def fail(daemon: Daemon, args: argparse.Namespace) -> None:
    """Stop using a member."""
    name = await member_name(daemon, args.node, args.member)
    await daemon.run('opus-raid-fail-member', node_name=args.node,
                     member=name)


async def remove(daemon: Daemon, args: argparse.Namespace) -> None:
    """Let go of a member, and of its node too if asked."""
    name = await member_name(daemon, args.node, args.member)
    await daemon.run('opus-raid-remove-member', node_name=args.node,
                     member=name)
    if args.close:
        names = [node['node-name'] for node
                 in await daemon.run('query-named-block-nodes', flat=True)]
        if name in names:
            await daemon.run('blockdev-del', node_name=name)


async def replace(daemon: Daemon, args: argparse.Namespace) -> None:
    """Copy a member that still works to another."""
    name = await member_name(daemon, args.node, args.member)
    await daemon.run('opus-raid-replace-member', node_name=args.node,
                     member=name, replacement=args.replacement,
                     force=args.force or None)


async def check(daemon: Daemon, args: argparse.Namespace) -> None:
    """Compare redundancy with data; also put it right."""
    await daemon.run('opus-raid-check', node_name=args.node,
                     mode='repair' if args.repair else 'check',
                     speed=args.speed)


async def rebuild(daemon: Daemon, args: argparse.Namespace) -> None:
    """Go on with a rebuild that was cancelled or failed."""
    await daemon.run('opus-raid-rebuild', node_name=args.node)


async def grow(daemon: Daemon, args: argparse.Namespace) -> None:
    """Use more of members that have become larger."""
    await daemon.run('opus-raid-grow', node_name=args.node,
                     member_size=args.member_size)


async def set_policy(daemon: Daemon, args: argparse.Namespace) -> None:
    """What is to keep redundancy right over a crash."""
    await daemon.run('opus-raid-set-consistency-policy', node_name=args.node,
                     policy=args.policy,
                     bitmap_chunk_size=args.bitmap_chunk_size)


async def job(daemon: Daemon, args: argparse.Namespace) -> None:
    """Pause, resume, cancel, finalize, dismiss, or change the speed."""
    if args.action == 'speed':
        if args.speed is None:
            raise CtlError('speed wants bytes per second, 0 for no limit')
        await daemon.run('block-job-set-speed', device=args.job,
                         speed=args.speed)
    else:
        await daemon.run(f'job-{args.action}', id=args.job)


async def export(daemon: Daemon, args: argparse.Namespace) -> None:
    """Serve a node to a guest, by as many threads as asked for."""
    name = args.id or args.node
    threads = args.iothread or [f'{name}-io{i}' for i in range(args.threads)]
    options: Info = {'serial': args.serial, 'num_queues': args.num_queues,
                     'queue_size': args.queue_size}
    if threads:
        options['iothread_vq_mapping'] = [{'iothread': i} for i in threads]
    made: List[str] = []
    try:
        for thread in [] if args.iothread else threads:
            await daemon.run('object-add', qom_type='iothread', id=thread)
            made.append(thread)
        await daemon.run('block-export-add', type='vhost-user-blk', id=name,
                         node_name=args.node, writable=not args.read_only,
                         addr={'type': 'unix',
                               'path': os.path.abspath(args.path)}, **options)
    except CtlError:
        for thread in made:
            await daemon.run('object-del', id=thread)
        raise


async def unexport(daemon: Daemon, args: argparse.Namespace) -> None:
    """Take an export away, and the threads that were made for it."""
    with daemon.client.listener(('BLOCK_EXPORT_DELETED',)) as gone:
        await daemon.run('block-export-del', id=args.id,
                         mode='hard' if args.hard else None)
        data: Any = {}
        while data.get('id') != args.id:
            data = (await gone.get())['data']
    for item in await daemon.run('qom-list', path='/objects'):
        if re.fullmatch(re.escape(args.id) + r'-io\d+', item['name']):
            await daemon.run('object-del', id=item['name'])
