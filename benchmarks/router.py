"""The Routing Server of a benchmark: `starfish router serve` on SQLite, as it is shipped."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, STARFISH, BenchmarkFailed, run, sampled, started, tail

READY_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Router:
    """Its database, artifacts and log are in `folder`; it may be started, ended and started again on its port."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def database(self) -> Path:
        return self.folder / "router.sqlite3"

    @property
    def log(self) -> Path:
        return self.folder / "router.log"

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "DATABASE_NAME": self.database,
            "ARTIFACTS_DIR": self.folder / "artifacts",
            "SECRET_KEY_FILE": self.folder / "secret_key",
        }
        inherited = {name: value for name, value in os.environ.items() if name not in ("DJANGO_SETTINGS_MODULE", "SECRET_KEY")}
        return {**inherited, "DATABASE_HOST": "", "DEBUG": "False"} | {name: str(path) for name, path in own.items()}

    def make(self) -> None:
        """An empty database. Raises BenchmarkFailed."""
        self.folder.mkdir(parents=True)
        (self.folder / "secret_key").write_text(os.urandom(32).hex())
        run([sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"], self.environment)

    def serve(self, running: ExitStack, samples: Path | None = None) -> subprocess.Popen[bytes]:
        """Started and ready. Raises BenchmarkFailed."""
        command = [STARFISH, "router", "serve", "--bind", f"127.0.0.1:{self.port}"]
        process = started(command, self.log, sampled(self.environment, samples), running)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2):
                    return process
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.05)
        raise BenchmarkFailed(f"The Routing Server did not become ready.\n{tail(self.log)}")


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
