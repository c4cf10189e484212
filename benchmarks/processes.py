"""Processes of a benchmark: started in a folder of their own with a log, measured by /proc, ended by their ids."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
STARFISH = str(Path(sys.executable).with_name("starfish"))
SAMPLER = Path(__file__).parent / "sampler"
TAIL_LINES = 15
END_S = 10.0


class BenchmarkFailed(Exception):
    """Its text says what went wrong, with the last lines of the log that tells."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the repository's disk, where a write costs what it costs in production; removed at the end."""
    parent = ROOT / "var"
    parent.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def started(command: Sequence[str], log: Path, environment: Mapping[str, str], running: ExitStack) -> subprocess.Popen[bytes]:
    """A process that `running` ends. It has a session of its own, so that Ctrl-C here reaches it in order, not at once."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    running.callback(ended, process)
    return process


def ended(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM; SIGKILL for whoever does not listen, and for all that it has left behind. May be repeated."""
    tree = family(process.pid)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for left in tree:
        if left.is_running():
            left.kill()


def family(pid: int) -> list[psutil.Process]:
    """A process and its descendants; none where it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def run(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """A command's stdout. Raises BenchmarkFailed."""
    done = subprocess.run(command, cwd=ROOT, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkFailed(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def tail(log: Path) -> str:
    """The end of a log, under its name."""
    if not log.exists():
        return f"(no {log.name})"
    lines = log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([f"-- the end of {log.name}:", *lines])


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """Memory of one process now (`VmRSS`), or the most that it has ever had (`VmHWM`); 0 where it has ended."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0.0


def cpu_seconds(pid: int) -> float:
    """User and system time of one process so far; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sampled(environment: Mapping[str, str], to: Path | None) -> dict[str, str]:
    """An environment whose Python processes write where their time goes to `to`, a folder; unchanged for None."""
    if to is None:
        return dict(environment)
    to.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, [str(SAMPLER), environment.get("PYTHONPATH", "")]))
    return {**environment, "PYTHONPATH": path, "STARFISH_SAMPLES": str(to)}


def end_on_sigterm() -> None:
    """As on Ctrl-C: what was started is ended, what was made is removed."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


def load() -> float:
    """The machine's load of the last minute: what else was going on."""
    return os.getloadavg()[0]


def until(deadline: float, what: str) -> None:
    """A short pause. Raises BenchmarkFailed once `deadline` (monotonic) has passed."""
    if time.monotonic() > deadline:
        raise BenchmarkFailed(what)
    time.sleep(0.1)
