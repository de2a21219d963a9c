# SPDX-License-Identifier: GPL-2.0-or-later
"""Each command: what it says to the daemon."""

import argparse
import json
import os
import re
from typing import Any, List

from .daemon import CtlError, Daemon, Info
from .display import show_array
from .jobs import finish_job


async def create(daemon: Daemon, args: argparse.Namespace) -> None:
    """Write superblocks, then start the array."""
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
    for info in arrays:
        show_array(info)
    if not arrays:
        print('no arrays')


async def with_member(daemon: Daemon, command: str, key: str,
                      given: object, **args: object) -> None:
    """Run a command on a new node, which goes again if the command fails."""
    if not isinstance(given, dict):
        await daemon.run(command, **{key: given}, **args)
        return
    await daemon.run('blockdev-add', **given)
    name = given.get('node-name')
    try:
        await daemon.run(command, **{key: name}, **args)
    except CtlError:
        await daemon.run('blockdev-del', node_name=name)
        raise


async def add(daemon: Daemon, args: argparse.Namespace) -> None:
    """A spare, which a degraded array uses at once."""
    await with_member(daemon, 'opus-raid-add-member', 'member', args.member,
                      node_name=args.node, force=args.force or None)


async def fail(daemon: Daemon, args: argparse.Namespace) -> None:
    """Stop using a member."""
    await daemon.run('opus-raid-fail-member', node_name=args.node,
                     member=args.member)


async def remove(daemon: Daemon, args: argparse.Namespace) -> None:
    """Let go of a member, and of its node too if asked."""
    await daemon.run('opus-raid-remove-member', node_name=args.node,
                     member=args.member)
    if args.close:
        names = [node['node-name'] for node
                 in await daemon.run('query-named-block-nodes', flat=True)]
        if args.member in names:
            await daemon.run('blockdev-del', node_name=args.member)


async def replace(daemon: Daemon, args: argparse.Namespace) -> None:
    """Copy a member that still works to another."""
    await with_member(daemon, 'opus-raid-replace-member', 'replacement',
                      args.replacement, node_name=args.node,
                      member=args.member, force=args.force or None)


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
    """Pause, resume, cancel, or change the speed."""
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
