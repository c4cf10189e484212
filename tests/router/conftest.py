"""Fixtures of the router's tests."""

from pathlib import Path
from typing import Any

import pytest

from starfish.router import credentials
from starfish.router.actions import reads
from tests.router.trust import Sealed
from tests.router.world import World


@pytest.fixture(autouse=True)
def _quick_and_clean(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed quickly, artifacts are this test's own, and nothing is remembered of another test's database."""
    monkeypatch.setattr(credentials, "_tokens", credentials._Tokens())
    monkeypatch.setattr(reads, "_reads", reads.Reads(by_itself=False))
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.ARTIFACTS_DIR = tmp_path / "artifacts"


@pytest.fixture
def world(db: None) -> World:
    return World.new()


@pytest.fixture
def sealed(world: World) -> Sealed:
    return Sealed.new(world)
