# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest of several CPUs: Debian's kernel in QEMU's emulator, without KVM.

Owns: the emulator's process, its private directory, the guest's first file
system, a downloaded kernel.
Must not know: what is tested.

The first file system holds busybox, the modules of virtio's disks, and what
programs a test wants there.  The first serial line has the kernel's messages,
the second one takes commands, see shell.py.
"""
import base64
import glob
import json
import lzma
import os
import re
import shutil
import socket
import subprocess
import tempfile

import debs
import opus
import uml
from shell import GuestError, Shell, Unavailable

# The smallest of Debian's kernels; a name that stands for the newest one.
KERNEL_PACKAGE = 'linux-image-cloud-amd64'
MODULES = ('virtio_blk',)
MAX_LINE = 3000     # a script's; the guest takes 4096 bytes at once
MIB = 1 << 20
# QEMU 7.2 emulates cmpxchg16b wrongly, which Linux uses to allocate memory.
CPU = 'max,-cx16'

INIT = '''#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
cd /run
while read -r module; do
    insmod "/modules/$module" || poweroff -f
done < /modules/list
exec < /dev/ttyS1 > /dev/ttyS1 2>&1
stty raw -echo
echo '@guest 0 status 0@'
while read -r number script && [ "$number" != off ]; do
    echo "$script" | base64 -d > "$number.sh"
    status=0
    sh "$number.sh" < /dev/null 2>&1 || status=$?
    echo "@guest $number status $status@"
done
poweroff -f
'''


def unpacked_kernel():
    """Directory of an unpacked kernel package, kept in the build's."""
    directory = os.path.join(opus.BUILD, 'qemu', 'guest-kernel')
    tree = os.path.join(directory, 'tree')
    if not os.path.isdir(tree):
        os.makedirs(directory, exist_ok=True)
        image, = debs.fetch(directory, KERNEL_PACKAGE)
        package, = debs.fetch(directory, debs.depends(image)[0])
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            debs.unpack(package, f'{scratch}/tree')
            os.rename(f'{scratch}/tree', tree)
        os.unlink(package)
    return tree


def module_files(tree, modules):
    """{file name: contents} of the modules, in the order of their needs."""
    dep, = glob.glob(f'{tree}/**/lib/modules/*/modules.order', recursive=True)
    top = os.path.dirname(dep)
    found = {}
    for name in modules:
        path, = glob.glob(f'{top}/kernel/**/{name}.ko*', recursive=True)
        with open(path, 'rb') as f:
            data = f.read()
        found[f'{name}.ko'] = (lzma.decompress(data) if path.endswith('.xz')
                               else data)
    return found


def archive(files):
    """What the kernel unpacks as its first file system: cpio's newc.

    @files: {path: contents}; None makes a directory.
    """
    out = bytearray()

    def add(path, mode, data):
        name = path.encode() + b'\0'
        fields = [len(out) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(name), 0]
        out.extend(b'070701' + b''.join(b'%08x' % n for n in fields) + name)
        out.extend(bytes(-len(out) % 4))
        out.extend(data)
        out.extend(bytes(-len(out) % 4))

    for path, data in files.items():
        if data is None:
            add(path, 0o040755, b'')
        else:
            add(path, 0o100755, data)
    add('TRAILER!!!', 0, b'')
    return bytes(out)


def read_program(path, package):
    try:
        with open(path, 'rb') as f:
            return f.read()
    except OSError as error:
        raise Unavailable(f'{path}: {error.strerror} ({package})') from error


def first_file_system(tree, programs, files, modules):
    modules = module_files(tree, modules)
    directories = ('bin', 'modules', 'proc', 'sys', 'dev', 'run')
    return archive({
        **{path: None for path in directories},
        'init': INIT.encode(),
        'bin/busybox': read_program('/bin/busybox', 'package busybox-static'),
        'modules/list': ''.join(f'{name}\n' for name in modules).encode(),
        **{f'modules/{name}': data for name, data in modules.items()},
        **{f'bin/{os.path.basename(path)}': read_program(path, 'not built')
           for path in programs},
        **files})


class Emulator:
    """What there is, and how it wants to be told to reconnect."""

    def __init__(self):
        self.path = (os.environ.get('QEMU_SYSTEM')
                     or shutil.which('qemu-system-x86_64'))
        if not self.path:
            raise Unavailable('no qemu-system-x86_64 (Debian package '
                              'qemu-system-x86)')
        said = subprocess.run([self.path, '--version'], capture_output=True,
                              text=True, check=True).stdout
        self.version = tuple(int(n) for n in
                             re.search(r'(\d+)\.(\d+)', said).groups())

    def reconnect(self):
        return 'reconnect-ms=100' if self.version >= (9, 2) else 'reconnect=1'


class Guest(Shell):
    """with Guest(vub_disks=[socket], ...) as guest: guest.sh('...')

    @vub_disks: sockets of vhost-user-blk exports, seen as /dev/vda, ...
    @disk_options: of the device, such as num-queues=2.
    @programs: static ones that the guest is to have.
    @files: {path: contents} of what else it is to have; None for a directory.
    @devices: the emulator's arguments for more of them.
    @threads: the emulator has a thread for each CPU.
    @modules: of the kernel, for its devices.
    @incoming: a socket on which it waits for another one to be migrated here,
    and is that from then on; it does not boot, nor answer before.
    self.monitor_path has its QMP.
    """

    def __init__(self, vub_disks=(), disk_options='', programs=(), cpus=2,
                 mem_mib=192, boot_timeout=300, incoming=None, files=None,
                 devices=(), threads=True, modules=MODULES):
        super().__init__()
        self.emulator = Emulator()
        self.tree = unpacked_kernel()
        self.vub_disks = vub_disks
        self.disk_options = disk_options
        self.programs = programs
        self.cpus = cpus
        self.mem_mib = mem_mib
        self.boot_timeout = boot_timeout
        self.incoming = incoming
        self.files = files or {}
        self.devices = devices
        self.threads = threads
        self.modules = modules
        self.run_dir = None
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, failed, *_exc):
        if not failed and self.process and self.process.poll() is None:
            self.stop()
        self.kill()

    @property
    def monitor_path(self):
        return f'{self.run_dir}/monitor'

    def arguments(self, kernel, initrd):
        args = [self.emulator.path, '-nodefaults', '-display', 'none',
                '-no-reboot', '-accel',
                f'tcg,thread={"multi" if self.threads else "single"}',
                '-machine', 'pc,memory-backend=mem', '-cpu', CPU,
                '-smp', str(self.cpus), '-m', str(self.mem_mib), '-object',
                f'memory-backend-memfd,id=mem,size={self.mem_mib}M,share=on',
                '-kernel', kernel, '-initrd', initrd,
                '-append', 'console=ttyS0 panic=-1 mitigations=off',
                '-chardev', f'file,id=console,path={self.run_dir}/console',
                '-serial', 'chardev:console',
                '-chardev', 'stdio,id=line,signal=off',
                '-serial', 'chardev:line',
                '-qmp', f'unix:{self.monitor_path},server=on,wait=off',
                *self.devices]
        if self.incoming:
            args += ['-incoming', f'unix:{self.incoming}']
        for i, socket in enumerate(self.vub_disks):
            args += ['-chardev', f'socket,id=c{i},path={socket},'
                     + self.emulator.reconnect(), '-device',
                     f'vhost-user-blk-pci,chardev=c{i}{self.disk_options}']
        return args

    def start(self):
        """Boot, and wait until it answers; not if it is another one's."""
        self.run_dir = tempfile.mkdtemp(
            prefix='tcg-', dir=uml.scratch_dir(2 * self.mem_mib * MIB))
        kernel, = glob.glob(f'{self.tree}/boot/vmlinuz-*')
        initrd = f'{self.run_dir}/initrd'
        with open(initrd, 'wb') as f:
            f.write(first_file_system(self.tree, self.programs,
                                      self.files, self.modules))
        with open(f'{self.run_dir}/stderr', 'wb') as said:
            self.process = subprocess.Popen(
                self.arguments(kernel, initrd), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=said, bufsize=0,
                preexec_fn=opus.die_with_parent)
        self.command_fd = self.process.stdin.fileno()
        self.output_fd = self.process.stdout.fileno()
        if not self.incoming:
            self.finish(self.boot_timeout)

    def line_for(self, script):
        text = base64.b64encode(script.encode()).decode()
        assert len(text) < MAX_LINE, 'too long for a serial line'
        return f'{self.commands} {text}'

    def qmp(self, name, **arguments):
        """A command of the emulator's monitor."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self.monitor_path)
            with line.makefile('rw', encoding='utf-8') as monitor:
                for command, given in (('qmp_capabilities', {}),
                                       (name, arguments)):
                    monitor.write(json.dumps({'execute': command,
                                              'arguments': given}) + '\n')
                    monitor.flush()
                    answer = {}
                    while not {'return', 'error'} & answer.keys():
                        answer = json.loads(monitor.readline())
                    assert 'return' in answer, answer

    def read_text(self, name):
        with open(f'{self.run_dir}/{name}', encoding='utf-8',
                  errors='replace') as f:
            return f.read()

    def console(self):
        return self.read_text('console')

    def console_tail(self, lines=20):
        said = self.console() + self.read_text('stderr')[-2000:]
        return '\n'.join(said.strip().splitlines()[-lines:])

    def stop(self, timeout=120):
        """Orderly power-off."""
        self.send('off')
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise GuestError('the guest does not power off:\n'
                             + self.console_tail()) from error

    def kill(self):
        """Power cut; also frees what an ended guest left behind."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None
        if self.run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)
            self.run_dir = None
