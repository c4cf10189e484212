"""Programs under a system that forbids one system call, as an old kernel or a strict container does; for what isolation says then."""

import os
import sys

from starfish.controller.worker.isolation_landlock import CREATE_RULESET

UNDER = """
import os, sys
from starfish.controller.worker.isolation_seccomp import ALLOW, EQUAL, LOAD, RETURN, install
from starfish.controller.worker.isolation_system import no_new_privileges
no_new_privileges()
number, first, refusal = map(int, sys.argv[1:4])
checks = [(LOAD, 0, 0, 16), (EQUAL, 0, 1, first)] if first else []
install([(LOAD, 0, 0, 0), (EQUAL, 0, len(checks) + 1, number), *checks, (RETURN, 0, 0, 0x50000 | refusal), (RETURN, 0, 0, ALLOW)])
os.execv(sys.executable, [sys.executable, *sys.argv[4:]])
"""
PRCTL, PR_SET_SECCOMP, ENOSYS, EINVAL = {"x86_64": 157, "aarch64": 167}.get(os.uname().machine, 0), 22, 38, 22
WITHOUT_LANDLOCK, WITHOUT_FILTER = (CREATE_RULESET, 0, ENOSYS), (PRCTL, PR_SET_SECCOMP, EINVAL)
"""A system call's number, its first argument (0: any), and how it is refused."""


def under(forbidden: tuple[int, int, int], *command: str) -> list[str]:
    """`python *command`, where that system call is refused."""
    return [sys.executable, "-c", UNDER, *map(str, forbidden), *command]
