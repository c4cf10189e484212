"""The daemon's handle on a worker: one warm process a batch, asked a line at a time, ended as a whole tree."""

import json
import os
import selectors
import shutil
import subprocess
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from starfish.controller.worker.environment import PYTHON, READS, environment, temporary
from starfish.controller.worker.tracing import MARK, limit_borne, limit_of, limits_below
from starfish.controller.worker.tracing import mark_of as mark_of

COMMAND = (*PYTHON, "starfish.controller.worker.main")
LOOK_S = 0.2


class WorkerDied(Exception):
    """The worker ended in the middle of a call, and nobody had asked it to; or had to be, because it answered nonsense."""


class WorkerEnded(Exception):
    """The worker was ended by this daemon; the call is not to be repeated."""


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error that a person can mend, as the worker described it; `site` is the uid that a bad update came from."""

    kind: str
    code: str
    public: str
    private: str
    variable: str | None
    site: str | None


class WorkerRefused(Exception):
    """The worker's answer was a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.public)
        self.refusal = refusal


class Worker:
    """One process and its pipes, which reads no file outside `work` but `reads`. `call` is for one thread; `end` may come from any."""

    def __init__(self, work: Path, reads: tuple[Path, ...] = (), *, command: tuple[str, ...] = COMMAND) -> None:
        self.reads = reads
        self._temporary = temporary(work)
        self._ended = False
        self._ending, self._calling = threading.Lock(), threading.RLock()
        self._calls = 0
        self.mark = mark_of(work)
        reading, writing = os.pipe()
        own = {"STARFISH_WORKER_FD": str(writing), READS: json.dumps([str(path.expanduser().absolute()) for path in reads])}
        with open(work / "worker.log", "ab", opener=_for_the_owner) as log:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=(writing,),
                    env=environment(work) | own,
                    cwd=work,
                    start_new_session=True,
                )
            finally:
                os.close(writing)
        self._answers = os.fdopen(reading, "rb", buffering=0)
        self.pid = self._process.pid
        self.started = started_at(self.pid)

    def call(self, name: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """One step of the worker. Raises WorkerRefused, WorkerDied, WorkerEnded."""
        self._calls += 1
        request = json.dumps({"id": self._calls, "call": name, "args": dict(args)}) + "\n"
        with self._calling:
            line = self._exchange(request.encode())
            if not line.endswith(b"\n"):
                if self._ended:
                    raise WorkerEnded
                self.end()
                raise WorkerDied(f"the worker ended with status {self._process.returncode} during '{name}'")
        answer = _answer(line, self._calls)
        if answer is None:
            self.end()
            raise WorkerDied(f"the worker's answer to '{name}' is none of its protocol")
        if isinstance(answer, Refusal):
            raise WorkerRefused(answer)
        return answer

    def end(self) -> None:
        """Kill it and all that it has started. May be repeated."""
        self._ended = True
        with self._ending:
            end_tree(self.pid, self.started, self.mark)
            self._process.wait()
            shutil.rmtree(self._temporary, ignore_errors=True)
        with self._calling, suppress(BrokenPipeError):  # a call that was under way has seen the end
            self._answers.close()
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _exchange(self, request: bytes) -> bytes:
        """The answer's line; not a whole one where the worker has ended, though a child of its may still hold the pipe open."""
        line = b""
        with suppress(BrokenPipeError, ValueError), selectors.DefaultSelector() as answers:
            assert self._process.stdin is not None
            self._process.stdin.write(request)
            self._process.stdin.flush()
            answers.register(self._answers, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if answers.select(LOOK_S):
                    part = self._answers.read(1 << 16)
                    if not part:
                        break
                    line += part
                elif self._process.poll() is not None:
                    break
        return line


def _answer(line: bytes, number: int) -> dict[str, Any] | Refusal | None:
    """The result or the refusal in a line; None where it is neither, for a task may have written into the pipe."""
    try:
        raw = json.loads(line)
        if raw["id"] == number:
            return Refusal(**raw["error"]) if "error" in raw else dict(raw["ok"])
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def started_at(pid: int) -> float:
    """When a process began, by which a pid that was given anew is told apart; 0 where there is none."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def end_tree(pid: int, started: float, mark: str) -> None:
    """Kill the process (if it is still the one that began then), its descendants, and whoever carries the mark."""
    doomed: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        if abs(process.create_time() - started) < 0.5:
            doomed = [process, *process.children(recursive=True)]
    _kill(doomed)
    while marked := [process for process in psutil.process_iter() if _mark(process) == mark or _bears(process, {limit_of(mark)})]:
        _kill(marked)


def end_marked(folder: Path) -> None:
    """Kill whoever works for a batch below `folder`: what a daemon that was killed has left behind."""
    within, limits = mark_of(folder) + os.sep, limits_below(folder)
    while marked := [process for process in psutil.process_iter() if _mark(process).startswith(within) or _bears(process, limits)]:
        _kill(marked)


def _mark(process: psutil.Process) -> str:
    try:
        return process.environ().get(MARK, "")
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
        return ""


def _bears(process: psutil.Process, limits: set[int]) -> bool:
    """Whether it carries one of the limits and lives; one that has ended may carry it until its parent looks."""
    with suppress(psutil.NoSuchProcess):
        return limit_borne(process.pid) in limits and process.status() != psutil.STATUS_ZOMBIE
    return False


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
