"""The fake is the port: what it takes, the real client takes."""

import inspect

import pytest

from starfish.sdk import Client
from tests.fakes import FakeClient


@pytest.mark.parametrize("name", [name for name in vars(FakeClient) if not name.startswith("_")])
def test_the_fake_has_the_clients_signatures(name: str) -> None:
    assert inspect.signature(getattr(FakeClient, name)) == inspect.signature(getattr(Client, name))
