"""Sites, projects and batches made through the wire, each under a name of its own, for tests that share one server."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.part_a.controller import (
    AGGREGATING,
    FAILED,
    PENDING_AGGREGATING,
    PENDING_FAILED,
    PENDING_SUCCESS,
    PREPARING,
    RUNNING,
    STANDBY,
    SUCCESS,
)
from tests.part_a.wire import Answer, Router

THREE_ROUNDS = ({"seq": 1, "model": "Mean", "config": {"total_round": 3, "current_round": 1}},)
WORDS = (
    "Failed",
    "Pending Failed",
    "Standby",
    "Preparing",
    "Running",
    "Pending Success",
    "Pending Aggregating",
    "Aggregating",
    "Success",
)


def made(answer: Answer) -> Any:
    """The object that a creating POST answered. Raises AssertionError with the answer when it refused."""
    assert answer.status == 201, f"{answer.status} {answer.body[:500]!r}"
    return answer.json()


def new_site(router: Router, name: str = "site") -> Any:
    """A site that is Connected, as new sites are."""
    return made(router.post("sites/", {"uid": str(uuid.uuid4()), "name": f"{name} {secrets.token_hex(4)}", "description": "of a test"}))


@dataclass(kw_only=True)
class Project:
    """A project with its member sites, the coordinator's first, and the batch that was opened last."""

    router: Router
    id: int
    sites: Sequence[Mapping[str, Any]]
    batch: int = 0
    ids: Sequence[int] = ()

    @classmethod
    def create(cls, router: Router, sites: int = 3, tasks: Sequence[Mapping[str, Any]] = THREE_ROUNDS) -> "Project":
        members = [new_site(router, f"site {number}") for number in range(sites)]
        body = {"name": f"project {secrets.token_hex(4)}", "description": "", "site": members[0]["id"], "tasks": list(tasks)}
        project = made(router.post("projects/", body))
        for site in members[1:]:
            made(router.post("project-participants/", {"site": site["id"], "project": project["id"], "role": "PA", "notes": ""}))
        return cls(router=router, id=project["id"], sites=members)

    def read(self) -> Any:
        return self.router.get(f"projects/{self.id}/").json()

    def open(self) -> Sequence[int]:
        """Opens the next batch; the ids of its runs in the order of the sites."""
        answer = self.router.post("runs", {"project": self.id})
        assert (answer.status, answer.body) == (201, b""), f"{answer.status} {answer.body[:500]!r}"
        self.batch = self.read()["batch"]
        self.ids = [run["id"] for run in self.runs()]
        return self.ids

    def runs(self) -> list[dict[str, Any]]:
        """The runs of the last batch in the order of the sites, as the coordinator sees them."""
        batch = self.batch or self.read()["batch"]
        answer = self.router.get("runs/detail/", batch=batch, project=self.id, site=self.sites[0]["id"])
        assert answer.status == 200, answer.body
        by_site = {run["site_uid"]: run for run in answer.json()["runs"]}
        return [by_site[site["uid"]] for site in self.sites]

    def words(self) -> list[str]:
        return [run["status"] for run in self.runs()]

    def drive(self, status: int) -> None:
        """Takes the batch from Standby to `status` by legal moves alone."""
        coordinator, *_ = runs = self.ids
        each, batch = {PREPARING, PENDING_SUCCESS, PENDING_AGGREGATING}, {RUNNING, AGGREGATING, SUCCESS}
        path = [] if status == STANDBY else [status] if status in (FAILED, PENDING_FAILED) else range(PREPARING, status + 1)
        for step in path:
            for run in runs if step in each else [coordinator]:
                accepted(self.router.status(run, step, update_all=step in batch or step in (FAILED, PENDING_FAILED)))
        assert self.words() == [WORDS[status]] * len(runs)

    def next_round(self) -> None:
        """From Aggregating to the Standby of the next round."""
        accepted(self.router.status(self.ids[0], STANDBY, update_all=True, increase_round=True))

    def end(self) -> None:
        """Whatever it is in: over, so that the next batch may open."""
        accepted(self.router.status(self.ids[0], FAILED, update_all=True))


def accepted(answer: Answer) -> None:
    """202 without content. Raises AssertionError with the answer otherwise."""
    assert (answer.status, answer.body) == (202, b""), f"{answer.status} {answer.body[:500]!r}"
