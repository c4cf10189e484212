"""Real Routing Servers for the tests: a process of its own, a free port, a fresh database, artifacts in a folder of its own.

`manage.py runserver` and `starfish router serve`, on whichever database DATABASE_* name (tests.support.environment). A server
can be killed and started again on the same port and database.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil
import psycopg.sql

from tests.support import postgres

Kind = Literal["runserver", "serve"]
ROOT = Path(__file__).resolve().parents[2]
BASE = "/starfish/api/v1/"
ADMIN = ("admin", "a-superuser-of-the-tests")
PREPARE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
call_command("createsuperuser", interactive=False, username={username!r}, email="admin@example.org", verbosity=0)
"""
READY_S = 30.0
STOP_S = 15.0


class Databases:
    """Fresh databases, each a copy of one that was migrated and given the superuser once: a copy takes milliseconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: list[str] = []
        self._template = self._create(None)
        self._prepare(self._template)

    def new(self) -> dict[str, str]:
        """The DATABASE_* settings of a database that nobody else uses."""
        return self._create(self._template)

    def drop(self) -> None:
        """Remove what was made on a PostgreSQL server; SQLite's files go with their folder."""
        if self._made:
            with postgres.connect(dict(os.environ)) as connection:
                for name in self._made:
                    connection.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(psycopg.sql.Identifier(name)))

    def _create(self, template: Mapping[str, str] | None) -> dict[str, str]:
        name = f"starfish_test_{secrets.token_hex(6)}"
        if not os.environ.get("DATABASE_HOST"):
            path = self.folder / f"{name}.sqlite3"
            if template:
                shutil.copyfile(template["DATABASE_NAME"], path)
            return {"DATABASE_HOST": "", "DATABASE_NAME": str(path)}
        with postgres.connect(dict(os.environ)) as connection:
            source = psycopg.sql.Identifier(template["DATABASE_NAME"] if template else "template0")
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(psycopg.sql.Identifier(name), source))
        self._made.append(name)
        return {"DATABASE_NAME": name}

    def _prepare(self, settings: Mapping[str, str]) -> None:
        manage(settings, "shell", "--verbosity", "0", "-c", PREPARE.format(username=ADMIN[0]), DJANGO_SUPERUSER_PASSWORD=ADMIN[1])
        if not os.environ.get("DATABASE_HOST"):
            for suffix in ("-wal", "-shm"):  # the last connection has folded the log into the file that is copied
                assert not Path(settings["DATABASE_NAME"] + suffix).exists()


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with `settings` on top; no Django settings of the test run leak into the server."""
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return {**inherited, **settings}


def manage(settings: Mapping[str, str], *arguments: str, **more: str) -> str:
    """`python3 manage.py ...`; its stdout. Raises AssertionError with what it printed when it fails."""
    return _run([sys.executable, "manage.py", *arguments], {**settings, **more})


def starfish(settings: Mapping[str, str], *arguments: str) -> str:
    """`starfish ...`; its stdout. Raises AssertionError with what it printed when it fails."""
    return _run([str(Path(sys.executable).parent / "starfish"), *arguments], settings)


def _run(command: list[str], settings: Mapping[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment(settings), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def create_superuser(settings: Mapping[str, str], username: str, password: str) -> None:
    """What an operator types, without the questions."""
    user = ["--username", username, "--email", f"{username}@example.org"]
    manage(settings, "createsuperuser", "--noinput", *user, DJANGO_SUPERUSER_PASSWORD=password)


@dataclass(kw_only=True)
class Server:
    """A Routing Server that runs, or can be started again. `arguments`: what is added to its command."""

    kind: Kind
    folder: Path
    settings: dict[str, str]
    port: int
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """http://host:port, without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api(self) -> str:
        """The base of the wire contract."""
        return self.url + BASE

    @property
    def log(self) -> str:
        """All that the server has printed so far, over its restarts."""
        return (self.folder / "server.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it and wait until /healthz answers 200. Raises AssertionError with its log when it does not."""
        address = f"127.0.0.1:{self.port}"
        commands = {
            "runserver": [sys.executable, "manage.py", "runserver", "--noreload", address],
            "serve": [str(Path(sys.executable).parent / "starfish"), "router", "serve", "--bind", address],
        }
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*commands[self.kind], *self.arguments],
                cwd=ROOT,
                env=environment(self.settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._wait()

    def kill(self) -> None:
        """kill -9, the children too: as a power cut would."""
        for process in self._tree():
            process.kill()
        self._gone()

    def stop(self) -> None:
        """SIGTERM. Raises AssertionError when the server does not end in time."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server was still running {STOP_S:.0f} s after SIGTERM:\n{self.log[-4000:]}") from None
        self._gone()

    def manage(self, *arguments: str) -> str:
        """`manage.py ...` on this server's database."""
        return manage(self.settings, *arguments)

    def starfish(self, *arguments: str) -> str:
        """`starfish ...` on this server's database."""
        return starfish(self.settings, *arguments)

    def create_superuser(self, username: str, password: str) -> None:
        """One more than ADMIN, who is there from the start."""
        create_superuser(self.settings, username, password)

    def _tree(self) -> list[psutil.Process]:
        assert self.process is not None, "the server does not run"
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def _gone(self) -> None:
        assert self.process is not None
        self.process.wait(timeout=STOP_S)
        self.process = None

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while not healthy(self.url):
            assert self.process is not None
            assert self.process.poll() is None, f"the server ended at once:\n{self.log[-4000:]}"
            assert time.monotonic() < deadline, f"the server did not answer /healthz in {READY_S:.0f} s:\n{self.log[-4000:]}"
            time.sleep(0.05)


def healthy(url: str) -> bool:
    """Whether /healthz answers 200."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def serving(kind: Kind, folder: Path, databases: Databases, **settings: str) -> Iterator[Server]:
    """A server on a database of its own, stopped at the end; whatever happened, it has never failed inside."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {**databases.new(), "ARTIFACTS_DIR": str(folder / "artifacts"), **settings}
    server = Server(kind=kind, folder=folder, settings=own, port=free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert "Traceback" not in server.log, f"the server failed inside:\n{server.log[-8000:]}"


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
