"""A PostgreSQL cluster to throw away, from the server's own binaries, run by an ordinary user.

`postgres` refuses to run as root, so root runs it as `postgres` or `nobody`; anyone else runs it as themselves.
"""

import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB")
READY_S = 30.0


def binaries() -> Path | None:
    """The folder that holds `initdb` and `postgres`, newest version first; None where the server is not installed."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    return next((folder for folder in found if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _version(folder: Path) -> int:
    digits = re.match(r"\d+", folder.parent.name)
    return int(digits.group()) if digits else 0


def why_missing() -> str | None:
    """A sentence where no cluster can be started on this machine; None where one can."""
    if binaries() is None:
        return (
            "PostgreSQL's server is not installed here, so nothing runs on it: install Debian's package `postgresql`, then run this again."
        )
    return None


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running server: loopback, free port, one superuser with a password of this run's own."""

    folder: Path
    port: int
    password: str
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls) -> "Cluster":
        """Raises RuntimeError with the server's own words where it does not come up."""
        programs = binaries()
        assert programs is not None, why_missing()
        folder = Path(tempfile.mkdtemp(prefix="starfish-postgres-"))
        password, port, who = secrets.token_urlsafe(24), _free_port(), _ordinary_user()
        (folder / "password").write_text(password)
        for path in (folder, folder / "password"):
            if who:
                os.chown(path, who["user"], who["group"])
        settings = [f"-cport={port}", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories=", *(f"-c{line}" for line in FAST)]
        access = ["-U", "starfish", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}"]
        initdb = [programs / "initdb", "-D", folder / "data", *access, "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **who)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([programs / "postgres", "-D", folder / "data", *settings], stdout=log, stderr=log, cwd=folder, **who)
        cluster = cls(folder=folder, port=port, password=password, process=process)
        cluster._wait()
        return cluster

    @property
    def environment(self) -> dict[str, str]:
        """The DATABASE_* settings that lead here."""
        return {
            "DATABASE_HOST": "127.0.0.1",
            "DATABASE_PORT": str(self.port),
            "DATABASE_USER": "starfish",
            "DATABASE_PASSWORD": self.password,
            "DATABASE_NAME": "starfish",
        }

    def stop(self) -> None:
        """SIGQUIT: at once, without a last checkpoint; nobody will read these files again."""
        self.process.send_signal(3)
        self.process.wait(timeout=READY_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while True:
            try:
                with connect(self.environment) as connection:
                    connection.execute("CREATE DATABASE starfish")
                return
            except psycopg.OperationalError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()}") from error
                time.sleep(0.05)


def connect(environment: dict[str, str]) -> psycopg.Connection[Any]:
    """A connection to the maintenance database of the server that DATABASE_* name, for CREATE and DROP DATABASE."""
    return psycopg.connect(
        host=environment["DATABASE_HOST"],
        port=environment.get("DATABASE_PORT") or "5432",
        user=environment["DATABASE_USER"],
        password=environment["DATABASE_PASSWORD"],
        dbname="postgres",
        autocommit=True,
        connect_timeout=5,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ordinary_user() -> dict[str, Any]:
    """The arguments of subprocess that make the server run as somebody who is not root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
