"""What a site tells while it works: kept in every state of its run, read by those who see it, and no change of anything."""

import itertools
import json
from operator import methodcaller
from typing import Any

import pytest

from starfish.protocol.problems import Invalid, TooLarge
from starfish.protocol.run_state import RunStatus
from starfish.router import telemetry
from starfish.router.actions import telemetry as actions
from starfish.router.hub import hub
from starfish.router.live import reports
from starfish.router.models import Run, RunLines, RunProgress
from tests.router.world import ROUND, Http, World, expect, statuses

REPORT = {"round": 1, "step": "train", "fraction": 0.25, "metrics": {"loss": 0.5, "rows": 12}, "message": "epoch 3"}


@pytest.fixture(autouse=True)
def _new_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starfish.router.live.telemetry.pace", reports.Pace())


def tell(http: Http, run: Run, lines: str, key: str | None = None) -> int:
    headers = {"idempotency-key": key} if key else {}
    return int(http.send("POST", f"runs/{run.pk}/lines/", {"lines": lines}, **headers).status_code)


def report(http: Http, run: Run, **changes: Any) -> Any:
    return http.send("POST", f"runs/{run.pk}/progress/", REPORT | changes)


def test_lines_come_back_in_order_with_where_the_run_was(world: World) -> None:
    runs = world.open()
    assert tell(world.member.http, runs[1], "prepared\nä €\t\x1b[31m") == 201
    world.drive(*ROUND, RunStatus.STANDBY)
    assert tell(world.member.http, runs[1], "second round") == 201
    assert tell(world.other.http, runs[2], "another site's") == 201
    first, second = world.owner.http.get(f"runs/{runs[1].pk}/lines/").json()
    assert first == {"id": first["id"], "task_seq": 1, "round_seq": 1, "at": first["at"], "lines": "prepared\nä €\t\x1b[31m"}
    assert (second["round_seq"], second["lines"], first["at"] < second["at"]) == (2, "second round", True)
    assert world.member.http.get(f"runs/{runs[1].pk}/lines/", after=first["id"]).json() == [second]
    assert world.member.http.get(f"runs/{runs[1].pk}/lines/", after=second["id"]).json() == []


def test_reports_come_back_as_they_came(world: World) -> None:
    runs = world.open()
    assert report(world.member.http, runs[1]).status_code == 201
    assert world.member.http.send("POST", f"runs/{runs[1].pk}/progress/", {"round": 2, "step": 7}).status_code == 201
    first, second = world.owner.http.get(f"runs/{runs[1].pk}/progress/").json()
    assert first == {"id": first["id"], "task_seq": 1, "round_seq": 1, "at": first["at"], **REPORT}
    assert second == {**second, "round": 2, "step": 7, "fraction": None, "metrics": {}, "message": ""}
    assert world.owner.http.get(f"runs/{runs[1].pk}/progress/", after=first["id"]).json() == [second]


def test_the_last_report_is_part_of_a_run_where_one_run_or_a_batch_is_shown(world: World) -> None:
    runs = world.open()
    report(world.member.http, runs[1], fraction=0.5)
    report(world.member.http, runs[1], fraction=1)
    report(world.other.http, runs[2], fraction=0)
    last = world.member.http.get(f"runs/{runs[1].pk}/").json()["progress"]
    assert last == world.member.http.get(f"runs/{runs[1].pk}/progress/").json()[-1]
    detail = world.owner.http.get("runs/detail/", project=world.project.pk, batch=1, site=world.owner.site.pk).json()["runs"]
    assert [run["progress"] and run["progress"]["fraction"] for run in detail] == [None, 1, 0]
    own = world.member.http.get("runs/detail/", project=world.project.pk, batch=1, site=world.member.site.pk).json()["runs"]
    assert [run["progress"] for run in own] == [last]
    listed = world.owner.http.get("runs/").json()["results"]
    active = world.owner.http.get("runs/active/").json()
    merged = world.owner.http.get("runs/lookup/", project=world.project.pk).json()
    assert not any("progress" in run for run in [*listed, *active, *merged])


@pytest.mark.parametrize("what", ["lines", "progress"])
def test_the_coordinator_sees_all_a_participant_its_own_and_the_site_alone_tells(world: World, what: str) -> None:
    runs = world.open()
    body = {"lines": "x"} if what == "lines" else REPORT
    for run, seen, told in (
        (runs[0], expect(200, 200, 404, 404, 404), expect(201, 201, 404, 404, 404)),
        (runs[1], expect(200, 200, 200, 404, 404), expect(201, 403, 201, 404, 404)),
    ):
        path = f"runs/{run.pk}/{what}/"
        assert statuses(world, methodcaller("send", "POST", path, body)) == told
        assert statuses(world, methodcaller("get", path)) == seen
        assert len(world.admin.get(path).json()) == 2
    for method in ("PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        assert world.member.http.send(method, f"runs/{runs[1].pk}/{what}/", body).status_code == 405
    for run_id, status in (("x", 400), ("-1", 400), (10**30, 404), (runs[2].pk + 1000, 404)):
        assert world.member.http.get(f"runs/{run_id}/{what}/").status_code == status
        assert world.member.http.send("POST", f"runs/{run_id}/{what}/", body).status_code == status
    for after in ("x", "-1", "", "1.5", 10**19):
        assert world.member.http.get(f"runs/{runs[1].pk}/{what}/", after=after).status_code == 400


@pytest.mark.parametrize("end", [RunStatus.FAILED, RunStatus.SUCCESS])
def test_telling_works_in_every_state_and_changes_nothing(world: World, end: RunStatus) -> None:
    runs = world.open()
    http, path = world.member.http, f"runs/active/?site_uid={world.member.site.uid}"
    rest = (RunStatus.STANDBY, *ROUND, RunStatus.STANDBY, *ROUND)
    for status in (None, *ROUND, *(rest if end is RunStatus.SUCCESS else ()), end):
        if status is not None:
            world.drive(status)
        before, etag = Run.objects.get(pk=runs[1].pk), http.get(path).headers["ETag"]
        changes = hub.changes(world.member.site.pk), hub.changes(world.owner.site.pk)
        assert tell(http, runs[1], f"in {status}") == 201
        actions.report(before, REPORT)
        after = Run.objects.get(pk=runs[1].pk)
        assert (after.status, after.updated_at) == (before.status, before.updated_at)
        assert http.get(path).headers["ETag"] == etag
        assert (hub.changes(world.member.site.pk), hub.changes(world.owner.site.pk)) == changes
    assert RunLines.objects.latest("id").text == f"in {end}"
    assert RunProgress.objects.count() == RunLines.objects.count()


def test_a_repeat_with_its_key_adds_nothing(world: World) -> None:
    runs = world.open()
    assert [tell(world.member.http, runs[1], "once", key="k") for _ in range(3)] == [201] * 3
    assert tell(world.member.http, runs[1], "other", key="k") == 422
    assert tell(world.member.http, runs[1], "once") == 201
    assert [row.text for row in RunLines.objects.all()] == ["once", "once"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "JSON parse error"),
        (b"[]", 400, "the body"),
        (b"{}", 400, "lines: Field required"),
        ({"lines": ""}, 400, "lines: String should have at least 1 character"),
        ({"lines": ["a"]}, 400, "lines: Input should be a valid string"),
        ({"lines": "a", "more": 1}, 400, "more: Extra inputs"),
        ({"lines": "a\0b"}, 400, "NUL"),
        ('{"lines": "\\ud800"}', 400, "surrogate"),
        ({"lines": "x" * 65_537}, 400, "lines: String should have at most 65536 characters"),
        ({"lines": "ä" * 32_769}, 413, "At most 65536 bytes"),
        ({"lines": "x" * 600_000}, 413, "At most 524288 bytes"),
        ({"lines": "x" * 65_536}, 201, ""),
        ({"lines": "\x01" * 65_536}, 201, ""),
    ],
)
def test_lines_that_are_none(world: World, body: Any, status: int, words: str) -> None:
    run = world.open()[1]
    answer = world.member.http.send("POST", f"runs/{run.pk}/lines/", body)
    assert (answer.status_code, words in answer.content.decode()) == (status, True), answer.content
    assert RunLines.objects.count() == (status == 201)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"round": "1"}, "round: "),
        ({"round": -1}, "round: "),
        ({"round": 2**31}, "round: "),
        ({"round": True}, "round: "),
        ({"step": ""}, "step."),
        ({"step": None}, "step."),
        ({"step": "s" * 101}, "step."),
        ({"fraction": 1.01}, "fraction: "),
        ({"fraction": -0.1}, "fraction: "),
        ({"fraction": "half"}, "fraction: "),
        ({"metrics": {"loss": "low"}}, "metrics.loss: "),
        ({"metrics": {"loss": None}}, "metrics.loss: "),
        ({"metrics": {"loss": True}}, "metrics.loss: "),
        ({"metrics": {"": 1}}, "metrics."),
        ({"metrics": {"m" * 101: 1}}, "metrics."),
        ({"metrics": {f"m{number}": 1 for number in range(51)}}, "metrics: "),
        ({"metrics": {"loss": float("nan")}}, "NaN"),
        ({"metrics": {"loss": 10**400}}, "metrics.loss: "),
        ({"message": "m" * 501}, "message: "),
        ({"message": "a\0"}, "NUL"),
        ({"site": 3}, "site: Extra inputs"),
    ],
)
def test_reports_that_are_none(world: World, change: dict[str, Any], words: str) -> None:
    run = world.open()[1]
    answer = report(world.member.http, run, **change)
    assert (answer.status_code, words in answer.json()["detail"]) == (400, True), answer.content
    assert not RunProgress.objects.exists()


def test_a_report_has_at_most_16_kib(world: World) -> None:
    run = world.open()[1]
    assert (
        report(world.member.http, run, message="m" * 500, metrics={f"{n:0100}": -1.7976931348623157e308 for n in range(50)}).status_code
        == 201
    )
    assert report(world.member.http, run, message="x" * 17_000).status_code == 413


def test_a_run_reports_a_few_times_a_second_and_is_told_when_it_is_too_often(world: World) -> None:
    runs = world.open()
    answers = [report(world.member.http, runs[1]) for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 0 < len(refused) <= 15
    assert (refused[0]["Retry-After"], refused[0].json()["code"]) == ("1", "too-many")
    assert report(world.other.http, runs[2]).status_code == 201, "each run has its own pace"
    assert RunProgress.objects.filter(run=runs[1]).count() == len(answers) - len(refused)


def test_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count()
    monkeypatch.setattr("starfish.router.live.reports.time.monotonic", lambda: next(now) / 100)
    pace = reports.Pace()
    assert 50 <= sum(pace.allows(1) for _ in range(1000)) <= 55, "five a second for ten seconds, and five at the beginning"
    for run in range(2 * pace.REMEMBERED):
        pace.allows(run)
    assert len(pace._left) == pace.REMEMBERED


def test_a_series_keeps_the_newest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "REPORTS_KEPT", 5)
    runs = world.open()
    for number in range(8):
        for run in runs[1:]:
            actions.report(run, REPORT | {"round": number})
    assert [row["round"] for row in world.member.http.get(f"runs/{runs[1].pk}/progress/").json()] == [3, 4, 5, 6, 7]
    assert RunProgress.objects.count() == 10


def test_series_come_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = world.open()
    texts = ["a" * 10, "b" * 10, "c" * 30, "d", "e"]
    for text in texts:
        assert tell(world.member.http, runs[1], text) == 201
        actions.report(runs[1], REPORT)
    monkeypatch.setattr(telemetry, "PAGE_ROWS", 3)
    monkeypatch.setattr(telemetry, "PAGE_CHARACTERS", 20)
    pages = [*read(world.owner.http, f"runs/{runs[1].pk}/lines/")]
    assert [[row["lines"][0] for row in page] for page in pages] == [["a", "b"], ["c"], ["d", "e"]]
    assert [len(page) for page in read(world.owner.http, f"runs/{runs[1].pk}/progress/")] == [3, 2]


def read(http: Http, path: str) -> Any:
    after = 0
    while page := http.get(path, after=after).json():
        yield page
        after = page[-1]["id"]


def test_add_lines_says_what_it_does_not_take(world: World) -> None:
    run = world.open()[1]
    for text, refusal in (("", Invalid), ("a\0", Invalid), ("\udc80", Invalid), ("x" * 65_537, TooLarge)):
        with pytest.raises(refusal):
            actions.add_lines(run, text)
    actions.add_lines(run, "x")
    assert RunLines.objects.get().text == "x"


def test_a_refusal_is_a_problem_document(world: World) -> None:
    run = world.open()[1]
    answer = world.owner.http.send("POST", f"runs/{run.pk}/lines/", {"lines": "x"})
    assert answer["Content-Type"] == "application/problem+json"
    assert json.loads(answer.content)["code"] == "forbidden"
