# SPDX-License-Identifier: GPL-2.0-or-later
"""A daemon that is running, and its answers."""

import asyncio
from contextlib import asynccontextmanager
import glob
import os
from pathlib import Path
from typing import (
    Any,
    AsyncIterator,
    Dict,
    List,
    Optional,
)

from qemu.qmp import (
    ConnectError,
    ExecuteError,
    QMPClient,
    QMPError,
)


Info = Dict[str, Any]

RUN_DIR = '/run/opus-raid'
SOCKET = 'control/qmp.sock'     # below RUN_DIR/NAME
CONNECT_S = 10.0


class CtlError(Exception):
    """The text says, in one line, what is wrong."""


def find_socket(given: Optional[str]) -> str:
    """A path; or the name of an instance; or the only one that runs."""
    given = given or os.environ.get('OPUSCTL_SOCKET')
    if given:
        return given if '/' in given else f'{RUN_DIR}/{given}/{SOCKET}'
    found = sorted(glob.glob(f'{RUN_DIR}/*/{SOCKET}'))
    if len(found) == 1:
        return found[0]
    names = ', '.join(Path(path).parts[-3] for path in found) or 'none'
    raise CtlError('which daemon? Say --socket PATH or --socket NAME (running '
                   f'below {RUN_DIR}: {names})')


class Daemon:
    """A connection to a daemon's monitor."""

    def __init__(self, client: QMPClient) -> None:
        self.client = client

    async def run(self, command: str, **args: object) -> Any:
        """Run a command; an argument that is None is left out."""
        given = {key.replace('_', '-'): value for key, value in args.items()
                 if value is not None}
        try:
            return await self.client.execute(command, given)
        except ExecuteError as err:
            if err.error_class == 'CommandNotFound':
                raise CtlError(f"the daemon has no command '{command}': it is "
                               "older than this program, or no opus-raid"
                               ) from err
            raise CtlError(' '.join(str(err).split())) from err

    async def arrays(self, node: Optional[str] = None) -> List[Info]:
        """What is known of one array, or of all."""
        return list(await self.run('query-opus-raid', node_name=node))

    async def jobs(self) -> List[Info]:
        """Jobs that have something to do."""
        return [job for job in await self.run('query-jobs')
                if job['status'] not in ('concluded', 'null')]

    async def kept_jobs(self) -> List[Info]:
        """Jobs that have ended, and wait until they are dismissed."""
        return [job for job in await self.run('query-jobs')
                if job['status'] == 'concluded']


@asynccontextmanager
async def connect(path: str) -> AsyncIterator[Daemon]:
    """Connect to a daemon for as long as the context lasts."""
    client = QMPClient('opusctl')
    try:
        await asyncio.wait_for(client.connect(path), CONNECT_S)
    except asyncio.TimeoutError:
        raise CtlError(f"'{path}' does not answer: another program is "
                       "connected to it, or the daemon hangs") from None
    except ConnectError as err:
        raise CtlError(f"can't connect to '{path}': {err.exc}") from err
    try:
        yield Daemon(client)
    finally:
        try:
            await client.disconnect()
        except (QMPError, EOFError, OSError):
            pass                # it was faster
