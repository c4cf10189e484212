"""`starfish router ...` and `manage.py`, as an operator types them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from starfish.cli.router import app

ROOT = Path(__file__).parents[2]
STARFISH = str(Path(sys.executable).parent / "starfish")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A command on an SQLite database of this test's own."""

    def command(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, "DATABASE_HOST": "", "DATABASE_NAME": str(tmp_path / "router.sqlite3"), **settings}
        first = [sys.executable, "manage.py"] if words[0] == "manage" else [STARFISH, "router"]
        rest = words[1:] if words[0] == "manage" else words
        return subprocess.run([*first, *rest], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=60)

    return command


def refused(done: Any, *words: str) -> None:
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_without_migrations_every_command_says_what_to_type(run: Run) -> None:
    for command in (["serve", "--bind", "127.0.0.1:0"], ["sites"], ["enrol-code", "--name", "A"]):
        refused(run(*command), "python3 manage.py migrate")
    doctor = run("doctor")
    assert doctor.returncode == 1
    assert "python3 manage.py migrate" in doctor.stdout


def test_what_an_operator_does_first(run: Run) -> None:
    assert run("manage", "migrate", "-v0").returncode == 0
    assert (
        run(
            "manage", "createsuperuser", "--noinput", "--username", "a", "--email", "a@example.org", DJANGO_SUPERUSER_PASSWORD="p"
        ).returncode
        == 0
    )
    made = run("enrol-code", "--name", "Hospital Ä", "--json")
    assert json.loads(made.stdout)["name"] == "Hospital Ä"
    assert len(json.loads(made.stdout)["code"]) == 23
    assert json.loads(run("sites", "--json").stdout) == []
    assert "enrol-code" in run("sites").stdout
    refused(run("revoke", "--name", "Hospital A"), "no site named 'Hospital A'")
    levels = {finding["level"] for finding in json.loads(run("doctor", "--json").stdout)}
    assert "error" not in levels
    assert run("manage", "runjob", "check_site_status").returncode == 0
    refused(run("enrol-code", "--name", " "), "name")
    refused(run("serve", "--workers", "2"), "SQLite serves one process", "PostgreSQL")


@pytest.mark.parametrize("bind", ["8000", ":8000", "localhost:", "localhost:99999", "localhost:x"])
def test_an_address_that_is_none_is_wrong_usage(bind: str) -> None:
    done = CliRunner().invoke(app, ["serve", "--bind", bind])
    assert done.exit_code == 2
    assert "HOST:PORT" in done.stderr


def test_wrong_settings_are_sentences(run: Run) -> None:
    refused(run("sites", DEBUG="maybe"), "DEBUG", "True or False")
    refused(run("serve", ARTIFACTS_URL="s3://bucket"), "ARTIFACTS_URL", "ARTIFACTS_DIR")
    refused(run("serve", CSRF_TRUSTED_ORIGINS="a.example"), "CSRF_TRUSTED_ORIGINS", "https://")
    run("manage", "migrate", "-v0")
    refused(run("serve", ARTIFACTS_DIR="/proc/nowhere"), "ARTIFACTS_DIR", "/proc/nowhere")
    refused(run("serve", "--bind", "192.0.2.1:8000"), "Cannot listen on 192.0.2.1:8000")


def test_a_database_that_is_away_is_a_sentence(run: Run) -> None:
    refused(run("sites", DATABASE_NAME="/proc/nowhere.sqlite3"), "database")
    refused(run("sites", DATABASE_NAME="/proc/nowhere/router.sqlite3"), "DATABASE_NAME", "folder")
    migrate = run("manage", "migrate", DATABASE_HOST="127.0.0.1", DATABASE_PORT="1", DATABASE_NAME="x")  # nobody listens there
    assert migrate.returncode == 1
    assert "refused" in migrate.stderr
    assert "Traceback" not in migrate.stderr


def test_no_migration_is_missing(run: Run) -> None:
    assert run("manage", "makemigrations", "--check", "--dry-run").returncode == 0


def test_manage_py_test_runs_what_pytest_runs(run: Run) -> None:
    done = run("manage", "test", "tests/protocol/test_problems.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert run("manage", "test", "tests/nowhere").returncode == 1
