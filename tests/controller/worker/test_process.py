"""The worker's handle, with real processes: answers, refusals, deaths, and an end that leaves nobody behind."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from starfish.controller.worker.environment import INHERITED, ONE_THREAD, READS
from starfish.controller.worker.process import Worker, WorkerDied, WorkerEnded, WorkerRefused, end_marked, end_tree, mark_of
from starfish.controller.worker.tracing import MARK

CHILD = (sys.executable, str(Path(__file__).with_name("child.py")))
ALLOWED = {*INHERITED, *ONE_THREAD, "PYTHONHASHSEED", "PYTHONUNBUFFERED", "TMPDIR", MARK, READS, "STARFISH_WORKER_FD"}
SLEEPER = (sys.executable, "-c", "import time\nwhile True: time.sleep(60)")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "batches" / "1-1"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def worker(work: Path) -> Iterator[Worker]:
    made = Worker(work, command=CHILD)
    yield made
    made.end()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_one_process_answers_call_after_call(worker: Worker) -> None:
    assert worker.call("echo", {"a": "ä\n"}) == {"a": "ä\n"}
    big = "x" * 3_000_000
    assert worker.call("echo", {"big": big}) == {"big": big}
    assert worker.pid == worker._process.pid


def test_what_a_task_prints_is_in_its_log_even_when_it_is_killed(worker: Worker, work: Path) -> None:
    worker.call("print", {})
    assert worker.call("echo", {"b": 2}) == {"b": 2}
    worker.end()
    assert "noise on stdout" in (work / "worker.log").read_text()


def test_a_refusal_comes_back_with_its_private_part(worker: Worker) -> None:
    with pytest.raises(WorkerRefused) as raised:
        worker.call("refuse", {})
    assert (raised.value.refusal.public, raised.value.refusal.private, raised.value.refusal.variable) == ("p", "row 3", "age")
    assert worker.call("echo", {}) == {}, "a refusal leaves the worker warm"


def test_it_is_given_no_secret(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STARFISH_HOME", "/somewhere")
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    worker = Worker(work, command=CHILD)
    try:
        environment = worker.call("environment", {})
    finally:
        worker.end()
    assert "secret" not in environment.values()
    assert "STARFISH_HOME" not in environment
    assert environment["OPENBLAS_NUM_THREADS"] == environment["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize("call", ["die", "raise", "leave a child with the pipe"])
def test_a_death_in_the_middle_of_a_call_is_told(worker: Worker, call: str) -> None:
    """Also where a child of the worker's outlives it and holds the pipe open."""
    with pytest.raises(WorkerDied, match=call):
        worker.call(call, {})


def test_a_death_between_two_calls_is_told_by_the_next(worker: Worker) -> None:
    worker.call("echo", {})
    psutil.Process(worker.pid).kill()
    with pytest.raises(WorkerDied):
        worker.call("echo", {})


def test_an_end_from_another_thread_interrupts_the_call_at_once(worker: Worker, work: Path) -> None:
    raised: list[BaseException] = []

    def train() -> None:
        try:
            worker.call("hang", {"said": "training"})
        except WorkerEnded as error:
            raised.append(error)

    training = threading.Thread(target=train)
    training.start()
    assert soon(lambda: "training" in (work / "worker.log").read_text())
    began = time.monotonic()
    worker.end()
    training.join(5)
    assert time.monotonic() - began < 2
    assert len(raised) == 1
    worker.end()


def test_the_end_takes_children_that_moved_to_a_session_of_their_own_and_orphans(worker: Worker) -> None:
    pids = [*worker.call("spawn", {})["pids"], *worker.call("orphan", {})["pids"]]
    assert not any(gone(pid) for pid in pids)
    worker.end()
    assert soon(lambda: all(gone(pid) for pid in [worker.pid, *pids]))


def test_what_a_killed_daemon_left_is_found_again_by_folder_alone(worker: Worker, work: Path, tmp_path: Path) -> None:
    orphan, *_ = worker.call("orphan", {})["pids"]
    bystander = subprocess.Popen(SLEEPER, env={**os.environ, "STARFISH_WORKER": str(tmp_path / "batches-of-another")})
    try:
        end_marked(work.parent)
        assert soon(lambda: gone(worker.pid) and gone(orphan))
        assert not gone(bystander.pid)
    finally:
        bystander.kill()
        bystander.wait()


def test_a_process_that_was_given_the_pid_anew_is_left_alone(work: Path) -> None:
    stranger = subprocess.Popen(SLEEPER)
    try:
        end_tree(stranger.pid, psutil.Process(stranger.pid).create_time() - 100, mark_of(work))
        assert not gone(stranger.pid)
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(
    "said",
    ["no JSON\n", "[]\n", "5\n", "{}\n", '{"id": 7, "ok": {}}\n', '{"id": 1, "ok": 5}\n', '{"id": 1, "error": {}}\n', "\x00\n"],
)
def test_an_answer_that_is_none_ends_the_worker(worker: Worker, said: str) -> None:
    """A task that writes into the pipe is asked again in a new process, a few times, and not forever."""
    with pytest.raises(WorkerDied, match="none of its protocol"):
        worker.call("babble", {"said": said})
    assert gone(worker.pid)


def _open_files(pid: int) -> set[str]:
    """What a process has open, of pipes the kind alone."""
    found = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed meanwhile
            found.add(re.sub(r":\[\d+\]", "", os.readlink(entry.path)))
    return found


def test_nothing_of_a_real_worker_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its environment, its open files and its command line, as the system shows them."""
    secret, work = "a-secret-of-the-daemon", tmp_path / "home" / "batches" / "1-1"
    work.mkdir(parents=True)
    for name in ("STARFISH_HOME", "DATABASE_PASSWORD", "HTTPS_PROXY", "HOME"):
        monkeypatch.setenv(name, secret)
    (tmp_path / "home" / "token").write_text(secret)
    source = tmp_path / "rows.csv"
    source.touch()
    with (tmp_path / "home" / "token").open() as held, socket.socket() as connection:
        os.set_inheritable(held.fileno(), True)
        os.set_inheritable(connection.fileno(), True)
        worker = Worker(work, (source,))
        try:
            with pytest.raises(WorkerDied):
                worker.call("no such step", {})
        finally:
            worker.end()
        worker = Worker(work, (source,))
        try:
            assert soon(lambda: f"worker {worker.pid} is " in (work / "worker.log").read_text())
            process = psutil.Process(worker.pid)
            environment = process.environ()
            assert soon(lambda: _open_files(worker.pid) <= {"pipe", str(work / "worker.log")}), "files that it imports from come and go"
            assert process.cmdline()[1:] == ["-P", "-m", "starfish.controller.worker.main"]
        finally:
            worker.end()
    assert secret not in json.dumps(environment)
    assert set(environment) <= ALLOWED
    assert (work / "worker.log").stat().st_mode & 0o077 == 0


def test_no_worker_imports_what_a_task_has_left_in_its_folder(work: Path) -> None:
    """It would run before the next worker has shut itself in."""
    for name in ("json.py", "numpy.py", "starfish.py", "sitecustomize.py", "usercustomize.py"):
        (work / name).write_text("open('taken', 'w').write('x')")
    worker = Worker(work)
    try:
        with pytest.raises(WorkerDied):
            worker.call("no such step", {})
    finally:
        worker.end()
    assert "KeyError: 'no such step'" in (work / "worker.log").read_text()
    assert not (work / "taken").exists()
