"""`make bench` works: a small federation is measured, and what went wrong in one is said."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import ROOT

PARTS = {"router", "coordinator", "participant"}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.rounds", *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.slow
def test_two_sites_are_measured(tmp_path: Path) -> None:
    before = set((ROOT / "var").glob("benchmark-*"))
    done = bench("--sites", "2", "--bytes", "1000", "--rounds", "3", "--results", str(tmp_path / "results.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    results: list[dict[str, Any]] = json.loads((tmp_path / "results.json").read_text())
    (cell,) = results
    assert (cell["sites"], cell["bytes"], cell["rounds"], cell["sealed"]) == (2, 1000, 3, False)
    assert 0 < cell["seconds_min"] <= cell["seconds_median"] <= cell["seconds_max"]
    assert set(cell["rss_mb"]) == PARTS
    assert all(20 < megabytes < 1000 for megabytes in cell["rss_mb"].values())
    assert all(seconds >= 0 for seconds in cell["cpu_seconds"].values())
    assert set((ROOT / "var").glob("benchmark-*")) <= before, "the files of a benchmark go at its end"


def test_sizes_that_are_no_array_are_refused() -> None:
    done = bench("--bytes", "1001")
    assert done.returncode == 2
    assert "multiple of 8" in done.stderr


def test_sealing_is_measured(tmp_path: Path) -> None:
    """Its speed is the machine's; its memory is not."""
    command = [sys.executable, "-m", "benchmarks.sealing", "--megabytes", "100", "--results", str(tmp_path / "sealing.json")]
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False)
    assert "100 MB: sealed at" in done.stdout, done.stderr
    measured = json.loads((tmp_path / "sealing.json").read_text())
    assert 0 <= measured["memory_mb"] < 20
    assert measured["sealing_mb_s"] > 10 < measured["opening_mb_s"]
