"""The wire's words, letter for letter: what every object looks like."""

from datetime import UTC, datetime

from starfish.protocol.run_state import RunStatus
from starfish.router import wire
from starfish.router.models import Project, ProjectParticipant, Run, Site
from tests.router.world import TASKS, World

WHEN = datetime(2026, 11, 24, 8, 0, 0, 0, tzinfo=UTC)
TIME = "2026-11-24T08:00:00.000000Z"


def frozen(world: World) -> None:
    for model in (Site, Project, ProjectParticipant, Run):
        model.objects.update(created_at=WHEN, updated_at=WHEN)


def test_times_always_have_microseconds_and_z() -> None:
    assert wire.time(WHEN) == TIME
    assert wire.time(WHEN.replace(microsecond=1)) == "2026-11-24T08:00:00.000001Z"


def test_golden(world: World) -> None:
    run = world.open()[1]
    frozen(world)
    world.member.http.upload(run.pk, "logs", b"x")
    site = {
        "id": world.member.site.pk,
        "name": "member",
        "description": "",
        "uid": str(world.member.site.uid),
        "status": "Connected",
        "created_at": TIME,
        "updated_at": TIME,
    }
    project = {
        "id": world.project.pk,
        "name": "joint",
        "description": "",
        "site": world.owner.site.pk,
        "batch": 1,
        "tasks": TASKS,
        "definition": {},
        "uid": world.project.uid,
        "joining": "by-name",
        "agent_config": {},
        "agent_log": [],
        "created_at": TIME,
        "updated_at": TIME,
    }
    membership = {
        "id": ProjectParticipant.objects.get(site=world.member.site).pk,
        "site": site,
        "project": project,
        "role": "participant",
        "notes": "",
        "created_at": TIME,
        "updated_at": TIME,
    }
    flat = {
        "id": run.pk,
        "project": world.project.pk,
        "batch": 1,
        "participant": membership["id"],
        "role": "participant",
        "site_uid": str(world.member.site.uid),
        "cur_seq": 1,
        "status": "Standby",
        "logs": [f"logs/{run.pk}/1/1/{run.pk}-1-1-logs.txt"],
        "artifacts": [],
        "middle_artifacts": [],
        "tasks": TASKS,
        "agent_advice": {},
        "agent_diagnosis": {},
        "created_at": TIME,
        "updated_at": TIME,
    }
    http = world.member.http
    assert http.get("sites/lookup/", uid=world.member.site.uid).json() == site
    assert http.get("projects/lookup/", name="joint").json() == project
    assert http.get("projects/lookup/", site_id=world.member.site.pk).json() == [membership]
    assert http.get("runs/active/").json() == [flat]
    assert http.get(f"runs/{run.pk}/").json() == {**flat, "project": project, "participant": membership, "progress": None}
    detail = http.get("runs/detail/", project=world.project.pk, batch=1, site=world.member.site.pk).json()
    assert detail == {"participant": membership["id"], "runs": [{**flat, "progress": None}]}


def test_a_merged_row_has_the_lowest_status_the_oldest_and_the_newest_time(world: World) -> None:
    runs = world.open()
    for run, status, created, updated in zip(
        runs, (RunStatus.RUNNING, RunStatus.PREPARING, RunStatus.AGGREGATING), (2, 1, 3), (5, 9, 7), strict=True
    ):
        Run.objects.filter(pk=run.pk).update(status=status, created_at=WHEN.replace(hour=created), updated_at=WHEN.replace(hour=updated))
    (row,) = world.owner.http.get("runs/lookup/", project=world.project.pk).json()
    assert (row["status"], row["created_at"][11:13], row["updated_at"][11:13]) == ("Preparing", "01", "09")
    assert row.keys() == world.owner.http.get("runs/active/").json()[0].keys()


def test_models_are_made_with_few_fields(world: World) -> None:
    site = Site.objects.create(name="bare")
    project = Project.objects.create(name="bare", site=site)
    assert (site.status, site.owner, project.tasks, project.batch) == (Site.SiteStatus.CONNECTED, None, [], 0)
    assert site.uid
    assert not ProjectParticipant.objects.filter(project=project).exists()
    assert world.admin.send("POST", "runs", {"project": project.pk}).status_code == 201
    assert ProjectParticipant.objects.get(project=project).role == "CO", "the action makes what is missing"
    assert Run.objects.get().batch.position == (1, 1)


def test_problem_documents_come_where_accept_names_them(world: World) -> None:
    plain = world.admin.get("runs/999/")
    assert (plain.status_code, plain["Content-Type"], plain.json()) == (404, "application/json", "Run not found")
    document = world.admin.send("GET", "runs/999/", accept="application/json, application/problem+json")
    assert (document.status_code, document["Content-Type"]) == (404, "application/problem+json")
    assert (document.json()["status"], document.json()["code"], document.json()["detail"]) == (404, "not-found", "Run not found")
    for accept in ("application/zip", "text/csv", "nonsense", "*/*", ""):
        assert world.admin.send("GET", "sites/", accept=accept).status_code == 200
