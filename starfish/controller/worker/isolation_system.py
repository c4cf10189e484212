"""The C library, as far as isolation calls it; what the system refuses is an Unavailable that says why."""

import ctypes
import errno
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22


class Unavailable(Exception):
    """The system has no such means, or forbids it; the text says which and why."""


def prctl(what: int, *arguments: object, refused: str) -> None:
    """Raises Unavailable, with the sentence `refused`."""
    if _libc().prctl(ctypes.c_int(what), *arguments):
        raise Unavailable(f"{refused} ({_reason()})")


def syscall(number: int, *arguments: object, refused: str) -> int:
    """Raises Unavailable, with the sentence `refused`."""
    libc = _libc()
    libc.syscall.restype = ctypes.c_long
    answer = int(libc.syscall(ctypes.c_long(number), *arguments))
    if answer < 0:
        raise Unavailable(f"{refused} ({_reason()})")
    return answer


def no_new_privileges() -> None:
    """No program that is started gains rights by its owner's. Raises Unavailable."""
    one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)
    prctl(PR_SET_NO_NEW_PRIVS, one, none, none, none, refused="the system does not let a process renounce new privileges")


def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise Unavailable(f"Starfish isolates tasks on Linux alone, and this is {sys.platform}")
    return ctypes.CDLL(None, use_errno=True)


def _reason() -> str:
    return errno.errorcode.get(ctypes.get_errno(), "no reason given")
