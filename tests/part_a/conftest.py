"""One Routing Server for all contract tests of a worker; each test brings sites and projects of its own."""

from collections.abc import Iterator

import pytest

from tests.part_a.wire import Router
from tests.part_a.world import Project
from tests.support.servers import ADMIN, Databases, Server, serving


@pytest.fixture(scope="session")
def shared(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`starfish router serve`, as in production."""
    with serving("serve", tmp_path_factory.mktemp("shared"), databases) as server:
        yield server


@pytest.fixture
def router(shared: Server) -> Router:
    """The shared server as the superuser, whose account controllers in the field use."""
    return Router(url=shared.url, account=ADMIN)


@pytest.fixture
def nobody(shared: Server) -> Router:
    """The shared server without an account."""
    return Router(url=shared.url, account=None)


@pytest.fixture
def project(router: Router) -> Project:
    """Three sites, one task of three rounds, no batch yet."""
    return Project.create(router)
