"""An invitation project through the client and a real Routing Server; and answers that no Routing Server gives."""

import base64
import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from starfish.protocol.messages import ForeignAnswer, InvitationState, Letter, ProgressReport, Project, texts
from starfish.protocol.run_state import RunStatus as S
from starfish.sdk import Conflict, Forbidden, Invalid, NotFound
from tests.sdk.test_with_router import Member, active, enrol
from tests.support.servers import Server

AGE = b"age-encryption.org/v1\n"
ENVELOPE = b"starfish-envelope/1\n" + AGE
TASKS = [{"seq": 1, "model": "M", "config": {"total_round": 5}}]
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
INVITATION = {
    "id": "0" * 32,
    "project": {"id": 1, "name": "p", "uid": "1" * 32},
    "coordinator": {"id": 2, "uid": UID, "name": "A"},
    "site": "B",
    "state": "open",
    "expires": "2026-12-24T10:00:00.000000Z",
    "request": None,
    "answer": None,
    "cards": ["card"],
}


def card(version: int) -> str:
    return f"starfish/card/1\n{json.dumps({'version': version})}\nsignature\n"


def test_a_project_by_invitation_from_its_cards_to_its_first_round(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("serve")
    a, b, c = (enrol(server, name) for name in "ABC")
    for _ in range(2):
        a.client.post_card(a.site.id, card(1))
    a.client.post_card(a.site.id, card(2))
    with pytest.raises(Conflict):
        a.client.post_card(a.site.id, card(4))
    assert a.client.cards(a.site.uid) == [card(1), card(2)]

    uid = secrets.token_hex(16)
    project = a.client.create_project("p", "", a.site.id, TASKS, {}, uid=uid, joining="invitation")
    assert (project.uid, project.joining, project.sealed) == (uid, "invitation", True)
    with pytest.raises(NotFound):
        b.client.project_by_name("p")
    with pytest.raises(NotFound):
        b.client.join(project.id, b.site.id)
    join(a, b, c, project.id)
    assert b.client.project(project.id) == project

    letters(a, b, project.id)
    with pytest.raises(Invalid, match="sealed"):
        a.client.start_batch(project.id)
    with pytest.raises(Conflict, match="is 1"):
        a.client.start_batch(project.id, number=2, order=AGE + b"order")
    for _ in range(2):
        a.client.start_batch(project.id, number=1, order=AGE + b"order")
    with pytest.raises(Conflict):
        a.client.put_letter(project.id, 3, b.site.uid, AGE)
    first, second = sorted(active(a), key=lambda run: run.role)
    assert (a.client.order(first.id), b.client.order(second.id)) == (AGE + b"order", AGE + b"order")
    with pytest.raises(NotFound):
        b.client.order(first.id)
    send(b, second.id, tmp_path)
    for member in (a, b, c):
        member.client.close()


def join(a: Member, b: Member, c: Member, project: int) -> None:
    """B joins, and C sees nothing of it."""
    ids = [secrets.token_hex(16) for _ in range(3)]
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=7)
    for id in ids:
        for _ in range(2):
            a.client.invite(project, id, "B", expires)
    seen = b.client.invitation(ids[0])
    assert (seen.project.id, seen.coordinator.uid, seen.site, seen.state, seen.expires) == (project, a.site.uid, "B", "open", expires)
    assert (seen.request, seen.answer, seen.cards) == (None, None, [card(1), card(2)])
    assert b.client.cards(a.site.uid) == [card(1), card(2)]
    for refused in (
        lambda: c.client.invitation(ids[0]),
        lambda: c.client.cards(a.site.uid),
        lambda: c.client.ask_to_join(ids[0], c.site.id, "x"),
    ):
        with pytest.raises(NotFound):
            refused()
    for _ in range(2):
        b.client.ask_to_join(ids[0], b.site.id, "request")
    with pytest.raises(Forbidden):
        b.client.answer_request(ids[0], True, "answer")
    for _ in range(2):
        a.client.answer_request(ids[0], True, "answer")
        a.client.withdraw(ids[1])
    with pytest.raises(Conflict) as late:
        b.client.ask_to_join(ids[1], b.site.id, "request")
    assert late.value.extra["state"] == "withdrawn"
    assert [it.state for it in a.client.invitations(project)] == ["approved", "withdrawn", "open"]
    assert (b.client.invitation(ids[0]).request, b.client.invitation(ids[0]).answer) == ("request", "answer")


def letters(a: Member, b: Member, project: int) -> None:
    data = AGE + secrets.token_bytes(1_000_000)
    for version, sent in ((1, AGE), (2, data), (2, data)):
        a.client.put_letter(project, version, b.site.uid, sent)
    with pytest.raises(Conflict):
        a.client.put_letter(project, 1, b.site.uid, AGE + b"other")
    assert b.client.letters(project, b.site.uid)[-1] == Letter(version=2, size=len(data), sha256=sha256(data).hexdigest())
    assert b.client.letter(project, 2, b.site.uid) == a.client.letter(project, 2, b.site.uid) == data
    for refused in (lambda: b.client.letters(project, a.site.uid), lambda: b.client.letter(project, 1, a.site.uid)):
        with pytest.raises(NotFound):
            refused()


def send(b: Member, run: int, folder: Path) -> None:
    """What is open is refused on its way, and what is sealed arrives."""
    file = folder / "file"
    for size in (10, 1_000_000, 60_000_000):
        file.write_bytes(b"open".ljust(size, b"\0"))
        with pytest.raises(Invalid, match="no envelope"):
            b.client.put_artifact(run, 1, 1, "logs", "logs.txt", file, sha256=sha256(file.read_bytes()).hexdigest())
        with pytest.raises(Invalid, match="no envelope"):
            b.client.upload(run, 1, 1, "logs", "logs.txt", file)
    file.write_bytes(ENVELOPE + secrets.token_bytes(3_000_000))
    digest = sha256(file.read_bytes()).hexdigest()
    b.client.put_artifact(run, 1, 1, "mid_artifacts", "mid-artifacts", file, sha256=digest)
    assert b.client.get_artifact(run, 1, 1, "mid_artifacts", "mid-artifacts", folder / "back") == digest
    with pytest.raises(Invalid):
        b.client.add_lines(run, "open")
    line = base64.b64encode(ENVELOPE).decode()
    b.client.add_lines(run, f"{line}\n{line}")
    with pytest.raises(Invalid):
        b.client.report_progress(run, round_seq=1, step=1, message="open")
    assert b.client.report_progress(run, round_seq=1, step=1, fraction=0.5, sealed=ENVELOPE)
    told = b.client.run(run)
    assert told.progress is not None
    assert (told.progress.sealed, told.progress.metrics, told.progress.message) == (ENVELOPE, {}, "")
    assert (told.status, [it.sealed for it in b.client.progress(run)]) == (S.STANDBY, [ENVELOPE])


def test_the_messages_are_what_was_said() -> None:
    read = InvitationState.from_json(INVITATION)
    assert (read.project.uid, read.coordinator.name, read.expires) == ("1" * 32, "A", datetime(2026, 12, 24, 10, tzinfo=UTC))
    assert InvitationState.from_json({key: value for key, value in INVITATION.items() if key != "cards"}).cards == ()
    assert Letter.from_json({"version": 1, "size": 2, "sha256": "a" * 64}) == Letter(version=1, size=2, sha256="a" * 64)
    summary = Project.from_json({"id": 1, "name": "p", "site": 2})
    assert (summary.uid, summary.joining, summary.sealed) == ("", "by-name", False)


@pytest.mark.parametrize(
    "change",
    [
        *[{key: None} for key in INVITATION if key not in ("request", "answer")],  # a list's has no cards, but none has null
        *[{"id": id} for id in ("0" * 31, "A" * 32, 7)],
        *[{"state": state} for state in ("", "Open", "done", 1)],
        *[{"expires": expires} for expires in ("soon", 7, "")],
        *[{"cards": cards} for cards in ("card", [1], [None], {})],
        *[{key: 7} for key in ("request", "answer", "site")],
        {"project": {"id": 1, "name": "p", "uid": "1" * 31}},
        {"project": {"id": "1", "name": "p", "uid": "1" * 32}},
        {"coordinator": {"id": 2, "uid": "A", "name": "A"}},
        {"coordinator": {"id": 2, "uid": UID}},
    ],
)
def test_an_invitation_that_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ForeignAnswer):
        InvitationState.from_json(INVITATION | change)


def test_other_answers_that_are_none() -> None:
    letter = {"version": 1, "size": 2, "sha256": "a" * 64}
    for change in ({"version": "1"}, {"size": None}, {"sha256": "a" * 63}, {"sha256": "A" * 64}):
        with pytest.raises(ForeignAnswer):
            Letter.from_json(letter | change)
    project = {"id": 1, "name": "p", "site": 2}
    for change in ({"uid": "x"}, {"uid": None}, {"joining": "sealed"}, {"joining": None}):
        with pytest.raises(ForeignAnswer):
            Project.from_json(project | change)
    report = {"id": 1, "task_seq": 1, "round_seq": 1, "at": "2026-11-24T10:00:00Z", "round": 1, "step": 1, "fraction": None}
    for change in ({"sealed": "?"}, {"sealed": None}, {"metrics": {}}):
        with pytest.raises(ForeignAnswer):
            ProgressReport.from_json(report | change)
    for raw in (None, "card", {"0": "card"}, [["card"]]):
        with pytest.raises(ForeignAnswer):
            texts(raw)
