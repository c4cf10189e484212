"""What `make test` says at the end is what happened: nothing that failed goes uncounted."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import run_all
from tests.run_all import Tally

OUTCOMES = """
import pytest

def test_passes(): pass
def test_passes_too(): pass
def test_fails(): assert False
@pytest.fixture
def broken(): raise OSError
def test_errors(broken): pass
@pytest.mark.skip
def test_skipped(): pass
"""


def test_failures_errors_and_skips_are_counted_apart(tmp_path: Path) -> None:
    (tmp_path / "test_outcomes.py").write_text(OUTCOMES)
    results = tmp_path / "results.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-c", "/dev/null", f"--junitxml={results}", "test_outcomes.py"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1
    assert run_all.read_results(results) == Tally(passed=2, failed=2, skipped=1)


def test_the_closing_line() -> None:
    assert str(Tally(passed=3)) == "3 passed, 0 failed"
    assert str(Tally(passed=3, failed=1) + Tally(skipped=2)) == "3 passed, 1 failed, 2 skipped"


def test_a_check_that_fails_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(run_all.CHECKS, "doomed", ("python", "-c", "print('why'); raise SystemExit(1)"))
    assert run_all.check("doomed") == Tally(failed=1)
    printed = capsys.readouterr().out
    assert "== doomed: FAILED" in printed
    assert "why" in printed


def test_a_run_without_results_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pytest that could not even collect: no file, a bad status."""
    monkeypatch.setattr(run_all, "ROOT", tmp_path)
    assert run_all.suite("nothing there", ["-p", "no_such_plugin"]).failed == 1
