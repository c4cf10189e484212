"""The contract's objects and enumerations, key by key and word by word."""

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.part_a.controller import PREPARING, SUCCESS
from tests.part_a.wire import Answer, File, Router
from tests.part_a.world import WORDS, Project, made, new_site

SITE = {"id", "name", "description", "uid", "status", "created_at", "updated_at"}
PROJECT = {"id", "name", "description", "site", "batch", "tasks", "agent_config", "agent_log", "definition", "created_at", "updated_at"}
PARTICIPANT = {"id", "site", "project", "role", "notes", "created_at", "updated_at"}
RUN = {
    *("id", "project", "batch", "participant", "role", "site_uid", "cur_seq", "status", "logs", "artifacts", "middle_artifacts", "tasks"),
    *("agent_advice", "agent_diagnosis", "created_at", "updated_at"),
}
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def is_now(timestamp: str) -> bool:
    """ISO 8601 with microseconds and Z; clients cut the last character and parse the rest."""
    assert TIMESTAMP.fullmatch(timestamp), timestamp
    return abs((datetime.fromisoformat(timestamp[:-1]).replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds()) < 60


def has_keys(answer: Answer, keys: set[str]) -> Any:
    """The object. Part B may add keys, Part A's are all there."""
    found = answer.json()
    assert keys <= set(found), keys - set(found)
    assert is_now(found["created_at"])
    assert is_now(found["updated_at"])
    return found


def test_site(router: Router) -> None:
    uid = str(uuid.uuid4())
    name = f"Hospital {uid}"
    created = router.post("sites/", {"uid": uid, "name": name, "description": "by the sea"})
    assert created.status == 201
    site = has_keys(created, SITE)
    assert (site["uid"], site["name"], site["description"], site["status"]) == (uid, name, "by the sea", "Connected")
    assert has_keys(router.get(f"sites/{site['id']}/"), SITE) == has_keys(router.get("sites/lookup/", uid=uid), SITE)


def test_project(router: Router) -> None:
    site = new_site(router)
    tasks = [{"seq": 1, "model": "LogisticRegression", "config": {"alpha": 0.1}}]
    created = router.post("projects/", {"name": f"p {uuid.uuid4()}", "description": "d", "site": site["id"], "tasks": tasks})
    project = has_keys(created, PROJECT)
    assert (project["site"], project["batch"], project["description"]) == (site["id"], 0, "d")
    assert (project["agent_config"], project["agent_log"], project["definition"]) == ({}, [], {})
    assert project["tasks"] == [{"seq": 1, "model": "LogisticRegression", "config": {"alpha": 0.1, "total_round": 1, "current_round": 1}}]
    assert has_keys(router.get(f"projects/{project['id']}/"), PROJECT)["tasks"] == project["tasks"]
    assert has_keys(router.get("projects/lookup/", name=project["name"]), PROJECT)["id"] == project["id"]


def test_project_keeps_its_definition(router: Router) -> None:
    definition = {"variables": {"age": {"type": "number", "unit": "years"}}, "missing": "refuse", "eligibility": None}
    body = {"name": f"p {uuid.uuid4()}", "site": new_site(router)["id"], "tasks": [], "definition": definition}
    project = made(router.post("projects/", body))
    assert router.get(f"projects/{project['id']}/").json()["definition"] == definition


def test_participant(router: Router, project: Project) -> None:
    site = new_site(router)
    created = router.post("project-participants/", {"site": site["id"], "project": project.id, "role": "PA", "notes": "by telephone"})
    assert created.status == 201
    members = router.get("project-participants/lookup/", project=project.id).json()
    assert [member["site"]["id"] for member in members] == [*(other["id"] for other in project.sites), site["id"]]
    assert [member["role"] for member in members] == ["coordinator", "participant", "participant", "participant"]
    for member in members:
        assert set(member) >= PARTICIPANT
        assert set(member["site"]) >= SITE
        assert set(member["project"]) >= PROJECT
        assert is_now(member["created_at"])
    assert members[-1]["notes"] == "by telephone"
    (membership,) = router.get("projects/lookup/", site_id=site["id"]).json()
    assert membership == members[-1]


def test_run(router: Router, project: Project) -> None:
    members = router.get("project-participants/lookup/", project=project.id).json()
    ids = project.open()
    for run_id, member, site in zip(ids, members, project.sites, strict=True):
        (run,) = [run for run in router.get("runs/active/").json() if run["id"] == run_id]
        assert set(run) >= RUN
        assert (run["project"], run["participant"], run["batch"]) == (project.id, member["id"], 1)
        assert (run["role"], run["site_uid"], run["cur_seq"], run["status"]) == (member["role"], site["uid"], 1, "Standby")
        assert (run["logs"], run["artifacts"], run["middle_artifacts"]) == ([], [], [])
        assert (run["agent_advice"], run["agent_diagnosis"]) == ({}, {})
        assert run["tasks"] == project.read()["tasks"]
        nested = has_keys(router.get(f"runs/{run_id}/"), RUN)
        assert nested["project"]["id"] == project.id
        assert set(nested["project"]) >= PROJECT
        assert nested["participant"]["id"] == member["id"]
        assert set(nested["participant"]) >= PARTICIPANT


@pytest.mark.parametrize(("number", "word"), list(enumerate(WORDS)))
def test_run_status_is_asked_by_number_and_shown_in_words(project: Project, number: int, word: str) -> None:
    project.open()
    project.drive(number)
    assert project.words() == [word] * 3


def test_site_status_words(router: Router) -> None:
    site = new_site(router)
    for number, word in ((0, "Disconnected"), (1, "Connected")):
        assert router.post("sites/heartbeat/", {"uid": site["uid"], "status": number}).status == 202
        assert router.get(f"sites/{site['id']}/").json()["status"] == word


def test_stored_files_are_listed_by_path(router: Router, project: Project) -> None:
    coordinator, participant, _ = project.open()
    project.drive(PREPARING)
    files = [File(field="mid_artifacts", name="mid-artifacts", data=b"1"), File(field="logs", name="logs.txt", data=b"2")]
    assert router.upload(participant, 1, 1, files).status == 200
    run = project.runs()[1]
    assert [path.split("/")[-4:] for path in run["middle_artifacts"]] == [[str(participant), "1", "1", f"{participant}-1-1-mid-artifacts"]]
    assert [path.split("/")[-4:] for path in run["logs"]] == [[str(participant), "1", "1", f"{participant}-1-1-logs.txt"]]
    assert router.upload(coordinator, 1, 1, [File(field="artifacts", name="artifacts", data=b"3")]).status == 200
    assert [path.split("/")[-1] for path in project.runs()[0]["artifacts"]] == [f"{coordinator}-1-1-artifacts"]


@pytest.mark.parametrize("collection", ["sites", "projects", "runs", "users", "groups"])
def test_bare_collections_are_paged(router: Router, collection: str) -> None:
    answer = router.get(f"{collection}/")
    assert answer.status == 200
    assert set(answer.json()) == {"count", "next", "previous", "results"}


def test_pages_hold_twenty(router: Router) -> None:
    for _ in range(21):
        new_site(router)
    first = router.get("sites/").json()
    assert len(first["results"]) == 20
    assert first["previous"] is None
    second = router.get("sites/", page=2).json()
    assert "page=2" in first["next"]
    assert second["previous"]
    assert first["count"] == second["count"] >= 21
    assert not {site["id"] for site in first["results"]} & {site["id"] for site in second["results"]}
    assert router.get("sites/", page=10_000).status == 404


@pytest.mark.parametrize("path", ["runs/active/", "projects/lookup/?site_id={site}", "project-participants/lookup/?project={project}"])
def test_lookups_answer_bare_lists(router: Router, project: Project, path: str) -> None:
    project.open()
    answer = router.get(path.format(site=project.sites[0]["id"], project=project.id))
    assert answer.status == 200
    assert isinstance(answer.json(), list)


def test_runs_of_a_batch_that_ended_are_not_active(router: Router, project: Project) -> None:
    ids = set(project.open())
    assert ids <= {run["id"] for run in router.request("GET", "runs/active/", {}).json()}
    own = router.request("GET", "runs/active/", {}, query={"site_uid": project.sites[1]["uid"]}).json()
    assert [run["site_uid"] for run in own] == [project.sites[1]["uid"]]
    project.drive(SUCCESS)
    assert not ids & {run["id"] for run in router.request("GET", "runs/active/", {}).json()}
