"""A filter of system calls (seccomp): no network, no hold on other processes, no new modes or owners of files; inherited by every child.

Written by hand: it is one list, one jump each, and libseccomp would have to be there on every hospital's machine (ADR 20).
"""

import ctypes
import errno
import platform
import struct

from starfish.controller.worker.isolation_system import PR_SET_SECCOMP, Unavailable, prctl

AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SYSCALLS: dict[str, tuple[int | None, int | None]] = {
    # the network, Unix sockets by name among it
    "socket": (41, 198),
    # other processes, and limits by which a process of the worker's is known
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "perf_event_open": (298, 241),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "setrlimit": (160, 164),
    # memory and queues shared with others
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # ways around a filter, and keys that the kernel holds
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # other views of the file system
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_by_handle_at": (304, 265),
    "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262),
    # modes, owners, attributes and lengths by path, which Landlock leaves to the file's owner
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "setxattrat": (463, 463),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "truncate": (76, 45),
    # the machine, where the worker runs as root
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
}
"""Refused whatever their arguments: the numbers on x86_64 and on aarch64."""
CLONE, CLONE3, SOCKETPAIR, PRLIMIT = (56, 220), (435, 435), (53, 199), (302, 261)
X32_CALLS = 0x4000_0000
NAMESPACES = 0x7E02_0000
"""The flags of clone that ask for namespaces: mount, cgroup, uts, ipc, user, pid, net."""
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
ALLOW, KILL, REFUSE, NOT_HERE = 0x7FFF_0000, 0x8000_0000, 0x0005_0000 | errno.EACCES, 0x0005_0000 | errno.ENOSYS
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
FILTER_MODE = 2
DENY = -1
"""A jump to the refusal, which is the last instruction."""

Instruction = tuple[int, int, int, int]
"""Code, jump where true, jump where false, operand; as the kernel's sock_filter."""


def filter_calls() -> None:
    """From now on, for this process and all that it starts. New privileges must be renounced. Raises Unavailable."""
    install(program(platform.machine()))


def install(instructions: list[Instruction]) -> None:
    """Let every system call go through this program. Raises Unavailable."""
    kept = ctypes.create_string_buffer(_assembled(instructions))
    wanted = struct.pack("@HP", len(instructions), ctypes.addressof(kept))
    prctl(PR_SET_SECCOMP, ctypes.c_ulong(FILTER_MODE), wanted, refused="the system takes no filter of system calls")


def program(machine: str) -> list[Instruction]:
    """The filter for a processor. Raises Unavailable."""
    if machine not in AUDIT_ARCHITECTURE:
        raise Unavailable(f"Starfish has no filter of system calls for the processor {machine}")
    column = list(AUDIT_ARCHITECTURE).index(machine)
    refused = [numbers[column] for numbers in SYSCALLS.values()]
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, AUDIT_ARCHITECTURE[machine]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        *([(AT_LEAST, DENY, 0, X32_CALLS)] if machine == "x86_64" else []),
        *((EQUAL, DENY, 0, number) for number in refused if number is not None),
        (EQUAL, 0, 1, CLONE3[column]),
        (RETURN, 0, 0, NOT_HERE),  # the C library falls back to clone, whose flags can be seen
        *_where(CLONE[column], [(LOAD, 0, 0, _low(0)), (ANY_BIT, DENY, 0, NAMESPACES)]),
        # A pair of connected streams reaches nobody but the worker's own children.
        *_where(
            SOCKETPAIR[column],
            [(LOAD, 0, 0, _low(0)), (EQUAL, 0, DENY, 1), (LOAD, 0, 0, _low(1)), (AND, 0, 0, 0xF), (EQUAL, 0, DENY, 1)],
        ),
        *_where(PRLIMIT[column], [(LOAD, 0, 0, _low(2)), (EQUAL, 0, DENY, 0), (LOAD, 0, 0, _low(2) + 4), (EQUAL, 0, DENY, 0)]),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, REFUSE),
    ]


def _where(number: int, checks: list[Instruction]) -> list[Instruction]:
    """For one system call: the checks, then leave to do it."""
    return [(EQUAL, 0, len(checks) + 1, number), *checks, (RETURN, 0, 0, ALLOW)]


def _low(argument: int) -> int:
    """Where the lower half of an argument is."""
    return ARGUMENTS + 8 * argument


def _assembled(instructions: list[Instruction]) -> bytes:
    last = len(instructions) - 1

    def jump(at: int, by: int) -> int:
        return last - at - 1 if by == DENY else by

    return b"".join(
        struct.pack("=HBBI", code, jump(at, true), jump(at, false), operand) for at, (code, true, false, operand) in enumerate(instructions)
    )
