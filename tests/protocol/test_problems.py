"""The catalogue of refusals."""

from starfish.protocol.problems import CATALOGUE, Conflict, InvalidFields, NotFound


def test_a_problem_document_has_what_rfc_9457_asks_for() -> None:
    assert Conflict("Run 3 is elsewhere.", state="Running").document() == {
        "type": "https://starfish.invalid/problems/conflict",
        "title": "The present state does not allow this",
        "status": 409,
        "detail": "Run 3 is elsewhere.",
        "code": "conflict",
        "state": "Running",
    }


def test_field_errors_are_told_apart_and_together() -> None:
    problem = InvalidFields({"name": ["It is taken.", "Choose another."], "uid": ["No UUID."]})
    assert problem.document()["errors"] == {"name": ["It is taken.", "Choose another."], "uid": ["No UUID."]}
    assert problem.detail == "name: It is taken. Choose another.; uid: No UUID."


def test_a_status_leads_to_its_kind_and_codes_are_unique() -> None:
    assert CATALOGUE[404] is NotFound
    assert all(kind.status == status for status, kind in CATALOGUE.items())
    assert len({kind.code for kind in CATALOGUE.values()}) == len(CATALOGUE)
