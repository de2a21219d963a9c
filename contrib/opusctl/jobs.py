# SPDX-License-Identifier: GPL-2.0-or-later
"""Jobs: how far they are, and how they end."""

import argparse
import asyncio
import sys
import time
from typing import (
    Any,
    Dict,
    List,
    Set,
)

from qemu.qmp import EventListener

from .daemon import (
    CtlError,
    Daemon,
    Info,
    connect,
)
from .display import (
    GREEN,
    STATE_COLOURS,
    human,
    is_terminal,
    is_well_checked,
    last_check,
    paint,
    percent,
)


POLL_S = 0.5
BAR_CHARS = 30
JOB_EVENTS = ('BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED')


class Progress:
    """Progress of jobs: bars on a terminal, otherwise a line for each tenth.
    """

    def __init__(self) -> None:
        self.bars = is_terminal()
        self.drawn = 0
        self.told: Dict[str, str] = {}
        self.begun: Dict[str, List[float]] = {}

    def draw(self, jobs: List[Info]) -> None:
        """Show how far they are."""
        if not self.bars:
            self._tell(jobs)
            return
        self.erase()
        for job in jobs:
            print(self._bar(job))
        self.drawn = len(jobs)
        sys.stdout.flush()

    def erase(self) -> None:
        """Take the bars away, so that other lines can be printed."""
        if self.drawn:
            print(f'\033[{self.drawn}A\033[J', end='')
        self.drawn = 0

    def _tell(self, jobs: List[Info]) -> None:
        for job in jobs:
            tenth = 10 * job['current-progress'] // (job['total-progress']
                                                     or 1)
            text = f"{job['id']}: {10 * tenth} %, {job['status']}"
            if self.told.get(job['id']) != text:
                print(text, flush=True)
            self.told[job['id']] = text

    def _pace(self, job: Info) -> str:
        """Since it was first seen."""
        done, now = job['current-progress'], time.monotonic()
        first = self.begun.setdefault(job['id'], [done, now])
        if done <= first[0] or now <= first[1]:
            return ''
        speed = (done - first[0]) / (now - first[1])
        left = int((job['total-progress'] - done) / speed)
        return (f'  {human(round(speed))}/s, {left // 3600}:'
                f'{left // 60 % 60:02}:{left % 60:02} left')

    def _bar(self, job: Info) -> str:
        done, total = job['current-progress'], job['total-progress']
        filled = BAR_CHARS * done // total if total else 0
        drawn = paint('#' * filled, GREEN) + '.' * (BAR_CHARS - filled)
        status = '' if job['status'] == 'running' else f"  {job['status']}"
        return (f"{job['id']} [{drawn}] {percent(done, total or 1)}"
                f"{status}{self._pace(job)}")


async def finish_job(daemon: Daemon, job_id: str) -> None:
    """Wait for a job that wants to be dismissed; fail as it fails."""
    progress = Progress()
    while True:
        job = next(job for job in await daemon.run('query-jobs')
                   if job['id'] == job_id)
        if job['status'] == 'concluded':
            break
        if progress.bars:
            progress.draw([job])
        await asyncio.sleep(POLL_S / 5)
    progress.erase()
    await daemon.run('job-dismiss', id=job_id)
    if job.get('error'):
        raise CtlError(job['error'])


class Watch:
    """What is going on, and how it ended if that was heard."""

    def __init__(self) -> None:
        self.progress = Progress()
        self.running: Set[str] = set()
        self.kept: Set[str] = set()     # whose end was told
        self.failed = False

    def _tell(self, job_id: str, result: str) -> None:
        self.progress.erase()
        self.running.discard(job_id)
        print(f'{job_id}: {result}', flush=True)

    async def _hear(self, ended: EventListener) -> None:
        while not ended.empty():
            event = await ended.get()
            data: Any = event['data']
            result = 'cancelled' if event['event'] == JOB_EVENTS[1] else 'done'
            if data.get('error'):
                result = 'failed: ' + data['error']
            self.failed |= result != 'done'
            self.kept.add(data['device'])
            self._tell(data['device'], result)

    async def tell_kept(self, daemon: Daemon) -> None:
        """Jobs that have failed and wait to be dismissed tell why."""
        for job in await daemon.kept_jobs():
            if job.get('error') and job['id'] not in self.kept:
                self.kept.add(job['id'])
                self._tell(job['id'], 'failed: ' + job['error'])
                self.failed = True

    async def look(self, daemon: Daemon) -> bool:
        """Show the jobs, and listen for a moment; false if there are none."""
        with daemon.client.listener(JOB_EVENTS) as ended:
            jobs = await daemon.jobs()
            now = {job['id'] for job in jobs}
            gone = self.running - now
            self.running |= now
            await self._hear(ended)
            # The others ended while somebody else was connected.
            if gone & self.running:
                await self.tell_kept(daemon)
            for job_id in sorted(gone & self.running):
                self._tell(job_id, 'ended')
            self.progress.draw([job for job in jobs
                                if job['id'] in self.running])
            await asyncio.sleep(POLL_S)
            await self._hear(ended)
        return bool(jobs)

    async def until_idle(self, path: str) -> None:
        """Until there is nothing twice: a job may be followed by another."""
        idle = 0
        while idle < 2:
            async with connect(path) as daemon:
                idle = 0 if await self.look(daemon) else idle + 1
        self.progress.erase()


async def watch(args: argparse.Namespace) -> int:
    """Jobs until none is left, then arrays; 1 if a job did not end well.

    Nobody may have heard how a job ended; but an array that is not what it
    should be has none that ended well, and of its last check it knows more.
    """
    state = Watch()
    await state.until_idle(args.socket)
    async with connect(args.socket) as daemon:
        await state.tell_kept(daemon)
        for info in await daemon.arrays(args.node):
            print(f"{info['node-name']}: "
                  + paint(info['state'], STATE_COLOURS.get(info['state'])))
            state.failed |= info['state'] != 'optimal'
            last = info.get('last-check')
            if last and not is_well_checked(last):
                print(f"{info['node-name']}: {last_check(last)}")
                state.failed = True
    return 1 if state.failed else 0
