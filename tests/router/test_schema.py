"""The OpenAPI document: valid, whole, and true. It is asked for all it describes, rightly and wrongly, and foretells every answer."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.urls import get_resolver
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode, checks
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance

from starfish.router import credentials
from tests.router.test_access import addresses
from tests.router.world import BASE, World


@pytest.fixture
def document(world: World) -> Any:
    return world.admin.get("schema/").json()


@pytest.fixture
def api(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The document as schemathesis reads it, and a batch to hit. The test's transaction must outlive each request."""
    world.open()
    monkeypatch.setattr(credentials, "_failures", credentials._Failures())
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    headers = {"Authorization": world.admin.authorization}
    yield schemathesis.openapi.from_wsgi(f"{BASE}schema/", get_wsgi_application(), headers=headers)
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def test_the_document_is_valid(document: Any) -> None:
    validate_schema(document)
    assert document["openapi"].startswith("3.1")


def test_every_route_is_described(document: Any) -> None:
    described = {re.sub(r"{\w+}", "1", path.lstrip("/")) for path in document["paths"]}
    known = {address for address in addresses(get_resolver().url_patterns) if address.startswith(BASE.lstrip("/"))}
    assert known - described == {BASE.lstrip("/"), f"{BASE}schema/".lstrip("/")}
    assert described - known == set()


def test_the_document_names_both_ways_to_log_in(document: Any) -> None:
    schemes = {name: scheme["scheme"] for name, scheme in document["components"]["securitySchemes"].items() if scheme["type"] == "http"}
    assert schemes == {"PasswordAuthentication": "basic", "TokenAuthentication": "bearer"}
    assert all(
        {"PasswordAuthentication": []} in operation["security"] and {"TokenAuthentication": []} in operation["security"]
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if not path.endswith("enrol/")
    )


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_document_is_true(api: Any, world: World, mode: GenerationMode) -> None:
    foretold = [checks.not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    asked = []

    def ask(case: Any) -> None:
        answer = case.call(headers={"Authorization": world.admin.authorization})
        case.validate_response(answer, checks=foretold)
        asked.append(answer.status_code)

    for operation in (found.ok() for found in api.get_all_operations()):
        try:
            strategy = operation.as_strategy(generation_mode=mode)
            settings(max_examples=6, suppress_health_check=list(HealthCheck), deadline=None, database=None)(given(strategy)(ask))()
        except (Unsatisfiable, schemathesis.errors.InvalidSchema):
            assert mode is GenerationMode.NEGATIVE, f"{operation.label} cannot be asked"
    assert len(asked) > 200
    assert {200, 400, 404} <= set(asked)
