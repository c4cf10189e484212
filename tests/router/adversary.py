"""Sites that do what is next, old ways and new, over a network that repeats, delays, reorders and loses what they send."""

import base64
import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starfish.protocol.run_state import RunStatus as S

Runs = Sequence[Mapping[str, Any]]
READY = (S.PREPARING, S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING)


@dataclass(frozen=True, kw_only=True)
class Request:
    """Something that a site sends. `exact`: it names its key or its bytes, so that the router can tell a repeat of it from news."""

    who: int
    method: str
    path: str
    body: Any = None
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    exact: bool


class Door(Protocol):
    """How a request reaches the router."""

    def knock(self, request: Request) -> int:
        """The answer's status."""


@dataclass
class Network:
    """What is on its way, and what has arrived before."""

    door: Door
    flying: list[Request] = field(default_factory=list)
    taken: list[Request] = field(default_factory=list)

    def deliver(self, request: Request) -> int:
        status = self.door.knock(request)
        assert status < 500, (request, status)
        if status < 300:
            self.taken.append(request)
        return status


def update_of(run: Mapping[str, Any]) -> bytes:
    """The same bytes whenever this round is computed."""
    return hashlib.sha256(f"{run['id']} {place(run)}".encode()).digest()


def place(run: Mapping[str, Any]) -> tuple[int, int]:
    return run["cur_seq"], run["tasks"][run["cur_seq"] - 1]["config"]["current_round"]


def is_last(run: Mapping[str, Any]) -> bool:
    seq, turn = place(run)
    return seq == len(run["tasks"]) and turn >= run["tasks"][seq - 1]["config"]["total_round"]


def follows(tasks: Sequence[Mapping[str, Any]], before: tuple[int, int], here: tuple[int, int]) -> bool:
    """Whether that is the same round, or the one right after it."""
    seq, turn = before
    ended = turn >= tasks[seq - 1]["config"]["total_round"]
    return here in (before, (seq + 1, 1) if ended else (seq, turn + 1))


def next_request(who: int, uid: str, runs: Runs, *, new: bool) -> Request | None:
    """What a site does next, by what it has been told; `new`: by steps. None: it waits for others."""
    own = next((run for run in runs if run["site_uid"] == uid), None)
    if own is None:
        return None
    batch = [run for run in runs if (run["project"], run["batch"]) == (own["project"], own["batch"])]
    states, state, coordinates = {S.from_word(run["status"]) for run in batch}, S.from_word(own["status"]), own["role"] == "coordinator"
    over = is_last(own)
    if state is S.PENDING_FAILED:
        return moved(who, own, S.FAILED, new=new)
    if state is S.STANDBY:
        return moved(who, own, S.PREPARING, new=new)
    if state is S.RUNNING:
        return (
            stepped(who, own, S.PENDING_SUCCESS, S.PENDING_AGGREGATING, kind="mid_artifacts") if new else moved(who, own, S.PENDING_SUCCESS)
        )
    if state is S.PENDING_SUCCESS:
        return moved(who, own, S.PENDING_AGGREGATING, new=new)
    if coordinates and S.PREPARING in states and states <= {*READY}:
        return moved(who, own, S.RUNNING, everyone=True, new=new)
    if coordinates and states == {S.PENDING_AGGREGATING}:
        if new:
            chain = [S.AGGREGATING, S.SUCCESS] if over else [S.AGGREGATING, S.STANDBY, S.PREPARING]
            return stepped(who, own, *chain, everyone=True, kind="artifacts")
        return moved(who, own, S.AGGREGATING, everyone=True)
    if coordinates and state is S.AGGREGATING:
        return moved(who, own, S.SUCCESS if over else S.STANDBY, everyone=True, new=new)
    return None


def moved(who: int, run: Mapping[str, Any], to: S, *, everyone: bool = False, new: bool = False) -> Request:
    if new:
        return stepped(who, run, to, everyone=everyone)
    flags = {"update_all": everyone, "increase_round": everyone and to is S.STANDBY}
    return Request(who=who, method="PUT", path=f"runs/{run['id']}/status/", body={"status": int(to), **flags}, exact=False)


def stepped(who: int, run: Mapping[str, Any], *to: S, everyone: bool = False, kind: str | None = None) -> Request:
    """A chain of moves, with this round's file; a coordinator's that ends in Preparing lets the round begin by itself."""
    seq, turn = place(run)
    body: dict[str, Any] = {"from": int(S.from_word(run["status"])), "to": [int(one) for one in to], "batch": run["batch"]}
    body |= {"task_seq": seq, "round_seq": turn, "all": everyone}
    body["begin"] = everyone and to[-1] is S.PREPARING
    if kind:
        body["artifact"] = {"kind": kind, "name": name_of(kind), "data": base64.b64encode(update_of(run)).decode()}
    return Request(
        who=who, method="POST", path=f"runs/{run['id']}/step/", body=body, headers=key() | {"Prefer": "return=minimal"}, exact=True
    )


def streamed(who: int, run: Mapping[str, Any], kind: str) -> Request:
    """A file of the present round."""
    data, (seq, turn) = update_of(run), place(run)
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    path = f"runs/{run['id']}/artifacts/{seq}/{turn}/{kind}/{name_of(kind)}"
    return Request(who=who, method="PUT", path=path, raw=data, headers={"Repr-Digest": f"sha-256=:{digest}:"}, exact=True)


def acted(who: int, run: Mapping[str, Any], action: str) -> Request:
    """Stop or restart, the whole batch where the coordinator asks."""
    body = {"run": run["id"], "role": run["role"], "action": action, "project": run["project"], "batch": run["batch"]}
    return Request(who=who, method="PUT", path="runs-action/update/", body=body, exact=False)


def started(who: int, project: int) -> Request:
    return Request(who=who, method="POST", path="runs/", body={"project": project}, headers=key(), exact=True)


def name_of(kind: str) -> str:
    return {"mid_artifacts": "mid-artifacts", "artifacts": "artifacts", "logs": "logs.txt"}[kind]


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}
