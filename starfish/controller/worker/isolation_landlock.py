"""Landlock by its three system calls: from now on a process and all that it starts reach only the files that were named."""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from starfish.controller.worker.isolation_system import syscall

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION, PATH_BENEATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_DIR, MAKE_REG, REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in (7, 8, 13, 14, 15))
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
"""Neither links nor pipes nor sockets: the daemon reads what is in the folder, and must not be led out of it."""

FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights on files a version of Landlock knows."""
TCP, SCOPES = 0b11, 0b11
"""bind and connect; abstract Unix sockets and signals."""
WITH_TRUNCATE, WITH_TCP, WITH_SCOPES = 3, 4, 6


def version() -> int:
    """Which Landlock the system has. Raises Unavailable."""
    return _landlock(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION))


def restrict(rules: Iterable[tuple[Path, int]]) -> int:
    """Reach only these paths, each with its rights, and no TCP; returns the version. Raises Unavailable."""
    found = version()
    known = (1 << FILE_RIGHTS.get(found, 16)) - 1
    handled = [known] + [TCP] * (found >= WITH_TCP) + [SCOPES] * (found >= WITH_SCOPES)
    attributes = struct.pack(f"={len(handled)}Q", *handled)
    ruleset = _landlock(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path, rights in rules:
            _allow(ruleset, path, rights & known)
        _landlock(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
    return found


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        _landlock(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _landlock(number: int, *arguments: object) -> int:
    return syscall(number, *arguments, refused="the system takes no Landlock rules")
