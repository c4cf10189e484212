"""What `make test` runs: the quick checks, the suite on SQLite, then the Routing Server's part of it on PostgreSQL.

The quickest comes first; everything is run, whatever fails. The last line is `N passed, N failed[, N skipped]` alone; a
check that fails counts as one failure, and any failure is the exit status.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import postgres

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
ON_POSTGRESQL = ("tests/router", "tests/part_a")
CHECKS: dict[str, tuple[str, ...]] = {
    "format": ("ruff", "format", "--check", "."),
    "lint": ("ruff", "check", "."),
    "import contracts": ("lint-imports", "--no-logo"),
    "migrations": ("python", "manage.py", "makemigrations", "--check", "--dry-run"),
    "types": ("mypy",),
}


@dataclass(frozen=True, kw_only=True)
class Tally:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(passed=self.passed + other.passed, failed=self.failed + other.failed, skipped=self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed" + (f", {self.skipped} skipped" if self.skipped else "")


def check(name: str) -> Tally:
    """One quick check: a line, and its output where it fails."""
    started = time.monotonic()
    program, *arguments = CHECKS[name]
    done = subprocess.run([BIN / program, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    _headline(name, "ok" if done.returncode == 0 else "FAILED", started)
    if done.returncode == 0:
        return Tally()
    print(done.stdout + done.stderr, flush=True)
    return Tally(failed=1)


def suite(name: str, arguments: Sequence[str]) -> Tally:
    """One run of pytest, its progress as it comes."""
    started = time.monotonic()
    print(f"== {name}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", f"--junitxml={results}", *arguments]
        done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
        tally = read_results(results)
    if done.returncode and not tally.failed:
        tally += Tally(failed=1)
    _headline(name, str(tally), started)
    return tally


def read_results(path: Path) -> Tally:
    """The totals of a JUnit file; nothing where pytest did not get so far as to write one."""
    if not path.exists():
        return Tally()
    total = Tally()
    for node in ElementTree.parse(path).getroot().iter("testsuite"):
        tests, failed, errors, skipped = (int(node.attrib[key]) for key in ("tests", "failures", "errors", "skipped"))
        total += Tally(passed=max(tests - failed - errors - skipped, 0), failed=failed + errors, skipped=skipped)
    return total


def on_postgresql() -> Tally:
    """The Routing Server's tests once more; without a server a user reads why not, CI fails."""
    missing = postgres.why_missing()
    if missing is None:
        return suite("suite on PostgreSQL", ("--database", "postgresql", *(path for path in ON_POSTGRESQL if (ROOT / path).exists())))
    print(f"== suite on PostgreSQL: {missing}", flush=True)
    return Tally(failed=1) if os.environ.get("CI") == "true" else Tally(skipped=1)


def _headline(name: str, verdict: str, started: float) -> None:
    print(f"== {name}: {verdict} ({time.monotonic() - started:.1f} s)", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checks-only", action="store_true", help="the quick checks alone")
    only_checks = parser.parse_args().checks_only
    total = sum((check(name) for name in CHECKS), Tally())
    if only_checks:
        return 1 if total.failed else 0
    total += suite("suite on SQLite", ())
    total += on_postgresql()
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
