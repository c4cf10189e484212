"""What the benchmark calls the memory of a site: of the processes that live at the same time."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from benchmarks import meter

MB = 60
HOLDER = f"import sys; held = bytearray({MB} << 20); print('held', flush=True); sys.stdin.read()"


@contextmanager
def holder() -> Iterator[None]:
    """A child that has so much memory."""
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate()


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> meter.Part:
    monkeypatch.setattr(meter, "CHILDREN_EVERY_S", 0.0)
    return meter.Part(pid=os.getpid())


def test_processes_that_follow_each_other_are_not_added(part: meter.Part) -> None:
    part.look()
    before, before_private = part.peak_mb, part.private_mb
    for _ in range(2):
        with holder():
            part.look()
    part.look()
    assert MB <= part.peak_mb - before < 1.8 * MB
    assert MB <= part.private_mb - before_private < 1.8 * MB


def test_processes_that_live_at_the_same_time_are_added(part: meter.Part) -> None:
    part.look()
    before, before_private = part.peak_mb, part.private_mb
    with holder(), holder():
        part.look()
    part.look()
    assert part.peak_mb - before >= 2 * MB
    assert part.private_mb - before_private >= 2 * MB
