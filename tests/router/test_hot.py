"""What is written out in SQL says the same as the models and the rules of access."""

import json

import pytest
from django.utils import timezone

from starfish.protocol.run_state import RunStatus as S
from starfish.router import access, hot, wire
from starfish.router.access import Caller
from starfish.router.models import Artifact, Run, RunTransition
from tests.router.world import World


@pytest.fixture
def runs(world: World) -> list[Run]:
    """One that has failed among them."""
    runs = world.open()
    Run.objects.filter(pk=runs[2].pk).update(status=S.FAILED)
    return runs


def callers(world: World) -> list[Caller]:
    return [world.owner.caller, world.member.caller, world.other.caller, world.outsider.caller]


def test_the_active_runs_are_those_that_access_shows(world: World, runs: list[Run]) -> None:
    for caller in callers(world):
        shown = access.visible_runs(caller).exclude(status__in=[S.FAILED, S.SUCCESS])
        assert wire.minimal_runs(hot.active_runs(caller.site_ids)) == [wire.minimal_run(run) for run in shown]
    everything = Run.objects.exclude(status__in=[S.FAILED, S.SUCCESS])
    assert wire.minimal_runs(hot.active_runs(None)) == [wire.minimal_run(run) for run in everything]
    assert hot.active_runs([]) == []


def test_a_batch_is_locked_with_all_its_runs(world: World, runs: list[Run]) -> None:
    for run in runs:
        batch, found = hot.locked_batch(run.pk)
        assert (batch, [*found]) == (run.batch, runs)
        assert [one.state for one in found] == [S.STANDBY, S.STANDBY, S.FAILED]
    assert hot.locked_batch(10**9) == (None, [])


def test_files_are_found_where_access_lets_them_be_read(world: World, runs: list[Run]) -> None:
    for run, kind in ((runs[0], "artifacts"), (runs[1], "mid_artifacts"), (runs[2], "logs")):
        Artifact.objects.create(run=run, kind=kind, task_seq=1, round_seq=1, name="n", size=1, sha256="0" * 64, key=f"{kind}-key")
    for caller in callers(world):
        for run in runs:
            for kind in Artifact.Kind:
                found = hot.stored_file(run.pk, kind, 1, 1, "n")
                seen = found and access.sees_run(caller, site=found.reader_site, coordinator=found.coordinator_site)
                visible = access.visible_runs(caller).filter(pk=run.pk)
                allowed = Artifact.objects.filter(access.readable_artifacts(visible), kind=kind).first()
                assert (found if seen else None) == allowed


def test_runs_are_moved_from_where_they_are_only(world: World, runs: list[Run]) -> None:
    ids, now = [run.pk for run in runs], timezone.now()
    assert hot.move_runs(ids, S.STANDBY, S.PENDING_FAILED, (2, 3), now) == 2
    for run in Run.objects.filter(pk__in=ids[:2]):
        assert (run.state, run.failed_task, run.failed_round, run.updated_at) == (S.PENDING_FAILED, 2, 3, now)
    assert Run.objects.get(pk=ids[2]).state is S.FAILED


def test_rows_are_inserted_as_the_models_would(world: World, runs: list[Run]) -> None:
    made = [
        RunTransition(run=run, source=S.STANDBY, target=S.PREPARING, task_seq=1, round_seq=2, account=world.owner.caller.user)
        for run in runs
    ]
    hot.insert(made)
    hot.insert([])
    fields = [field.attname for field in RunTransition._meta.concrete_fields if not field.primary_key]
    assert [*RunTransition.objects.values_list(*fields)] == [tuple(getattr(row, name) for name in fields) for row in made]


def test_small_updates_come_with_their_coordinators_list_alone(world: World) -> None:
    runs = world.open()
    world.drive(S.PREPARING, S.RUNNING)
    artifact = {"kind": "mid_artifacts", "name": "mid-artifacts", "data": "AAEC"}
    world.member.http.step(runs[1].pk, 4, [5, 6], artifact=artifact)
    for member, expected in ((world.owner, [False, True, False]), (world.member, [False]), (world.other, [False])):
        answer = member.http.send("GET", f"runs/active/?site_uid={member.site.uid}", prefer="return=minimal")
        shown = json.loads(answer.content)
        assert ["update" in run for run in shown] == expected
    listed = json.loads(world.owner.http.send("GET", "runs/active/", prefer="return=minimal").content)
    assert listed[1]["update"]["data"] == "AAEC"
