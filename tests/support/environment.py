"""The environment of a test run, set before Django reads its settings: pytest loads this with `-p`, ahead of pytest-django.

Nothing of the developer's own comes in (no `.env`, no database, no artifacts), and nothing of the run stays.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import django.conf
import pytest

from tests.support import postgres


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=["sqlite", "postgresql", "as-set"],
        default="sqlite",
        help="what the Routing Server runs on: SQLite, a throw-away PostgreSQL cluster, or whatever DATABASE_* say",
    )


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """Runs around pytest-django's own, which is where the settings are read. Workers of xdist inherit what is set here."""
    given = django.conf.settings.configured or "PYTEST_XDIST_WORKER" in os.environ
    if not given:
        _isolate(early_config)
        _choose(early_config, early_config.known_args_namespace.database)
    return (yield)


def _isolate(config: pytest.Config) -> None:
    folder = Path(tempfile.mkdtemp(prefix="starfish-tests-"))
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    os.environ.update(SECRET_KEY=secrets.token_urlsafe(48), ARTIFACTS_DIR=str(folder / "artifacts"), DEBUG="False")
    os.environ.pop("STARFISH_HOME", None)


def _choose(config: pytest.Config, database: str) -> None:
    if database == "as-set":
        return
    if database == "sqlite":
        os.environ.update(DATABASE_HOST="", DATABASE_NAME="")
        return
    missing = postgres.why_missing()
    if missing:
        raise pytest.UsageError(missing)
    cluster = postgres.Cluster.start()
    config.add_cleanup(cluster.stop)
    os.environ.update(cluster.environment)
