"""What nobody will ask for goes; what somebody may ask for stays."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from starfish.protocol.run_state import RunStatus
from starfish.router import storage
from starfish.router.actions import batches, leftovers, uploads
from starfish.router.models import Artifact, Run, Upload
from starfish.router.storage import Growing
from tests.router.world import ROUND, World

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = time.time() - 2 * leftovers.ORPHANED_S


@pytest.fixture
def run(world: World) -> Run:
    return world.open()[1]


def begun(world: World, run: Run, name: str = "mid-artifacts") -> Upload:
    """An upload of which two bytes have arrived."""
    announced = uploads.Announced(
        kind=Artifact.Kind.UPDATE, task_seq=1, round_seq=1, name=name, attempt=1, size=5, sha256="0" * 64, start=None, length=5
    )
    receiving = uploads.begin(world.member.caller, run.pk, announced)
    assert isinstance(receiving, uploads.Receiving)
    receiving.file.write(b"ab")
    receiving.file.close()
    return Upload.objects.get(pk=receiving.upload_id)


def orphan(*, age: float = 2 * leftovers.ORPHANED_S) -> Path:
    """Bytes without a row."""
    path = storage._path(storage.save([b"orphan"]).key)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def kept(settings: Any) -> list[bytes]:
    return sorted(path.read_bytes() for path in settings.ARTIFACTS_DIR.rglob("*") if path.is_file())


def test_an_upload_stays_as_long_as_its_round(world: World, run: Run, settings: Any) -> None:
    upload = begun(world, run)
    os.utime(storage._path(upload.key), (LONG_AGO, LONG_AGO))
    assert leftovers.clear() == 0
    world.drive(*ROUND)
    assert leftovers.clear() == 0
    world.drive(RunStatus.STANDBY)
    assert leftovers.clear() == 1
    assert (Upload.objects.count(), kept(settings)) == (0, [])


def test_an_upload_is_given_up_after_a_week(world: World, run: Run, settings: Any) -> None:
    begun(world, run)
    Upload.objects.update(created_at=timezone.now() - leftovers.GIVEN_UP + timedelta(minutes=1))
    assert leftovers.clear() == 0
    Upload.objects.update(created_at=timezone.now() - leftovers.GIVEN_UP)
    assert leftovers.clear() == 1
    assert (Upload.objects.count(), kept(settings)) == (0, [])


def test_what_arrives_at_this_moment_stays(world: World, run: Run) -> None:
    upload = begun(world, run)
    Upload.objects.update(created_at=timezone.now() - 2 * leftovers.GIVEN_UP)
    arriving = Growing(upload.key)
    assert leftovers.clear() == 0
    arriving.close()
    assert leftovers.clear() == 1


def test_orphans_go_after_an_hour(world: World, run: Run, settings: Any) -> None:
    assert world.member.http.upload(run.pk, "logs", b"log").status_code == 200
    for file in settings.ARTIFACTS_DIR.rglob("*"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    old, new = orphan(), orphan(age=60)
    foreign = settings.ARTIFACTS_DIR / "README"
    foreign.write_text("the operator's own")
    os.utime(foreign, (LONG_AGO, LONG_AGO))
    assert leftovers.clear() == 1
    assert (old.exists(), new.exists(), foreign.exists()) == (False, True, True)
    assert kept(settings) == [b"log", b"orphan", b"the operator's own"]


def test_the_files_of_another_database_are_not_judged_by_an_empty_one(db: None, settings: Any) -> None:
    file = orphan()
    assert leftovers.clear() == 0
    assert file.exists()


def test_files_of_a_deleted_project_go(world: World, run: Run, settings: Any) -> None:
    begun(world, run)
    assert world.member.http.upload(run.pk, "logs", b"log").status_code == 200
    batches.open_batch(world.outsider.caller, world.foreign.pk)
    run.batch.project.delete()
    for file in settings.ARTIFACTS_DIR.rglob("*"):
        os.utime(file, (LONG_AGO, LONG_AGO))
    assert leftovers.clear() == 2
    assert kept(settings) == []
