"""What the router does by itself, and how it says that it is well."""

from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.utils import timezone

from starfish.router.actions.upkeep import check_site_status
from starfish.router.models import IdempotencyRecord, Site, Sweep
from tests.router.world import World


def silent(site: Site, seconds: int) -> None:
    Site.objects.filter(pk=site.pk).update(last_seen_at=timezone.now() - timedelta(seconds=seconds))


def word(world: World, site: Site) -> str:
    status: str = world.admin.get(f"sites/{site.pk}/").json()["status"]
    return status


def test_a_silent_site_is_disconnected_by_the_job_and_comes_back_with_a_heartbeat(world: World) -> None:
    silent(world.member.site, 61)
    silent(world.other.site, 55)
    call_command("runjob", "check_site_status")
    assert (word(world, world.member.site), word(world, world.other.site)) == ("Disconnected", "Connected")
    beat = {"uid": str(world.member.site.uid), "status": 1}
    answer = world.member.http.send("POST", "sites/heartbeat/", beat)
    assert (answer.status_code, answer.content) == (202, b"")
    assert word(world, world.member.site) == "Connected"
    check_site_status()
    assert word(world, world.member.site) == "Connected"


def test_the_timeout_is_a_setting(world: World, settings: Any) -> None:
    settings.SITE_TIMEOUT_S = 5
    silent(world.member.site, 6)
    assert check_site_status() == 1


def test_a_start_looks_first_and_a_refused_one_changes_nothing(world: World) -> None:
    silent(world.member.site, 61)
    answer = world.owner.http.send("POST", "runs", {"project": world.project.pk})
    assert (answer.status_code, answer.json()) == (400, "Not all sites are connected: member")
    world.project.refresh_from_db()
    assert world.project.batch == 0
    assert word(world, world.member.site) == "Disconnected"


def test_disconnecting_touches_no_run(world: World) -> None:
    world.open()
    silent(world.member.site, 61)
    check_site_status()
    assert world.words() == ["Standby"] * 3


def test_old_keys_are_forgotten(world: World) -> None:
    for key, days in (("old", 8), ("new", 6)):
        IdempotencyRecord.objects.create(caller="x", key=key, fingerprint="f", created_at=timezone.now() - timedelta(days=days))
    check_site_status()
    assert [record.key for record in IdempotencyRecord.objects.all()] == ["new"]


def test_health_is_bare_for_anyone_and_whole_for_administrators(world: World) -> None:
    for path in ("/healthz", "/readyz"):
        answer = world.nobody.get(path)
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/plain")
        assert len(answer.content) < 10
    check_site_status()
    checks = world.admin.get("/readyz").json()["checks"]
    assert {name for name, check in checks.items() if check["ok"]} == {"storage", "database", "migrations", "sweep"}
    assert checks["sweep"]["last"].endswith("Z")


def test_not_ready_without_storage_or_when_its_own_sweep_is_late(world: World, settings: Any) -> None:
    settings.SWEEP_EVERY_S = 15
    check_site_status()
    assert world.nobody.get("/readyz").status_code == 200
    Sweep.objects.update(at=timezone.now() - timedelta(minutes=5))
    assert world.nobody.get("/readyz").status_code == 503
    settings.SWEEP_EVERY_S = 0
    assert world.nobody.get("/readyz").status_code == 200, "who does not sweep by itself does not answer for it"
    settings.ARTIFACTS_DIR = "/proc/nowhere"
    assert world.nobody.get("/readyz").status_code == 503


def test_metrics_count(world: World) -> None:
    world.open()
    text = world.admin.get("/metrics").content.decode()
    assert 'starfish_runs{status="Standby"} 3' in text
    assert 'starfish_sites{status="Connected"} 4' in text
    assert "starfish_projects 2" in text


def test_a_site_with_runs_is_kept_another_is_not(world: World) -> None:
    world.open()
    for site in (world.owner.site, world.member.site):
        assert world.admin.send("DELETE", f"sites/{site.pk}/").status_code == 409
    assert world.outsider.http.send("DELETE", f"sites/{world.outsider.site.pk}/").status_code == 204
    assert not Site.objects.filter(pk=world.outsider.site.pk).exists()


def test_a_put_sends_back_what_was_read(world: World) -> None:
    path = f"sites/{world.member.site.pk}/"
    read = world.member.http.get(path).json()
    answer = world.member.http.send("PUT", path, {**read, "description": "new"})
    assert (answer.status_code, answer.json()["description"], answer.json()["uid"]) == (200, "new", read["uid"])
    assert world.member.http.send("PUT", path, {**read, "uid": "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}).status_code == 400
    assert world.member.http.send("PUT", path, {**read, "name": "other"}).status_code == 400
