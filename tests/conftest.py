"""Fixtures of the whole suite: servers and databases, and the rules by which property tests search."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

from tests.support.servers import Databases, Kind, Server, serving

# Two shared cores: an example that takes long says nothing. The same examples for everyone; `--hypothesis-seed` tries others.
hypothesis.settings.register_profile("starfish", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("starfish")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory) -> None:
    """On SQLite a file, as in production: in memory there is no journal, no lock and no second connection."""
    from django.db import connections

    settings = connections.settings["default"]
    if settings["ENGINE"].endswith("sqlite3"):
        settings["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "router.sqlite3")


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Migrated databases for real servers."""
    made = Databases(tmp_path_factory.mktemp("databases"))
    yield made
    made.drop()


@pytest.fixture
def serve(databases: Databases, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`serve("runserver" | "serve", **settings)`: a Routing Server for this test alone."""
    with ExitStack() as stack:

        def start(kind: Kind = "serve", **settings: str) -> Server:
            folder = tmp_path / f"server-{len(list(tmp_path.glob('server-*')))}"
            return stack.enter_context(serving(kind, folder, databases, **settings))

        yield start
