# SPDX-License-Identifier: GPL-2.0-or-later
"""The host's side of an array: QEMU's tools with the opus-raid driver.

The programs come from the directory in $OPUS_RAID_BUILD, or build/ of the
source tree.
"""
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import tempfile

from pattern import sha256

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get('OPUS_RAID_BUILD',
                       os.path.join(HERE, '..', '..', 'build'))
TOOL_TIMEOUT = 300
PR_SET_PDEATHSIG = 1

# ${json}: the array on the guest's own drives, as qemu-io takes it.
ON_LOOPS = """json='json:{"driver": "opus-raid", "members": ['
for loop in "${loops[@]}"; do
    json+="${sep-}{\\"driver\\": \\"host_device\\", \\"filename\\": \\"$loop\\"}"
    sep=', '
done
json+=']}'
"""

COPIES_LAYOUT = {'n': 'near', 'f': 'far', 'o': 'offset'}


class OpusError(Exception):
    """A program failed; the text is what it said."""


def program(name):
    return os.path.join(BUILD, name)


def run_tool(*args):
    """Standard output; warnings about members go to standard error."""
    done = subprocess.run(args, capture_output=True, text=True, check=False,
                          timeout=TOOL_TIMEOUT, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise OpusError(f'{args[0]}: status {done.returncode}:\n'
                        + done.stdout + done.stderr)
    return done.stdout


def node(array, without=(), **options):
    """BlockdevOptions of the array, its members given in reverse order."""
    members = [{'driver': 'file', 'filename': path}
               for path in reversed(array.paths(without))]
    return {'driver': 'opus-raid', 'members': members, **options}


def json_name(array, without=(), **options):
    return 'json:' + json.dumps(node(array, without, **options))


def image_opts(options, prefix=''):
    """The same as key=value words, which only some tools take."""
    words = []
    items = (enumerate(options) if isinstance(options, list)
             else options.items())
    for key, value in items:
        if isinstance(value, (dict, list)):
            words += image_opts(value, f'{prefix}{key}.')
        else:
            words.append(f'{prefix}{key}={value}')
    return words


def info(array, without=(), **options):
    """OpusRaidInfo, as qemu-img info has it."""
    said = run_tool(program('qemu-img'), 'info', '--output=json',
                    json_name(array, without, **options))
    return json.loads(said)['format-specific']['data']


def assert_refused(array, why, without=(), **options):
    """Opened for writing, the array must be refused by the name @why."""
    try:
        run_tool(program('qemu-io'), '-c', 'read 0 1',
                 json_name(array, without, **options))
    except OpusError as error:
        assert f': {why}: ' in str(error), f'not {why}: {error}'
    else:
        raise AssertionError(f'not refused, but {why} was expected: '
                             f'{info(array, without, **options)}')


def read_all(array, without=(), **options):
    """All bytes of the array, by qemu-img convert."""
    with tempfile.TemporaryDirectory(dir=array.dir) as scratch:
        copy = os.path.join(scratch, 'copy')
        run_tool(program('qemu-img'), 'convert', '-O', 'raw',
                 json_name(array, without, **options), copy)
        with open(copy, 'rb') as f:
            return f.read()


def fill(array, data, without=()):
    """@data all over the array, by qemu-img convert."""
    with tempfile.NamedTemporaryFile(dir=array.dir) as f:
        f.write(data)
        f.flush()
        run_tool(program('qemu-img'), 'convert', '-n', '-f', 'raw',
                 '--target-image-opts', f.name,
                 ','.join(image_opts(node(array, without))))


def write_batches(array, batches, reference, without=()):
    """Each batch in flight together; also applied to @reference."""
    script = []
    for batch in batches:
        for write in batch:
            verb = 'aio_write -q ' + ('-z' if write.byte == 0 else
                                      f'-P {write.byte}')
            script += ['-c', f'{verb} {write.offset} {write.length}']
            write.apply(reference)
        script += ['-c', 'aio_flush']
    said = run_tool(program('qemu-io'), '-t', 'writeback', *script,
                    json_name(array, without))
    if said:
        raise OpusError(f'qemu-io said: {said}')


def open_writable(array, without=(), **options):
    """And close it again: what must be made right before is."""
    run_tool(program('qemu-io'), '-c', 'flush',
             json_name(array, without, **options))


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class StorageDaemon:
    """with StorageDaemon(['--blockdev', ...]) as daemon: daemon.cmd(...)"""

    def __init__(self, args):
        self.process = subprocess.Popen(
            [program('qemu-storage-daemon'), *args, '--chardev',
             'stdio,id=qmp', '--monitor', 'chardev=qmp'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent)
        self.events = []

    def __enter__(self):
        try:
            self.receive()
            self.cmd('qmp_capabilities')
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, failed, *_exc):
        if failed or self.process.poll() is not None:
            self.kill()
            return
        self.cmd('quit')
        status = self.process.wait(TOOL_TIMEOUT)
        self.kill()
        if status:
            raise OpusError(f'qemu-storage-daemon: status {status}')

    def kill(self):
        """kill -9, and free what is left."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def receive(self):
        line = self.process.stdout.readline()
        if not line:
            raise OpusError('qemu-storage-daemon ended, status '
                            f'{self.process.wait()}')
        return json.loads(line)

    def cmd(self, name, **arguments):
        request = {'execute': name, 'arguments': arguments}
        self.process.stdin.write(json.dumps(request) + '\n')
        self.process.stdin.flush()
        while True:
            answer = self.receive()
            if 'event' in answer:
                self.events.append(answer)
            elif 'error' in answer:
                raise OpusError(answer['error']['desc'])
            else:
                return answer['return']

    def job(self, name, **arguments):
        """A command that starts a job; waits for its end."""
        self.cmd(name, **arguments, **{'job-id': 'job'})
        while not self.is_concluded():
            answer = self.receive()
            assert 'event' in answer, answer
            self.events.append(answer)
        jobs = self.cmd('query-jobs')
        self.cmd('job-dismiss', id='job')
        self.events.clear()
        if 'error' in jobs[0]:
            raise OpusError(jobs[0]['error'])

    def is_concluded(self):
        return any(event['event'] == 'JOB_STATUS_CHANGE'
                   and event['data']['status'] == 'concluded'
                   for event in self.events)


def create_options(shape):
    """BlockdevCreateOptions for a shape, but for the members."""
    options = {'driver': 'opus-raid', 'level': shape.level}
    if shape.has_chunk():
        options['chunk-size'] = shape.chunk_kib << 10
    if shape.level == 'raid10':
        options['layout'] = COPIES_LAYOUT[shape.layout[0]]
        options['copies'] = int(shape.layout[1:])
    elif shape.layout:
        options['layout'] = shape.layout.lower()
    return options


def create(array, **options):
    """blockdev-create over the array's files."""
    nodes = [f'm{i}' for i in range(array.shape.members)]
    blockdevs = []
    for name, path in zip(nodes, array.paths()):
        blockdevs += ['--blockdev',
                      f'driver=file,node-name={name},filename={path}']
    with StorageDaemon(blockdevs) as daemon:
        daemon.job('blockdev-create',
                   options={**create_options(array.shape), 'members': nodes,
                            **options})


def set_policy(array, policy):
    args = ['--blockdev', json.dumps(node(array, **{'node-name': 'r0'}))]
    with StorageDaemon(args) as daemon:
        daemon.cmd('opus-raid-set-consistency-policy',
                   **{'node-name': 'r0', 'policy': policy})
    assert info(array)['consistency-policy'] == policy


@contextlib.contextmanager
def served(array, socket, without=()):
    """The array as an NBD export at a socket; yields the daemon."""
    options = json.dumps({**node(array, without), 'node-name': 'array'})
    args = ['--blockdev', options,
            '--nbd-server', f'addr.type=unix,addr.path={socket}',
            '--export', 'type=nbd,id=e,node-name=array,writable=on']
    with StorageDaemon(args) as daemon:
        yield daemon


def checksum(array, without=(), **options):
    return sha256(read_all(array, without, **options))
