"""A task's module that does what a task must not, as soon as it is imported, and writes down how each attempt ended.

The worker imports it as an installed task; run as a script it attempts the same with nothing in its way.
What it attempts is in `attempts.json` in its folder: names (or which not), and where the things are that it is after.
"""

import asyncio
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

PTRACE_SEIZE, IO_URING_SETUP = 0x4206, 425
LIBC = ctypes.CDLL(None, use_errno=True)
SHED = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nopen('survivor', 'w').write(str(os.getpid()))\ntime.sleep(600)"


def system(name: str, *arguments: Any) -> int:
    """A function of the C library. Raises OSError."""
    LIBC[name].restype = ctypes.c_long
    answer = int(LIBC[name](*arguments))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer


def child(code: str, *arguments: str) -> str:
    """What a program prints that the task has started; an error of its own is this one's, too. Raises PermissionError."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    if "PermissionError" in done.stderr:
        raise PermissionError(13, "a child was refused")
    assert done.returncode == 0, done.stderr
    return done.stdout


def forked(work: Callable[[], Any]) -> str:
    pid = os.fork()
    if not pid:
        try:
            work()
        except PermissionError:
            os._exit(13)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 13:
        raise PermissionError(13, "a fork was refused")
    return "done"


def memory_of(pid: int) -> str:
    """Where it is known to a program that was forked from the same: the address of something of this one's own will do."""
    here, into = ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
    local, remote = ((ctypes.c_void_p * 2)(ctypes.addressof(it), 8) for it in (into, here))
    try:
        return str(system("process_vm_readv", pid, local, ctypes.c_ulong(1), remote, ctypes.c_ulong(1), ctypes.c_ulong(0)))
    except OSError as error:
        if error.errno == errno.EFAULT:  # nothing is there, but it was looked
            return "looked"
        raise


def survive() -> str:
    """A grandchild in a session of its own, without the mark in its environment."""
    subprocess.run([sys.executable, "-c", SHED], env={}, check=True)
    return "done"


def written() -> str:
    with open("program", "w", opener=lambda path, flags: os.open(path, flags, mode=0o755)) as file:
        file.write("#!/bin/sh\necho ran\n")
    return subprocess.run(["./program"], capture_output=True, text=True, check=True).stdout


def listen() -> str:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
    return "done"


async def loop() -> str:
    process = await asyncio.create_subprocess_exec("/bin/true")
    return str(await process.wait())


def threaded() -> str:
    said: list[str] = []
    thread = threading.Thread(target=lambda: said.append(os.urandom(1).hex()))
    thread.start()
    thread.join()
    return said[0]


def attempts(at: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Every attempt by its name; `at` says where things are."""
    token, home, daemon = at["token"], at["home"], at["daemon"]
    return {
        "read the token": lambda: Path(token).read_text(),
        "read a key": lambda: Path(home, "keys", "signing").read_text(),
        "list the home": lambda: os.listdir(home),
        "read another batch": lambda: Path(home, "batches", "1-2", "rows.payload").read_bytes(),
        "read accounts": lambda: Path("/etc/shadow").read_text(),
        "read by a child": lambda: child("import sys; print(open(sys.argv[1]).read())", token),
        "read by a fork": lambda: forked(lambda: Path(token).read_text()),
        "read by way of a namespace": lambda: forked(lambda: system("unshare", 0x10000000 | 0x00020000)),
        "read with another root": lambda: forked(lambda: os.chroot(home)),
        "hear of files in the home": lambda: system("inotify_add_watch", system("inotify_init1", 0), home.encode(), 0xFFF),
        "link to the token by name": lambda: os.symlink(token, "update"),
        "link to the token": lambda: os.link(token, "update.hard"),
        "make a pipe for the daemon": lambda: os.mkfifo("model"),
        "write into the home": lambda: Path(home, "policy.yaml").write_text("preset: open"),
        "write elsewhere": lambda: Path(at["elsewhere"], "found").write_text("rows"),
        "write among the packages": lambda: Path(at["packages"], "planted.py").write_text("rows"),
        "move a file out": lambda: (Path("mine").touch(), os.rename("mine", Path(home, "mine"))),
        "shorten the token": lambda: os.truncate(token, 1),
        "open the token to others": lambda: os.chmod(token, 0o666),
        "delete the token": lambda: os.unlink(token),
        "read the daemon's environment": lambda: Path(f"/proc/{daemon}/environ").read_bytes(),
        "read the daemon's memory": lambda: memory_of(daemon),
        "trace the daemon": lambda: system("ptrace", PTRACE_SEIZE, daemon, 0, 0),
        "signal the daemon": lambda: os.kill(daemon, signal.SIGCONT),
        "limit the daemon": lambda: resource.prlimit(daemon, resource.RLIMIT_CORE, (0, 0)),
        "shed the mark": lambda: resource.setrlimit(resource.RLIMIT_RTTIME, (1, 1)),
        "connect": lambda: socket.create_connection(("127.0.0.1", at["port"])).close(),
        "listen": listen,
        "send a datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"rows", ("127.0.0.1", at["port"])),
        "connect over IPv6": lambda: socket.socket(socket.AF_INET6).close(),
        "open a Unix socket": lambda: socket.socket(socket.AF_UNIX).connect(at["unix"]),
        "ask the kernel": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
        "send by a pair": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        "connect by a child": lambda: child(
            "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))", str(at["port"])
        ),
        "resolve a name": lambda: socket.getaddrinfo("localhost", 80),
        "go around the filter": lambda: system("syscall", IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
        "share memory": lambda: system("shmctl", system("shmget", 0, 4096, 0o1600), 0, 0),
        "run what it has written": written,
        "survive": survive,
        # What a task may do.
        "read the source": lambda: Path(at["source"]).read_text(),
        "write in its folder": lambda: Path("made").write_text("x"),
        "make a folder and move into it": lambda: (os.makedirs("a/b", exist_ok=True), os.replace("made", "a/b/made")),
        "write a temporary file": lambda: tempfile.NamedTemporaryFile().name,
        "read the clock's zone": lambda: Path("/usr/share/zoneinfo").exists() and str(__import__("zoneinfo").ZoneInfo("Europe/Brussels")),
        "run a loop": lambda: asyncio.run(loop()),
        "start a thread": threaded,
        "run a child": lambda: child("import numpy; print(numpy.ones(2).sum())"),
        "ask where it is confined": lambda: child("print(open('/dev/null').read() == '')"),
    }


def outcome(attempt: Callable[[], Any]) -> str:
    try:
        return f"done: {attempt()!r}"
    except (OSError, AssertionError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def main() -> None:
    said = json.loads(Path("attempts.json").read_text())
    every = attempts(said["at"])
    Path("outcomes.json").write_text(
        json.dumps({name: outcome(every[name]) for name in said["names"] or [name for name in every if name not in said["without"]]})
    )


main()

if __name__ != "__main__":
    from starfish.tasks.library.echo import Echo

    class Hostile(Echo):
        """An ordinary task, for whoever looks no closer."""

        name = "Hostile"
