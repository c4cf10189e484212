"""`site up` as a process: one a home, and gone in time whatever the Routing Server does."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from starfish.controller.config import Home, SiteConfig
from starfish.controller.daemon import run
from starfish.controller.errors import HomeError, NotNow
from starfish.controller.files import write_durably
from tests.controller.daemon.conftest import until

UP = "import sys; from starfish.controller.config import Home; from starfish.controller.daemon import run; run(Home(sys.argv[1]))"


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A Routing Server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def home(tmp_path: Path, silent: socket.socket) -> Home:
    made = Home(tmp_path / "a")
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    made.create(SiteConfig(router=url, uid="aaaa", name="A", site_id=1, auth="token", policy="open"), "s" * 43)
    return made


@contextmanager
def up(home: Home) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", UP, str(home.path)], stderr=subprocess.DEVNULL)
    try:
        log = home.path / "daemon.log"
        until(lambda: log.exists() and f"up site=A router={home.load().router} pid={process.pid}" in log.read_text())
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_time_though_the_router_hangs(home: Home, silent: socket.socket, number: int) -> None:
    with up(home) as process:
        asked, _ = silent.accept()  # the daemon waits for an answer, for half a minute if it must
        with asked:
            began = time.monotonic()
            process.send_signal(number)
            assert process.wait(10) == 0
            assert time.monotonic() - began < 5  # 1.5 on a machine that has nothing else to do
    assert home.daemon_pid() is None
    assert not home.daemon_file.exists()


def test_one_daemon_a_home(home: Home) -> None:
    with up(home) as process:
        assert home.daemon_pid() == process.pid
        with pytest.raises(NotNow, match=f"up already, as process {process.pid}"):
            run(home)
        process.kill()
        process.wait()
        assert home.daemon_pid() is None, "the lock goes with the process"
        with up(home) as again:
            assert home.daemon_pid() == again.pid


def test_what_a_killed_daemon_left_behind_is_ended(home: Home) -> None:
    work = home.work(1, 1)
    work.mkdir(parents=True)
    sleeper = [sys.executable, "-c", "import time\nwhile True: time.sleep(60)"]
    leftover = subprocess.Popen(sleeper, env={**os.environ, "STARFISH_WORKER": str(work)}, start_new_session=True)
    try:
        with up(home):
            until(lambda: psutil.Process(leftover.pid).status() == psutil.STATUS_ZOMBIE)
    finally:
        leftover.kill()
        leftover.wait()


def test_a_home_with_a_policy_that_says_nothing_sensible_does_not_come_up(home: Home) -> None:
    write_durably(home.policy_file, b"preset: strict\nmin_rows: some\n")
    with pytest.raises(HomeError, match="line 2: 'min_rows' must be"):
        run(home)


@pytest.mark.parametrize("text", ["fast", "0", "-1", "nan", "3600"])
def test_a_poll_that_is_none(home: Home, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("STARFISH_POLL_S", text)
    with pytest.raises(HomeError, match="STARFISH_POLL_S"):
        run(home)
