"""The wire's objects: read as the contract says, or not at all."""

from copy import deepcopy
from typing import Any

import pytest

from starfish.protocol.messages import ForeignAnswer, Membership, Project, Run, Site
from starfish.protocol.run_state import RunStatus

UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
SITE = {"id": 3, "name": "A", "description": "d", "uid": UID, "status": "Disconnected"}
PROJECT = {"id": 1, "name": "p", "site": 3}
RUN: dict[str, Any] = {
    "id": 5,
    "project": 1,
    "batch": 2,
    "participant": 9,
    "role": "coordinator",
    "site_uid": UID,
    "cur_seq": 2,
    "status": "Pending Aggregating",
    "logs": ["x"],
    "artifacts": [],
    "middle_artifacts": [],
    "tasks": [
        {"seq": 1, "model": "M", "config": {"total_round": 3, "current_round": 3}},
        {"seq": 2, "model": "N", "config": {"total_round": 2, "current_round": 1}},
    ],
    "agent_advice": {},
    "updated_at": "2026-11-24T10:00:00.000001Z",
    "added_later": True,
}


def test_a_run_flat_and_nested_is_the_same_run() -> None:
    flat = Run.from_json(RUN)
    nested = Run.from_json({**RUN, "project": {**PROJECT}, "participant": {"id": 9}})
    assert flat == nested
    assert flat.status is RunStatus.PENDING_AGGREGATING
    assert flat.coordinates
    assert flat.position == (2, 1)
    assert flat.task["model"] == "N"
    assert flat.last_task
    assert not flat.last_round
    assert flat.updated_at.tzinfo is not None


@pytest.mark.parametrize("key", ["id", "project", "batch", "role", "site_uid", "cur_seq", "status", "logs", "tasks", "updated_at"])
@pytest.mark.parametrize("value", [None, {}, 1.5])
def test_a_run_is_complete_and_typed(key: str, value: object) -> None:
    raw = deepcopy(RUN)
    raw[key] = value
    with pytest.raises(ForeignAnswer):
        Run.from_json(raw)


@pytest.mark.parametrize("uid", ["", "u", "../../../etc/cron.d/x", UID.upper(), "{" + UID + "}", UID.replace("-", "")])
def test_a_uid_that_would_name_another_file_is_refused(uid: str) -> None:
    with pytest.raises(ForeignAnswer, match="no UUID"):
        Run.from_json({**RUN, "site_uid": uid})
    with pytest.raises(ForeignAnswer, match="no UUID"):
        Site.from_json({**SITE, "uid": uid})


def test_a_task_that_is_not_there() -> None:
    with pytest.raises(ForeignAnswer, match="no task 3"):
        _ = Run.from_json({**RUN, "cur_seq": 3}).task


def test_a_site_and_a_membership() -> None:
    assert not Site.from_json(SITE).connected
    member = Membership.from_json({"id": 9, "site": SITE, "project": PROJECT, "role": "participant", "notes": ""})
    assert (member.site.name, member.project.id, member.role) == ("A", 1, "participant")
    with pytest.raises(ForeignAnswer):
        Membership.from_json({"id": 9, "site": 3, "project": PROJECT, "role": "participant", "notes": ""})


def test_what_an_outsider_sees_of_a_project_is_a_project_too() -> None:
    outside = Project.from_json(PROJECT)
    assert (outside.batch, list(outside.tasks), dict(outside.definition)) == (0, [], {})
    with pytest.raises(ForeignAnswer):
        Project.from_json({"id": 1, "site": 3})
