"""What every step and every wake-up ask and write, in SQL: to compose it anew each time costs more than to have it done.

What it says stands in `models` and `access` as well; a test holds that they agree.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection
from django.db.models import Field, Model

from starfish.protocol.run_state import RunStatus
from starfish.router.models import Artifact, Batch, Run

_BATCH = "SELECT * FROM router_batch WHERE id = (SELECT batch_id FROM router_run WHERE id = %s)"
_RUNS = "SELECT * FROM router_run WHERE batch_id = %s ORDER BY id"
_ACTIVE = """
SELECT r.id, b.project_id, b.number, r.participant_id, r.role, s.uid, b.cur_seq, r.status, b.tasks, r.created_at, r.updated_at
FROM router_run r JOIN router_site s ON s.id = r.site_id
    JOIN router_batch b ON b.id = r.batch_id JOIN router_project p ON p.id = b.project_id
WHERE r.status BETWEEN %s AND %s
"""
_OF_SITES = "AND (r.site_id IN ({marks}) OR p.site_id IN ({marks}))"
_MODEL = """
SELECT a.key, a.sha256 FROM router_artifact a JOIN router_run r ON r.id = a.run_id JOIN router_batch b ON b.id = r.batch_id
WHERE b.project_id = %s AND b.number = %s AND a.kind = %s AND a.task_seq = %s AND a.round_seq = %s AND a.name = %s AND a.size <= %s
"""
_FILE = """
SELECT a.*, r.site_id AS reader_site, p.site_id AS coordinator_site
FROM router_run r JOIN router_batch b ON b.id = r.batch_id JOIN router_project p ON p.id = b.project_id
    JOIN router_run sender ON sender.{same} JOIN router_artifact a ON a.run_id = sender.id
WHERE r.id = %s AND a.kind = %s AND a.task_seq = %s AND a.round_seq = %s AND a.name = %s
"""
_OWN, _MODELS = _FILE.format(same="id = r.id"), _FILE.format(same="batch_id = r.batch_id")
_UPDATES = """
SELECT run_id, key, sha256 FROM router_artifact
WHERE run_id IN ({marks}) AND kind = %s AND task_seq = %s AND round_seq = %s AND name = %s AND size <= %s
"""
_MOVE = "UPDATE router_run SET status = %s, failed_task = %s, failed_round = %s, updated_at = %s WHERE id IN ({marks}) AND status = %s"
_LIVE = min(status for status in RunStatus if status.live), max(status for status in RunStatus if status.live)


def locked_batch(run_id: int) -> tuple[Batch | None, Sequence[Run]]:
    """The batch of a run, which nobody else can write to until the transaction ends, and all its runs in order of their ids."""
    lock = " FOR UPDATE" if connection.features.has_select_for_update else ""
    for batch in Batch.objects.raw(_BATCH + lock, [run_id]):
        runs = list(Run.objects.raw(_RUNS, [batch.pk]))
        for run in runs:
            run.batch = batch
        return batch, runs
    return None, []


def active_runs(sites: Collection[int] | None) -> list[tuple[Any, ...]]:
    """Of these sites and of the projects that they coordinate; None: all. In order of run id, values as the driver gives them."""
    if sites is not None and not sites:
        return []
    chosen = sorted(sites or ())
    where = _OF_SITES.format(marks=_marks(chosen)) if sites is not None else ""
    with connection.cursor() as cursor:
        cursor.execute(f"{_ACTIVE} {where} ORDER BY r.id", [*_LIVE, *chosen, *chosen])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def global_model(project: int, number: int, task_seq: int, round_seq: int, *, name: str, at_most: int) -> tuple[str, str] | None:
    """Its storage key and SHA-256; None where there is none of that name with at most so many bytes."""
    with connection.cursor() as cursor:
        cursor.execute(_MODEL, [project, number, Artifact.Kind.MODEL.value, task_seq, round_seq, name, at_most])
        row: tuple[str, str] | None = cursor.fetchone()
    return row


def stored_file(run_id: int, kind: Artifact.Kind, task_seq: int, round_seq: int, name: str, *, own: bool = False) -> Artifact | None:
    """At a run's address: there is its own, and (unless `own`) the global model of its batch. With `reader_site`, `coordinator_site`."""
    sql = _MODELS if kind == Artifact.Kind.MODEL and not own else _OWN
    return next(iter(Artifact.objects.raw(sql, [run_id, kind.value, task_seq, round_seq, name])), None)


def updates(run_ids: Collection[int], task_seq: int, round_seq: int, *, name: str, at_most: int) -> Mapping[int, tuple[str, str]]:
    """Storage key and SHA-256 of these runs' updates of a round, by run id, as far as there are such of at most so many bytes."""
    with connection.cursor() as cursor:
        values: list[int | str] = [*run_ids, Artifact.Kind.UPDATE.value, task_seq, round_seq, name, at_most]
        cursor.execute(_UPDATES.format(marks=_marks(run_ids)), values)
        return {run_id: (key, sha256) for run_id, key, sha256 in cursor.fetchall()}


def move_runs(run_ids: Collection[int], source: RunStatus, target: RunStatus, failed: tuple[int | None, int | None], now: datetime) -> int:
    """Compare and set; how many there were to set."""
    at = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(_MOVE.format(marks=_marks(run_ids)), [target.value, *failed, at, *run_ids, source.value])
        moved: int = cursor.rowcount
    return moved


def insert(rows: Sequence[Model]) -> None:
    """New rows of one model, without their ids: its fields' own conversions, and the statement composed once."""
    if not rows:
        return
    sql, fields = _insertion(type(rows[0]), connection.vendor)
    values = [[field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields] for row in rows]
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)


@cache
def _insertion(model: type[Model], vendor: str) -> "tuple[str, Sequence[Field[Any, Any]]]":
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({_marks(fields)})", fields


def _marks(values: Collection[Any]) -> str:
    return ", ".join(["%s"] * len(values))
