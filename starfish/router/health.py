"""Is it alive, is it ready, what does it count. Bare answers for anyone, details for administrators."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.middleware.common import CommonMiddleware
from django.utils import timezone

from starfish.protocol.problems import Problem, Unavailable
from starfish.protocol.run_state import RunStatus
from starfish.router import access, storage, wire
from starfish.router.credentials import caller_from
from starfish.router.models import Artifact, Batch, Project, Run, Site, Sweep
from starfish.router.plain import refusal

PROBES = ("/healthz", "/readyz")


class Guard(CommonMiddleware):
    """Refuses a Host outside ALLOWED_HOSTS, but load balancers probe by address. A database that is away is 503 on any page."""

    def process_request(self, request: HttpRequest) -> HttpResponsePermanentRedirect | None:
        return None if request.path_info in PROBES else super().process_request(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Of the views that do not answer for themselves: the login page, the metrics."""
        away = isinstance(exception, (OperationalError, InterfaceError))
        return refusal(Unavailable("The database does not answer; try again in a moment.")) if away else None


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


def readyz(request: HttpRequest) -> HttpResponse:
    """Database, migrations, storage; and the sweep, where this server is the one that sweeps."""
    checks = readiness()
    ready = all(check["ok"] for check in checks.values())
    status = 200 if ready else 503
    if checks["database"]["ok"] and "Authorization" in request.headers:
        try:
            _require_administrator(request)
        except Problem as problem:
            return refusal(problem)
        return JsonResponse({"ready": ready, "checks": checks}, status=status)
    return HttpResponse("ready\n" if ready else "not ready\n", status=status, content_type="text/plain")


def readiness() -> dict[str, dict[str, Any]]:
    """What must hold before requests can be served."""
    checks: dict[str, dict[str, Any]] = {"storage": {"ok": storage.writable()}}
    try:
        missing = unapplied_migrations()
        checks["database"] = {"ok": True, "kind": connection.vendor}
        checks["migrations"] = {"ok": not missing, "missing": missing}
        checks["sweep"] = {"ok": True} if missing else _sweep()
    except Error:
        checks["database"] = {"ok": False, "error": why_no_database()}
    return checks


def why_no_database() -> str:
    """In the database's own words; the pool of connections only says that it waited."""
    try:
        if connection.vendor == "postgresql":
            psycopg.connect(**{**connection.get_connection_params(), "connect_timeout": 5}).close()
        connection.ensure_connection()
    except (Error, psycopg.Error) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return "it did not a moment ago"


def unapplied_migrations() -> list[str]:
    """Names, in the order in which `migrate` would apply them."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def _sweep() -> dict[str, Any]:
    last = Sweep.objects.order_by("-at").values_list("at", flat=True).first()
    late = last is None or timezone.now() - last > timedelta(seconds=4 * settings.SWEEP_EVERY_S + 30)
    return {"ok": not (settings.SWEEP_EVERY_S and late), "last": wire.time(last) if last else None}


def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus's text format, for administrators."""
    try:
        _require_administrator(request)
    except Problem as problem:
        return refusal(problem)
    lines = [line for name, help_text, values in _gauges() for line in _metric(name, help_text, values())]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


def _require_administrator(request: HttpRequest) -> None:
    """Raises Problem."""
    access.require_administrator(caller_from(request.headers.get("Authorization"), request.META.get("REMOTE_ADDR")))


Values = dict[str, float]


def _gauges() -> list[tuple[str, str, Callable[[], Values]]]:
    return [
        ("starfish_sites", "Sites by status.", _sites),
        ("starfish_runs", "Runs by status.", _runs),
        ("starfish_projects", "Projects.", lambda: {"": Project.objects.count()}),
        ("starfish_batches", "Batches ever opened.", lambda: {"": Batch.objects.count()}),
        ("starfish_artifacts", "Stored files.", lambda: {"": Artifact.objects.count()}),
        ("starfish_artifact_bytes", "Bytes in storage.", lambda: {"": Artifact.objects.aggregate(sum=Sum("size"))["sum"] or 0}),
        ("starfish_last_sweep_timestamp_seconds", "When check_site_status last ran.", _last_sweep),
    ]


def _sites() -> Values:
    counts = dict(Site.objects.order_by().values_list("status").annotate(n=Count("pk")))
    return {f'status="{status.label}"': counts.get(status.value, 0) for status in Site.SiteStatus}


def _runs() -> Values:
    counts = dict(Run.objects.order_by().values_list("status").annotate(n=Count("pk")))
    return {f'status="{status.word}"': counts.get(status.value, 0) for status in RunStatus}


def _last_sweep() -> Values:
    last = Sweep.objects.order_by("-at").first()
    return {"": last.at.timestamp() if last else 0}


def _metric(name: str, help_text: str, values: Values) -> list[str]:
    samples = [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in values.items()]
    return [f"# HELP {name} {help_text}", f"# TYPE {name} gauge", *samples]
