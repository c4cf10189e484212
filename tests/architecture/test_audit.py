"""The dependency audit says what it found, and where it could look nothing up it says that."""

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "audit.py"
CLEAN: dict[str, Any] = {"name": "django", "version": "5.2", "vulns": []}
SKIPPED: dict[str, Any] = {"name": "starfish", "skip_reason": "Dependency not found on PyPI"}
FLAWED: dict[str, Any] = {"name": "idna", "version": "3.6", "vulns": [{"id": "PYSEC-2024-60", "fix_versions": ["3.7"]}]}


@pytest.fixture(scope="module")
def audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_locked_package_is_looked_up(audit: Any) -> None:
    lock = tomllib.loads((ROOT / "poetry.lock").read_text())
    assert len(audit.locked()) == len(lock["package"]) > 50
    assert any(line.startswith("django==5.2") for line in audit.locked())


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([CLEAN], 0, "No known vulnerability in 1 locked packages."),
        ([CLEAN, SKIPPED], 0, "No known vulnerability in 1 locked packages. Of 1 nothing is known there: starfish."),
        ([CLEAN, FLAWED], 1, "1 known vulnerabilities in 2 locked packages:\nidna 3.6: PYSEC-2024-60, mended in 3.7"),
    ],
)
def test_what_was_found_is_said(audit: Any, packages: list[dict[str, Any]], status: int, said: str) -> None:
    assert audit.verdict({"dependencies": packages}) == (status, said)


@pytest.mark.parametrize(("report", "there"), [(None, False), ([SKIPPED], False), ([FLAWED], True), ([], False)])
def test_an_index_without_such_data_has_no_answer(audit: Any, report: list[dict[str, Any]] | None, there: bool) -> None:
    assert audit.answers(None if report is None else {"dependencies": report}) == there


def test_where_nothing_can_be_reached_it_says_so_and_passes(tmp_path: Path) -> None:
    nowhere = {
        "PIP_INDEX_URL": "http://127.0.0.1:1",
        "PIP_RETRIES": "0",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": os.devnull,
    }
    done = subprocess.run([sys.executable, SCRIPT, tmp_path / "venv"], env=os.environ | nowhere, capture_output=True, text=True, check=True)
    assert done.stdout == (
        "The dependency audit did not run: no vulnerability data can be reached from here (pip-audit can't be installed).\n"
    )
