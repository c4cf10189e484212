"""A policy says what it means, or the site does not come up."""

from pathlib import Path

import pytest

from starfish.controller.config import OPEN_POLICY
from starfish.controller.errors import HomeError
from starfish.controller.guard.policy import read_policy


def read(folder: Path, content: bytes) -> str:
    path = folder / "policy.yaml"
    path.write_bytes(content)
    return read_policy(path).preset


def test_what_a_new_home_is_given_is_open(tmp_path: Path) -> None:
    assert read(tmp_path, OPEN_POLICY) == "open"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"preset: standard\n", "arrives with sealed projects"),
        (b"preset: strict\n", "arrives with sealed projects"),
        (b"preset: lax\n", "there is: open"),
        (b"preset: [open]\n", "there is: open"),
        (b"", "must say 'preset: open'"),
        (b"open\n", "must say 'preset: open'"),
        (b"preset: open\nminimum_rows: 10\n", "must say 'preset: open'"),
        (b"preset: [open\n", "line 2"),
        (b"\xff\xfe\x00", "not a text file"),
        (b"preset: !!python/object/apply:os.getcwd []\n", "there is: open"),
        (b"[" * 20_000, "nested too deeply"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(tmp_path: Path, content: bytes, reason: str) -> None:
    """A number that would not be held is not taken either."""
    with pytest.raises(HomeError, match=reason):
        read(tmp_path, content)


def test_a_policy_that_is_missing_holds_nothing_back_only_by_mistake(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="there is no such file"):
        read_policy(tmp_path / "policy.yaml")
