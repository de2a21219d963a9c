# SPDX-License-Identifier: GPL-2.0-or-later
"""A user-mode Linux guest on the host's own root directory.

Owns: the guest's processes, its private directory and its two consoles.
Must not know: md, QEMU, what is tested.

The kernel's messages go to a file; the first serial line carries commands in
and their output out.  The whole guest is one process group, which a warden
ends when this process closes it, or dies.
"""
import glob
import mmap
import os
import re
import shlex
import shutil
import subprocess
import tempfile

# GuestTimeout for those who use guests.
from shell import GuestError, GuestTimeout, Shell, Unavailable

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1 << 20

# A guest is many processes, some of which outlive its first one.  This one
# ends them all as soon as its input ends, be it that the launcher closed it
# or that the launcher is no more.
WARDEN = 'cat > /dev/null; kill -s KILL -- "-$1"; rm -rf "$2"'

# Everything the tests of md ask for.
MD_MODULES = ('loop', 'raid0', 'raid1', 'raid10', 'raid456')

# The device number of virtio's block devices.
VIRTIO_BLOCK = 2


def find_kernel(kernel=None, modules=None):
    """(path of linux.uml, directory of its modules); by default the
    machine's own, or what the environment names."""
    kernel = (kernel or os.environ.get('LINUX_UML')
              or shutil.which('linux.uml'))
    if not kernel:
        raise Unavailable('no linux.uml (Debian package user-mode-linux)')
    try:
        release = subprocess.run([kernel, '--version'], capture_output=True,
                                 text=True, timeout=30, check=False).stdout
    except OSError as error:
        raise Unavailable(f'{kernel}: {error.strerror}') from error
    root = modules or os.environ.get('UML_MODULES', '/usr/lib/uml/modules')
    module_dir = os.path.join(root, release.strip())
    if not os.path.isfile(os.path.join(module_dir, 'modules.dep')):
        found = glob.glob(os.path.join(root, '*', 'modules.dep'))
        raise Unavailable(f'no modules of kernel {release.strip()}: '
                          f'{found or root}')
    return kernel, module_dir


def release(kernel):
    """Of what find_kernel() returned, as text."""
    return os.path.basename(kernel[1])


def version(kernel):
    """Likewise, (major, minor)."""
    return tuple(int(n) for n in re.findall(r'\d+', release(kernel))[:2])


def allows_exec(directory):
    try:
        with tempfile.TemporaryFile(dir=directory) as f:
            f.truncate(mmap.PAGESIZE)
            mmap.mmap(f.fileno(), mmap.PAGESIZE, mmap.MAP_SHARED,
                      mmap.PROT_READ | mmap.PROT_EXEC).close()
        return True
    except OSError:
        return False


def scratch_dir(need_bytes, executable=False):
    """A directory for @need_bytes, on tmpfs if there is one large enough."""
    for path in (os.environ.get('TMPDIR'), '/dev/shm', '/tmp', '/var/tmp'):
        if not path or not os.path.isdir(path):
            continue
        stat = os.statvfs(path)
        if stat.f_bavail * stat.f_frsize < need_bytes:
            continue
        if not executable or allows_exec(path):
            return path
    raise Unavailable(f'no scratch directory with {need_bytes >> 20} MiB free')


class Guest(Shell):
    """with Guest(rw_dirs=[dir]) as guest: guest.sh('mdadm ...')

    @disks are files, seen as /dev/ubda, ...; @vub_disks are the sockets of
    vhost-user-blk exports, seen as /dev/vda, ... with the module virtio_blk.
    @kernel is what find_kernel() returns; programs are looked for in @path
    first.
    """

    def __init__(self, rw_dirs=(), disks=(), vub_disks=(), modules=MD_MODULES,
                 mem_mib=384, boot_timeout=300, kernel=None, path=None):
        super().__init__()
        self.kernel, self.module_dir = kernel or find_kernel()
        self.path = path
        self.rw_dirs = [os.path.realpath(d) for d in rw_dirs]
        self.disks = disks
        self.vub_disks = vub_disks
        self.modules = modules
        self.mem_mib = mem_mib
        self.boot_timeout = boot_timeout
        self.run_dir = None
        self.process = None
        self.warden = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_exc):
        if self.alive():
            self.stop()
        self.kill()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kernel_args(self, command_fd, output_fd):
        args = [self.kernel, f'mem={self.mem_mib}M', 'root=/dev/root',
                'rootfstype=hostfs', 'rootflags=/', 'ro',
                f'init={HERE}/uml-init', f'UML_RUN={self.run_dir}',
                f'uml_dir={self.run_dir}', 'umid=guest', 'con=null',
                'con0=null,fd:1', 'ssl=null',
                f'ssl0=fd:{command_fd},fd:{output_fd}', 'panic=-1']
        args += [f'ubd{i}={disk}' for i, disk in enumerate(self.disks)]
        return args + [f'virtio_uml.device={socket}:{VIRTIO_BLOCK}'
                       for socket in self.vub_disks]

    def start(self):
        """Boot, and wait until it answers."""
        memory_dir = scratch_dir(self.mem_mib * MIB, executable=True)
        self.run_dir = tempfile.mkdtemp(prefix='uml-', dir=memory_dir)
        with open(f'{self.run_dir}/env', 'w', encoding='utf-8') as f:
            f.write(f'rw_dirs=({shlex.join(self.rw_dirs)})\n'
                    f'module_dir={shlex.quote(self.module_dir)}\n'
                    f'modules=({shlex.join(self.modules)})\n')
            if self.path:
                f.write(f'PATH={shlex.quote(self.path)}:$PATH\n')
        command_in, command_out = os.pipe()
        output_in, output_out = os.pipe()
        with open(self.console_path(), 'wb') as console:
            self.process = subprocess.Popen(
                self.kernel_args(command_in, output_out),
                stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                pass_fds=(command_in, output_out), start_new_session=True,
                env={'PATH': os.environ['PATH'], 'TMPDIR': memory_dir})
        self.warden = subprocess.Popen(
            ['/bin/sh', '-c', WARDEN, 'warden', str(self.process.pid),
             self.run_dir], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True)
        os.close(command_in)
        os.close(output_out)
        self.command_fd, self.output_fd = command_out, output_in
        try:
            self.finish(self.boot_timeout)
        except GuestError as error:
            if 'Linux version' not in self.console():
                raise Unavailable('user-mode Linux does not start: '
                                  + self.console_tail(1)) from error
            raise

    def console_path(self):
        return f'{self.run_dir}/console'

    def console(self):
        with open(self.console_path(), encoding='utf-8',
                  errors='replace') as f:
            return f.read()

    def console_tail(self, lines=20):
        return '\n'.join(self.console().strip().splitlines()[-lines:])

    def line_for(self, script):
        with open(f'{self.run_dir}/{self.commands}.sh', 'w',
                  encoding='utf-8') as f:
            f.write(script)
        return self.commands

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
        if self.warden is not None:
            self.warden.stdin.close()
            self.warden.wait()
            self.process.wait()
            os.close(self.command_fd)
            os.close(self.output_fd)
            self.warden = None
        if self.run_dir:
            shutil.rmtree(self.run_dir, ignore_errors=True)
            self.run_dir = None
