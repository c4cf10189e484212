"""A sealed project's sites send envelopes and nothing else, whatever way they take: what is open is refused before it is kept."""

import base64
import hashlib
import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from starfish.router.actions import telemetry
from starfish.router.live import reports
from starfish.router.models import Artifact, Batch, RunLines, RunProgress, Upload
from tests.router.trust import AGE, BYTES, ENVELOPE, LINE, Sealed
from tests.router.world import Http

OPEN = [b"", b"x", b"starfish-envelope/2\n" + AGE, b"starfish-envelope/1", ENVELOPE[1:], AGE, b" " + ENVELOPE, b"\0" * 100]
SEALED_REPORT = {"round": 1, "step": 3, "fraction": 0.5, "sealed": LINE}


@pytest.fixture(autouse=True)
def _new_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of other tests have the same ids."""
    monkeypatch.setattr("starfish.router.live.telemetry.pace", reports.Pace())


def put(http: Http, run: int, kind: str, data: bytes, *, start: int | None = None, until: int | None = None, name: str = "file") -> Any:
    """A file, or a part of it, as a stream."""
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    headers = {"repr-digest": f"sha-256=:{digest}:", "content-length": str(len(data[start or 0 : until]))}
    if start is not None:
        headers["content-range"] = f"bytes {start}-{(until or len(data)) - 1}/{len(data)}"
    return http.send("PUT", f"runs/{run}/artifacts/1/1/{kind}/{name}", data[start or 0 : until], kind=BYTES, **headers)


def inline(http: Http, run: int, kind: str, data: bytes) -> Any:
    return http.step(run, 2, [3], artifact={"kind": kind, "name": "inline", "data": base64.b64encode(data).decode()})


def kept(settings: Any) -> list[bytes]:
    return [path.read_bytes() for path in settings.ARTIFACTS_DIR.rglob("*") if path.is_file()]


@pytest.mark.parametrize("data", OPEN)
@pytest.mark.parametrize("kind", ["mid_artifacts", "artifacts", "logs"])
def test_open_files_are_refused_and_nothing_of_them_is_kept(sealed: Sealed, settings: Any, kind: str, data: bytes) -> None:
    run = sealed.open()[0].pk
    http = sealed.world.owner.http
    for refused in (http.upload(run, kind, data), put(http, run, kind, data), inline(http, run, kind, data)):
        assert refused.status_code == 400
        assert "sealed" in refused.content.decode()
    assert (Artifact.objects.count(), Upload.objects.count(), kept(settings)) == (0, 0, [])
    assert sealed.world.owner.http.get(f"runs/{run}/").json()["status"] == "Standby"


@pytest.mark.parametrize("kind", ["mid_artifacts", "artifacts", "logs"])
def test_envelopes_are_taken_and_listed_as_sealed(sealed: Sealed, settings: Any, kind: str) -> None:
    run, http = sealed.open()[0].pk, sealed.world.owner.http
    assert http.upload(run, kind, ENVELOPE + b"1", name="form").status_code == 200
    assert put(http, run, kind, ENVELOPE + b"2").status_code == 201
    assert inline(http, run, kind, ENVELOPE + b"3").status_code == 200
    listed = http.get(f"runs/{run}/artifacts/").json()
    assert [it["sealed"] for it in listed] == [True] * 3
    assert sorted(kept(settings)) == [ENVELOPE + b"1", ENVELOPE + b"2", ENVELOPE + b"3"]


def test_in_a_project_by_name_files_are_as_they_are(sealed: Sealed) -> None:
    run = sealed.world.open()[1].pk
    assert put(sealed.world.member.http, run, "logs", b"open").json()["sealed"] is False
    assert [it["sealed"] for it in sealed.world.member.http.get(f"runs/{run}/artifacts/").json()] == [False]


def test_an_envelope_may_come_in_pieces_of_any_size_and_an_open_file_may_not(sealed: Sealed, settings: Any) -> None:
    run, http = sealed.open()[1].pk, sealed.world.member.http
    for start in range(0, 24, 3):
        assert put(http, run, "logs", ENVELOPE, start=start, until=start + 3).status_code == 202
    assert put(http, run, "logs", ENVELOPE, start=24).status_code == 201
    assert kept(settings) == [ENVELOPE]
    other = ENVELOPE[:18] + b"?" + ENVELOPE[19:]
    assert put(http, run, "logs", other, start=0, until=10, name="other").status_code == 202
    refused = put(http, run, "logs", other, start=10, name="other")
    assert (refused.status_code, "no envelope" in refused.json()["detail"]) == (400, True)
    assert (Upload.objects.count(), kept(settings)) == (0, [ENVELOPE])


@pytest.mark.parametrize(
    "text",
    [
        "fitting the model",
        f"{LINE}\nopen",
        f"open\n{LINE}",
        f"{LINE}\n",
        f"\n{LINE}",
        f"{LINE} ",
        LINE[:-3],
        "ä" * 40,
        base64.b64encode(b"open" * 9).decode(),
        base64.urlsafe_b64encode(ENVELOPE + b"\xff\xfe\xfb\xff").decode(),
    ],
)
def test_open_lines_are_refused(sealed: Sealed, text: str) -> None:
    run, http = sealed.open()[1].pk, sealed.world.member.http
    told = http.send("POST", f"runs/{run}/lines/", {"lines": text})
    stepped = http.step(run, 2, [3], lines=text)
    for refused in (told, stepped):
        assert (refused.status_code, "no envelopes" in refused.json()["detail"]) == (400, True)
    assert not RunLines.objects.exists()
    assert http.get(f"runs/{run}/").json()["status"] == "Standby"


def test_sealed_lines_are_taken(sealed: Sealed) -> None:
    run, http = sealed.open()[1].pk, sealed.world.member.http
    assert http.send("POST", f"runs/{run}/lines/", {"lines": f"{LINE}\n{LINE}"}).status_code == 201
    assert http.step(run, 2, [3], lines=LINE).status_code == 200
    assert [row["lines"] for row in sealed.world.owner.http.get(f"runs/{run}/lines/").json()] == [f"{LINE}\n{LINE}", LINE]


@pytest.mark.parametrize(
    "change",
    [
        {"sealed": None},
        {"sealed": ""},
        {"sealed": "open"},
        {"sealed": base64.b64encode(b"open").decode()},
        {"metrics": {"loss": 0.5}},
        {"message": "row 7"},
        {"sealed": None, "metrics": {"loss": 0.5}, "message": "half"},
    ],
)
def test_open_reports_are_refused(sealed: Sealed, change: dict[str, Any]) -> None:
    run = sealed.open()[1].pk
    refused = sealed.world.member.http.send("POST", f"runs/{run}/progress/", SEALED_REPORT | change)
    assert (refused.status_code, "sealed" in refused.json()["detail"]) == (400, True)
    assert not RunProgress.objects.exists()


def test_a_sealed_report_is_told_as_it_came(sealed: Sealed) -> None:
    runs, world = sealed.open(), sealed.world
    path = f"runs/{runs[1].pk}/progress/"
    assert world.member.http.send("POST", path, SEALED_REPORT).status_code == 201
    (row,) = world.owner.http.get(path).json()
    assert row.keys() == {"id", "task_seq", "round_seq", "at", *SEALED_REPORT}
    assert row | SEALED_REPORT == row
    assert world.member.http.get(f"runs/{runs[1].pk}/").json()["progress"] == row
    by_name = world.open()[1].pk
    assert world.member.http.send("POST", f"runs/{by_name}/progress/", SEALED_REPORT).status_code == 400


def test_a_round_in_a_sealed_project(sealed: Sealed) -> None:
    runs, world = sealed.open(), sealed.world
    (owner, member), data = (run.pk for run in runs), base64.b64encode(ENVELOPE).decode()
    for http, run in ((world.owner.http, owner), (world.member.http, member)):
        assert http.step(run, 2, [3]).status_code == 200
    assert world.owner.http.step(owner, 3, [4], all=True).status_code == 200
    update = {"kind": "mid_artifacts", "name": "mid-artifacts", "data": data}
    assert world.member.http.step(member, 4, [5, 6], artifact=update).status_code == 200
    listed = json.loads(world.owner.http.send("GET", "runs/active/", prefer="return=minimal").content)
    assert base64.b64decode(listed[1]["update"]["data"]) == ENVELOPE
    model = {"kind": "artifacts", "name": "artifacts", "data": data}
    assert world.owner.http.step(owner, 4, [5, 6, 7, 2], all=True, artifact=model).status_code == 200
    assert Batch.objects.get(project=sealed.project).position == (1, 2)


def test_a_step_asks_the_database_no_more_than_by_name(sealed: Sealed) -> None:
    """What it must know of its project stands in the batch that it locks."""
    http, counted = sealed.world.owner.http, []
    file = {"kind": "mid_artifacts", "name": "mid-artifacts", "data": base64.b64encode(ENVELOPE).decode()}
    for run in (sealed.world.open()[0].pk, sealed.open()[0].pk):
        http.get("sites/")
        with CaptureQueriesContext(connection) as queries:
            assert http.step(run, 2, [3], lines=LINE, artifact=file).status_code == 200
        counted.append(len(queries))
    assert counted[0] == counted[1] > 0


def test_add_lines_and_report_ask_the_batch(sealed: Sealed) -> None:
    run = sealed.open()[1]
    telemetry.add_lines(run, LINE)
    telemetry.report(run, {"metrics": {}, "message": "", **SEALED_REPORT})
    assert RunProgress.objects.get().body == SEALED_REPORT
