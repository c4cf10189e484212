"""Opening a batch, and what one reads of batches: `POST runs`, runs/, runs/lookup/, runs/detail/."""

from typing import Any

import pytest

from tests.part_a.controller import FAILED, PENDING_FAILED, PREPARING, RUNNING, STANDBY, SUCCESS
from tests.part_a.test_objects import RUN
from tests.part_a.wire import Router
from tests.part_a.world import Project, accepted, new_site


@pytest.mark.parametrize("path", ["runs", "runs/"])
def test_a_batch_has_one_standby_run_for_each_member(router: Router, project: Project, path: str) -> None:
    answer = router.post(path, {"project": project.id})
    assert (answer.status, answer.body) == (201, b"")
    assert project.read()["batch"] == 1
    runs = project.runs()
    assert [(run["site_uid"], run["role"]) for run in runs] == [
        (site["uid"], "participant" if n else "coordinator") for n, site in enumerate(project.sites)
    ]
    assert {(run["status"], run["batch"], run["cur_seq"]) for run in runs} == {("Standby", 1, 1)}


@pytest.mark.parametrize("status", [PENDING_FAILED, STANDBY, PREPARING, RUNNING])
def test_a_second_batch_waits_for_the_first(router: Router, project: Project, status: int) -> None:
    project.open()
    project.drive(status)
    before = project.runs()
    answer = router.post("runs", {"project": project.id})
    assert (answer.status, type(answer.json())) == (400, str)
    assert project.read()["batch"] == 1
    assert project.runs() == before


@pytest.mark.parametrize("status", [FAILED, SUCCESS])
def test_a_batch_that_ended_makes_room_for_the_next(project: Project, status: int) -> None:
    first = project.open()
    project.drive(status)
    second = project.open()
    assert project.read()["batch"] == 2
    assert not set(first) & set(second)
    assert project.runs()[0]["tasks"][0]["config"]["current_round"] == 1


def test_a_batch_with_one_run_still_live_has_not_ended(router: Router, project: Project) -> None:
    _, participant, other = project.open()
    for run in (participant, other):
        accepted(router.status(run, FAILED))
    assert router.post("runs", {"project": project.id}).status == 400


def test_a_start_without_all_sites_changes_nothing(router: Router, project: Project) -> None:
    assert router.post("sites/heartbeat/", {"uid": project.sites[2]["uid"], "status": 0}).status == 202
    answer = router.post("runs", {"project": project.id})
    assert (answer.status, type(answer.json())) == (400, str)
    assert project.read()["batch"] == 0
    assert router.get("runs/lookup/", project=project.id).json() == []
    assert router.post("sites/heartbeat/", {"uid": project.sites[2]["uid"], "status": 1}).status == 202
    assert len(project.open()) == 3


@pytest.mark.parametrize("body", [{"project": 0}, {"project": 999_999_999}, {"project": "x"}, {"project": None}, {}, [], "x", None])
def test_no_such_project(router: Router, body: Any) -> None:
    assert router.post("runs", body).status == 400


def test_the_reason_is_a_json_string(router: Router) -> None:
    assert isinstance(router.post("runs", {"project": 999_999_999}).json(), str)


def test_lookup_answers_one_merged_row_a_batch(router: Router, project: Project) -> None:
    project.open()
    project.drive(SUCCESS)
    second = project.open()
    accepted(router.status(second[1], PREPARING))
    runs = project.runs()
    first_row, second_row = router.get("runs/lookup/", project=project.id).json()
    assert set(first_row) >= RUN
    assert (first_row["batch"], first_row["status"]) == (1, "Success")
    assert (second_row["batch"], second_row["status"]) == (2, "Standby")
    assert second_row["created_at"] == min(run["created_at"] for run in runs)
    assert second_row["updated_at"] == max(run["updated_at"] for run in runs)
    assert second_row["updated_at"] > second_row["created_at"]


@pytest.mark.parametrize("status", [FAILED, PENDING_FAILED])
def test_the_merged_status_is_the_lowest_by_number(router: Router, project: Project, status: int) -> None:
    runs = project.open()
    project.drive(RUNNING)
    accepted(router.status(runs[2], status))
    (row,) = router.get("runs/lookup/", project=project.id).json()
    assert row["status"] == {FAILED: "Failed", PENDING_FAILED: "Pending Failed"}[status]


def test_lookup_is_narrowed_by_batch_and_site(router: Router, project: Project) -> None:
    project.open()
    project.drive(FAILED)
    runs = project.open()
    accepted(router.status(runs[1], PREPARING))
    (row,) = router.get("runs/lookup/", project=project.id, batch_id=2).json()
    assert (row["batch"], row["status"]) == (2, "Standby")
    own = router.get("runs/lookup/", project=project.id, site_uid=project.sites[1]["uid"]).json()
    assert [(row["batch"], row["status"]) for row in own] == [(1, "Failed"), (2, "Preparing")]
    (one,) = router.get("runs/lookup/", project=project.id, batch_id=2, site_uid=project.sites[1]["uid"]).json()
    assert (one["id"], one["site_uid"]) == (runs[1], project.sites[1]["uid"])
    assert router.get("runs/lookup/", project=project.id, batch_id=3).json() == []


@pytest.mark.parametrize("query", [{}, {"project": "x"}, {"project": ""}, {"project": 1, "batch_id": "x"}, {"project": 1, "site_uid": "x"}])
def test_lookup_without_a_usable_query(router: Router, query: dict[str, Any]) -> None:
    assert router.get("runs/lookup/", **query).status == 400


@pytest.mark.parametrize("by", ["site", "site_uid"])
def test_detail_shows_a_coordinator_all_and_a_participant_its_own(router: Router, project: Project, by: str) -> None:
    runs = project.open()
    members = router.get("project-participants/lookup/", project=project.id).json()
    for number, (site, member) in enumerate(zip(project.sites, members, strict=True)):
        named = site["id"] if by == "site" else site["uid"]
        answer = router.get("runs/detail/", batch=1, project=project.id, **{by: named})
        assert answer.status == 200
        detail = answer.json()
        assert detail["participant"] == member["id"]
        assert [run["id"] for run in detail["runs"]] == ([runs[number]] if number else runs)
        assert all(set(run) >= RUN for run in detail["runs"])


def test_detail_without_a_usable_query(router: Router, project: Project) -> None:
    project.open()
    whole: dict[str, Any] = {"batch": 1, "project": project.id, "site": project.sites[0]["id"]}
    for name in whole:
        for wrong in ("x", ""):
            assert router.get("runs/detail/", **{**whole, name: wrong}).status == 400
        assert router.get("runs/detail/", **{key: value for key, value in whole.items() if key != name}).status == 400
    assert router.get("runs/detail/", **{**whole, "batch": 2}).status == 404
    assert router.get("runs/detail/", **{**whole, "project": 999_999_999}).status == 404
    assert router.get("runs/detail/", **{**whole, "site": new_site(router)["id"]}).status == 404


def test_a_site_that_joins_later_is_in_the_next_batch(router: Router, project: Project) -> None:
    first = project.open()
    site = new_site(router)
    body = {"site": site["id"], "project": project.id, "role": "PA", "notes": ""}
    assert router.post("project-participants/", body).status == 201
    assert len(router.get("runs/detail/", batch=1, project=project.id, site=project.sites[0]["id"]).json()["runs"]) == len(first)
    project.end()
    router.post("runs", {"project": project.id})
    assert len(router.get("runs/detail/", batch=2, project=project.id, site=project.sites[0]["id"]).json()["runs"]) == len(first) + 1
