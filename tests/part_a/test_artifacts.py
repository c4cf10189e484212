"""Uploads and downloads: names, lists, replacement, and until when; what a zip holds and for whom."""

import io
import zipfile
from typing import Any

import pytest

from tests.part_a.controller import AGGREGATING, FAILED, PENDING_AGGREGATING, PENDING_SUCCESS, PREPARING, RUNNING, STANDBY, SUCCESS, unzip
from tests.part_a.test_machine import action
from tests.part_a.wire import Answer, File, Router
from tests.part_a.world import Project, accepted

NAMES = {"mid_artifacts": "mid-artifacts", "artifacts": "artifacts", "logs": "logs.txt"}
LISTS = {"mid_artifacts": "middle_artifacts", "artifacts": "artifacts", "logs": "logs"}


def file(kind: str, data: bytes = b"x", name: str | None = None) -> File:
    """One file under the name by which controllers send this kind."""
    return File(field=kind, name=name or NAMES[kind], data=data)


def members(answer: Answer) -> dict[str, bytes]:
    """What the zip holds, by name."""
    assert answer.status == 200, f"{answer.status} {answer.body[:300]!r}"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("kind", NAMES)
def test_what_is_uploaded_comes_back_in_a_zip(router: Router, project: Project, kind: str) -> None:
    coordinator, *_ = project.open()
    project.drive(PREPARING)
    data = bytes(range(256)) * 5000
    assert router.upload(coordinator, 1, 1, [file(kind, data)]).status == 200
    answer = router.download(coordinator, kind, 1, 1)
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{kind}.zip"'
    assert members(answer) == {f"{coordinator}-1-1-{NAMES[kind]}": data}


def test_one_request_may_bring_all_kinds_and_several_files(router: Router, project: Project) -> None:
    coordinator, *_ = project.open()
    project.drive(PREPARING)
    sent = [file("mid_artifacts"), file("mid_artifacts", b"2", "second"), file("logs", b"line"), file("artifacts", b"model")]
    assert router.upload(coordinator, 1, 1, sent).status == 200
    run = project.runs()[0]
    assert [len(run[name]) for name in ("middle_artifacts", "logs", "artifacts")] == [2, 1, 1]
    assert set(members(router.download(coordinator, "mid_artifacts", 1, 1))) == {
        f"{coordinator}-1-1-mid-artifacts",
        f"{coordinator}-1-1-second",
    }


def test_the_coordinator_gets_every_update_of_the_round(router: Router, project: Project) -> None:
    runs = project.open()
    for number in (1, 2):
        project.drive(PENDING_SUCCESS)
        for run in runs:
            assert router.upload(run, 1, number, [file("mid_artifacts", f"{run} in {number}".encode())]).status == 200
        for run in runs:
            accepted(router.status(run, PENDING_AGGREGATING))
        found = members(router.download(runs[0], "mid_artifacts", 1, number, all_runs=1))
        assert found == {f"{run}-1-{number}-mid-artifacts": f"{run} in {number}".encode() for run in runs}
        if number == 1:
            accepted(router.status(runs[0], AGGREGATING, update_all=True))
            project.next_round()
    assert set(members(router.download(runs[0], "mid_artifacts", all_runs=1))) == {
        f"{run}-1-{n}-mid-artifacts" for run in runs for n in (1, 2)
    }
    assert set(members(router.download(runs[0], "mid_artifacts", 1, 1, all_runs=0))) == {f"{runs[0]}-1-1-mid-artifacts"}


@pytest.mark.parametrize("kind", ["mid_artifacts", "logs"])
def test_a_participant_gets_its_own_files_only(router: Router, project: Project, kind: str) -> None:
    runs = project.open()
    project.drive(RUNNING)
    for run in runs:
        assert router.upload(run, 1, 1, [file(kind)]).status == 200
    for all_runs in (0, 1):
        assert set(members(router.download(runs[1], kind, 1, 1, all_runs=all_runs))) == {f"{runs[1]}-1-1-{NAMES[kind]}"}


def test_the_global_model_is_readable_to_every_run_of_the_batch(router: Router, project: Project) -> None:
    runs = project.open()
    project.drive(AGGREGATING)
    assert router.upload(runs[0], 1, 1, [file("artifacts", b"the model")]).status == 200
    for state in (AGGREGATING, SUCCESS):
        for run in runs:
            answer = router.download(run, "artifacts", 1, 1)
            assert unzip(answer.body, "*-1-1-artifacts") == [b"the model"]
            assert len(router.get(f"runs/{run}/").json()["artifacts"]) == 1
        if state == AGGREGATING:
            accepted(router.status(runs[0], SUCCESS, update_all=True))
    assert unzip(router.download(runs[0], "artifacts", 1, 1, all_runs=1).body, "*-1-1-artifacts") == [b"the model"]


def test_a_later_upload_of_a_name_replaces_the_earlier(router: Router, project: Project) -> None:
    coordinator, *_ = project.open()
    project.drive(RUNNING)
    for kind, name in NAMES.items():
        for data in (b"first", b"first and second"):
            assert router.upload(coordinator, 1, 1, [file(kind, data)]).status == 200
        assert list(members(router.download(coordinator, kind, 1, 1)).values()) == [b"first and second"]
        assert len(project.runs()[0][LISTS[kind]]) == 1, name


@pytest.mark.parametrize("state", [STANDBY, PREPARING, RUNNING, PENDING_SUCCESS, PENDING_AGGREGATING])
def test_an_update_may_come_until_the_batch_is_aggregating(router: Router, project: Project, state: int) -> None:
    _, participant, _ = project.open()
    project.drive(state)
    assert router.upload(participant, 1, 1, [file("mid_artifacts")]).status == 200


def test_no_update_after_that(router: Router, project: Project) -> None:
    _, participant, _ = project.open()
    project.drive(PENDING_SUCCESS)
    assert router.upload(participant, 1, 1, [file("mid_artifacts", b"in time")]).status == 200
    for run in project.ids:
        accepted(router.status(run, PENDING_AGGREGATING))
    accepted(router.status(project.ids[0], AGGREGATING, update_all=True))
    assert router.upload(participant, 1, 1, [file("mid_artifacts", b"too late")]).status == 409
    project.next_round()
    assert router.upload(participant, 1, 1, [file("mid_artifacts", b"far too late")]).status == 409
    assert members(router.download(participant, "mid_artifacts", 1, 1)) == {f"{participant}-1-1-mid-artifacts": b"in time"}


@pytest.mark.parametrize("kind", ["artifacts", "logs"])
def test_a_model_and_logs_may_come_until_the_run_has_left_the_round(router: Router, project: Project, kind: str) -> None:
    coordinator, *_ = project.open()
    project.drive(AGGREGATING)
    assert router.upload(coordinator, 1, 1, [file(kind, b"in time")]).status == 200
    project.next_round()
    assert router.upload(coordinator, 1, 1, [file(kind, b"too late")]).status == 409
    assert list(members(router.download(coordinator, kind, 1, 1)).values()) == [b"in time"]


def test_a_failed_run_may_still_say_why_until_it_is_restarted(router: Router, project: Project) -> None:
    _, participant, _ = project.open()
    project.drive(RUNNING)
    accepted(router.status(participant, FAILED))
    assert router.upload(participant, 1, 1, [file("logs", b"why")]).status == 200
    assert members(router.download(participant, "logs", 1, 1)) == {f"{participant}-1-1-logs.txt": b"why"}
    accepted(action(project, participant, "participant", "restart"))
    assert router.upload(participant, 1, 1, [file("logs", b"a line of the new attempt")]).status == 200, "the round is its own again"


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("all_runs", [0, 1])
def test_404_where_there_is_none(router: Router, project: Project, kind: str, all_runs: int) -> None:
    coordinator, *_ = project.open()
    assert router.download(coordinator, kind, 1, 1, all_runs=all_runs).status == 404
    assert router.download(coordinator, kind, all_runs=all_runs).status == 404
    assert router.download(999_999_999, kind, 1, 1, all_runs=all_runs).status == 404


@pytest.mark.parametrize("state", [STANDBY, FAILED, SUCCESS])
def test_other_batches_are_other_zips(router: Router, project: Project, state: int) -> None:
    first, *_ = project.open()
    assert router.upload(first, 1, 1, [file("logs", b"of the first")]).status == 200
    project.end()
    second, *_ = project.open()
    project.drive(state)
    assert router.download(second, "logs", all_runs=1).status == 404
    assert members(router.download(first, "logs", all_runs=1)) == {f"{first}-1-1-logs.txt": b"of the first"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": "x"},
        {"run": ""},
        {"type": "models"},
        {"type": ""},
        {"task_seq": "x"},
        {"round_seq": "x"},
        {"all_runs": "x"},
        {"round_seq": "1.5"},
    ],
)
def test_a_download_that_makes_no_sense(router: Router, project: Project, wrong: dict[str, Any]) -> None:
    coordinator, *_ = project.open()
    query = {"run": coordinator, "type": "logs", "task_seq": 1, "round_seq": 1, "all_runs": 0, **wrong}
    assert router.get("runs-action/download/", **query).status == 400
    for name in ("run", "type"):
        assert router.get("runs-action/download/", **{key: value for key, value in query.items() if key != name}).status == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": "x"},
        {"run": ""},
        {"task_seq": "x"},
        {"round_seq": "x"},
        {"task_seq": 0},
        {"task_seq": -1},
        {"round_seq": 0},
        {"task_seq": 2},
    ],
)
def test_an_upload_that_makes_no_sense(router: Router, project: Project, wrong: dict[str, Any]) -> None:
    coordinator, *_ = project.open()
    fields = {"run": coordinator, "task_seq": 1, "round_seq": 1, **wrong}
    assert router.form("runs-action/upload/", fields, [file("logs")]).status == 400
    assert project.runs()[0]["logs"] == []


@pytest.mark.parametrize("place", [(2, 1), (0, 1), (-1, 1), (1, 0), (1, 2), (1, 10**12)])
def test_an_upload_for_a_round_that_the_run_is_not_in(router: Router, project: Project, place: tuple[int, int]) -> None:
    coordinator, *_ = project.open()
    assert router.upload(coordinator, *place, [file("logs")]).status in (400, 409)
    assert project.runs()[0]["logs"] == []


def test_a_participant_cannot_give_the_others_a_model(router: Router, project: Project) -> None:
    coordinator, participant, other = project.open()
    project.drive(AGGREGATING)
    assert router.upload(coordinator, 1, 1, [file("artifacts", b"the model")]).status == 200
    router.upload(participant, 1, 1, [file("artifacts", b"another model")])
    for run in (coordinator, other):
        assert unzip(router.download(run, "artifacts", 1, 1).body, "*-1-1-artifacts") == [b"the model"]


def test_an_upload_without_files_or_to_no_run(router: Router, project: Project) -> None:
    coordinator, *_ = project.open()
    assert router.upload(coordinator, 1, 1, []).status == 400
    assert router.upload(999_999_999, 1, 1, [file("logs")]).status == 404
    for name in ("run", "task_seq", "round_seq"):
        fields = {key: value for key, value in {"run": coordinator, "task_seq": 1, "round_seq": 1}.items() if key != name}
        assert router.form("runs-action/upload/", fields, [file("logs")]).status == 400
    assert project.runs()[0]["logs"] == []


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "..", ".", "/etc/passwd", "a/b", "a\\b", "x" * 300, "naïve ünïcode", "a b;c", "-rf"]
)
def test_a_name_cannot_leave_its_folder(router: Router, project: Project, name: str) -> None:
    coordinator, *_ = project.open()
    answer = router.upload(coordinator, 1, 1, [file("logs", b"harmless", name)])
    assert answer.status in (200, 400)
    stored = project.runs()[0]["logs"]
    assert len(stored) == (answer.status == 200)
    for path in stored:
        head, _, last = path.rpartition("/")
        assert head.endswith(f"/{coordinator}/1/1")
        assert last.startswith(f"{coordinator}-1-1-")
        assert not {"..", "\\"} & set(path.replace("/", " / ").split())
        assert list(members(router.download(coordinator, "logs", 1, 1)).values()) == [b"harmless"]


def test_an_empty_file_is_a_file(router: Router, project: Project) -> None:
    coordinator, *_ = project.open()
    assert router.upload(coordinator, 1, 1, [file("logs", b"")]).status == 200
    assert members(router.download(coordinator, "logs", 1, 1)) == {f"{coordinator}-1-1-logs.txt": b""}
