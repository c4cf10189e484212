"""Where the system forbids a part of the isolation, the worker works and says so; the filter, on each processor that has one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from starfish.controller.worker.isolation import level
from starfish.controller.worker.isolation_seccomp import ALLOW, KILL, NOT_HERE, REFUSE, Instruction, program
from tests.support.forbidding import WITHOUT_FILTER, WITHOUT_LANDLOCK, under

LINUX = pytest.mark.skipif(sys.platform != "linux" or not level().complete, reason="this system can't shut a worker in, let alone half")
LEVEL = "from starfish.controller.worker.isolation import level; import dataclasses, json; print(json.dumps(dataclasses.asdict(level())))"


@LINUX
@pytest.mark.parametrize(
    ("forbidden", "filesystem", "network", "said"),
    [
        (WITHOUT_LANDLOCK, False, True, "Tasks can read what the daemon's user can read: the system takes no Landlock rules (ENOSYS)."),
        (WITHOUT_FILTER, True, False, "Tasks can use the network: the system takes no filter of system calls (EINVAL)."),
    ],
)
def test_what_the_system_forbids_is_said(forbidden: tuple[int, int, int], filesystem: bool, network: bool, said: str) -> None:
    done = subprocess.run(under(forbidden, "-c", LEVEL), capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"filesystem": filesystem, "network": network, "reasons": [said]}


@LINUX
def test_a_worker_that_can_t_be_shut_in_works_and_says_so(tmp_path: Path) -> None:
    from starfish.controller.worker.process import COMMAND, Worker, WorkerRefused

    worker = Worker(tmp_path, command=tuple(under(WITHOUT_LANDLOCK, *COMMAND[1:])))
    try:
        (tmp_path / "terms.json").write_text(json.dumps({"project": "p", "batch": 1, "tasks": [], "definition": {"variables": 5}}))
        with pytest.raises(WorkerRefused):
            worker.call("report", {"work": str(tmp_path), "site": "s", "site_name": "Here"})
    finally:
        worker.end()
    log = (tmp_path / "worker.log").read_text()
    assert f"worker {worker.pid} is not isolated: Tasks can read what the daemon's user can read" in log


def test_a_home_among_the_packages_is_no_place_for_one(tmp_path: Path) -> None:
    """What must be readable can't be kept from tasks."""
    folder = tmp_path / "venv" / "lib" / "home" / "batches"
    folder.mkdir(parents=True)
    code = f"import sys; sys.prefix = {str(tmp_path / 'venv')!r}; {CONFINE.format(work=str(folder / '1-1'))}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "not isolated: The site's home lies inside" in done.stdout


CONFINE = "from starfish.controller.worker.isolation import confine; from pathlib import Path; print(confine(Path({work!r})))"


def decide(instructions: list[Instruction], architecture: int, number: int, *arguments: int) -> int:
    """What the kernel would make of a system call."""
    words = [number, architecture, 0, 0]
    for argument in (*arguments, *[0] * (6 - len(arguments))):
        words += [argument & 0xFFFF_FFFF, argument >> 32]
    at, value = 0, 0
    while True:
        code, true, false, operand = instructions[at]
        over = {True: true, False: false}
        at += 1
        match code:
            case 0x20:
                value = words[operand // 4]
            case 0x54:
                value &= operand
            case 0x06:
                return operand
            case _:
                held = over[{0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]]
                at = len(instructions) - 1 if held == -1 else at + held


@pytest.mark.parametrize(
    ("machine", "architecture", "numbers"),
    [
        (
            "x86_64",
            0xC000003E,
            {"socket": 41, "socketpair": 53, "clone": 56, "clone3": 435, "prlimit": 302, "ptrace": 101, "read": 0, "chmod": 90},
        ),
        (
            "aarch64",
            0xC00000B7,
            {"socket": 198, "socketpair": 199, "clone": 220, "clone3": 435, "prlimit": 261, "ptrace": 117, "read": 63, "chmod": 53},
        ),
    ],
)
def test_the_filter_refuses_what_it_should(machine: str, architecture: int, numbers: dict[str, int]) -> None:
    instructions = program(machine)
    assert len(instructions) < 255, "a jump is a byte"

    def verdict(name: str, *arguments: int) -> int:
        return decide(instructions, architecture, numbers[name], *arguments)

    assert {verdict(name, 1, 1) for name in ("socket", "ptrace", "chmod")} == {REFUSE}
    assert verdict("read") == ALLOW
    assert [verdict("socketpair", *of) for of in ((1, 1), (1, 1 | 0o2000000), (1, 2), (1, 5), (2, 1))] == [
        ALLOW,
        ALLOW,
        REFUSE,
        REFUSE,
        REFUSE,
    ]
    assert [verdict("clone", flags) for flags in (0x3D0F00, 17, 0x10000000 | 17, 0x40000000)] == [ALLOW, ALLOW, REFUSE, REFUSE]
    assert verdict("clone3") == NOT_HERE
    assert [verdict("prlimit", 0, 7, new) for new in (0, 1, 1 << 32)] == [ALLOW, REFUSE, REFUSE]
    assert decide(instructions, 0x40000003, 1) == KILL, "32-bit calls have other numbers"
    if machine == "x86_64":
        assert decide(instructions, architecture, 0x40000000 | 41) == REFUSE
