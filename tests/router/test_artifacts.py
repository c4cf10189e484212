"""Files of a run: kept durably, replaced, refused, read by whom they are for, streamed."""

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import AsyncClient

from starfish.protocol.run_state import RunStatus
from starfish.router import storage
from starfish.router.models import Artifact
from tests.router.world import BASE, ROUND, World

S = RunStatus


def unzipped(answer: Any) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.content
    assert answer["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content))) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def download(world: World, who: str, run: int, kind: str, **query: int) -> dict[str, bytes]:
    answer = getattr(world, who).http.get("runs-action/download/", run=run, type=kind, **query)
    return {} if answer.status_code == 404 else unzipped(answer)


def stored(folder: Path) -> list[bytes]:
    return sorted(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_later_of_one_name_replaces_the_earlier_and_its_bytes(
    world: World, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    run = world.open()[1]
    with django_capture_on_commit_callbacks(execute=True):
        for data in (b"one", b"two", b"two"):
            assert world.member.http.upload(run.pk, "logs", data).status_code == 200
    assert download(world, "member", run.pk, "logs") == {f"{run.pk}-1-1-logs.txt": b"two"}
    assert stored(settings.ARTIFACTS_DIR) == [b"two"]


def test_a_refused_upload_leaves_no_bytes(world: World, settings: Any) -> None:
    run = world.open()[1]
    assert world.member.http.upload(run.pk, "logs", b"x", turn=2).status_code == 409
    assert world.member.http.upload(run.pk, "logs", b"x", name=".hidden").status_code == 400
    assert world.member.http.upload(run.pk, "logs", b"x", name="n" * 200).status_code == 400
    assert world.member.http.upload(run.pk, "logs", b"x", task=9).status_code == 400
    assert stored(settings.ARTIFACTS_DIR) == []


def test_a_name_never_leads_out_of_its_folder(world: World, settings: Any) -> None:
    run = world.open()[1]
    body = (
        b"--b\r\nContent-Disposition: form-data; name=run\r\n\r\n%d\r\n"
        b"--b\r\nContent-Disposition: form-data; name=task_seq\r\n\r\n1\r\n"
        b"--b\r\nContent-Disposition: form-data; name=round_seq\r\n\r\n1\r\n"
        b'--b\r\nContent-Disposition: form-data; name=logs; filename="../../../escaped.txt"\r\n\r\nx\r\n--b--\r\n' % run.pk
    )
    from django.test import Client

    headers = {"authorization": world.member.http.authorization}
    answer = Client().generic("POST", f"{BASE}runs-action/upload/", body, content_type="multipart/form-data; boundary=b", headers=headers)
    assert answer.status_code == 200
    assert download(world, "member", run.pk, "logs") == {f"{run.pk}-1-1-escaped.txt": b"x"}
    assert all(settings.ARTIFACTS_DIR in path.parents for path in settings.ARTIFACTS_DIR.parent.rglob("*") if path.is_file())


def test_what_is_taken_when(world: World) -> None:
    runs = world.open()
    mine, owners = world.member.http, world.owner.http
    seen = {}
    for status in (S.STANDBY, *ROUND):
        if status is not S.STANDBY:
            world.drive(status)
        seen[status] = [
            mine.upload(runs[1].pk, "mid_artifacts", status.word.encode()).status_code,
            mine.upload(runs[1].pk, "logs", status.word.encode()).status_code,
            owners.upload(runs[0].pk, "artifacts", status.word.encode()).status_code,
        ]
    aggregating = seen.pop(S.AGGREGATING)
    assert set(map(tuple, seen.values())) == {(200, 200, 200)}
    assert aggregating == [409, 200, 200]
    world.drive(S.STANDBY)
    for kind, http, run in (("mid_artifacts", mine, runs[1]), ("logs", mine, runs[1]), ("artifacts", owners, runs[0])):
        assert http.upload(run.pk, kind, b"late").status_code == 409
        same = b"Pending Aggregating" if kind == "mid_artifacts" else b"Aggregating"
        assert http.upload(run.pk, kind, same).status_code == 200, "the same bytes again are a no-op"
    world.drive(*ROUND, S.SUCCESS)
    assert mine.upload(runs[1].pk, "logs", b"late", turn=2).status_code == 409


def test_who_reads_what(world: World) -> None:
    runs = world.open()
    for member, run in zip(world.members, runs, strict=True):
        assert member.http.upload(run.pk, "mid_artifacts", member.site.name.encode()).status_code == 200
    assert world.owner.http.upload(runs[0].pk, "artifacts", b"model").status_code == 200
    everyone = {f"{run.pk}-1-1-mid-artifacts": member.site.name.encode() for member, run in zip(world.members, runs, strict=True)}
    assert download(world, "owner", runs[0].pk, "mid_artifacts", all_runs=1, task_seq=1, round_seq=1) == everyone
    assert list(download(world, "owner", runs[0].pk, "mid_artifacts")) == [f"{runs[0].pk}-1-1-mid-artifacts"]
    for who, run in (("member", runs[1]), ("other", runs[2])):
        own = f"{run.pk}-1-1-mid-artifacts"
        assert download(world, who, run.pk, "mid_artifacts", all_runs=1) == {own: everyone[own]}
        assert download(world, who, run.pk, "artifacts") == {f"{run.pk}-1-1-artifacts": b"model"}
        assert getattr(world, who).http.get(f"runs/{run.pk}/").json()["artifacts"] == [f"artifacts/{run.pk}/1/1/{run.pk}-1-1-artifacts"]
        assert download(world, who, runs[0].pk, "artifacts") == {}
    assert download(world, "outsider", runs[1].pk, "artifacts") == {}
    assert download(world, "member", runs[1].pk, "artifacts", round_seq=2) == {}
    assert Artifact.objects.filter(kind="artifacts").count() == 1


def test_a_file_replaced_while_it_waits_in_a_download_is_read_as_it_is_now(world: World, django_capture_on_commit_callbacks: Any) -> None:
    run = world.open()[1]
    world.member.http.upload(run.pk, "logs", b"old")
    answer = world.member.http.get("runs-action/download/", run=run.pk, type="logs")
    with django_capture_on_commit_callbacks(execute=True):
        world.member.http.upload(run.pk, "logs", b"new")
    assert list(unzipped(answer).values()) == [b"new"]


@pytest.mark.django_db(transaction=True)
def test_under_asgi_a_download_is_streamed_not_gathered(world: World) -> None:
    run = world.open()[1]
    data = bytes(range(256)) * 8192
    world.member.http.upload(run.pk, "logs", data)

    async def ask() -> list[bytes]:
        answer = await AsyncClient().get(
            f"{BASE}runs-action/download/?run={run.pk}&type=logs", headers={"authorization": world.member.http.authorization}
        )
        assert answer.is_async
        gathered = [chunk async for chunk in answer.streaming_content]
        await sync_to_async(lambda: connection.close())()
        return gathered

    chunks = asyncio.run(ask())
    assert max(map(len, chunks)) <= storage.CHUNK
    with zipfile.ZipFile(io.BytesIO(b"".join(chunks))) as archive:
        assert archive.read(archive.namelist()[0]) == data


def test_nothing_half_written_stays(settings: Any, tmp_path: Path) -> None:
    def broken() -> Any:
        yield b"first"
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        storage.save(broken())
    assert stored(settings.ARTIFACTS_DIR) == []


def test_an_upload_above_the_limit_is_refused(world: World, settings: Any) -> None:
    run = world.open()[1]
    settings.MAX_UPLOAD_BYTES = 1000
    assert world.member.http.upload(run.pk, "logs", b"x" * 2000).status_code == 413
    assert world.member.http.upload(run.pk, "logs", b"x").status_code == 200
