"""What sites have told of their runs, in the wire's words: the series in pages, and each run's last report."""

from collections.abc import Collection, Mapping
from itertools import accumulate

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Length

from starfish.router.models import Run, RunLines, RunProgress
from starfish.router.wire import JSON, time

PAGE_ROWS, PAGE_CHARACTERS = 1000, 1 << 20
"""Of one answer. Whoever reads on, `after` the last id, until an answer is empty, has them all."""


def lines(run: Run, *, after: int) -> list[JSON]:
    """A page of the batches of lines, in the order in which they came."""
    rows = RunLines.objects.filter(run=run, pk__gt=after)
    sizes = rows.values_list("pk", Length("text"))[:PAGE_ROWS]
    ids, lengths = zip(*sizes, strict=True) if sizes else ((), ())
    fit = sum(so_far <= PAGE_CHARACTERS for so_far in accumulate(lengths))
    page = rows.filter(pk__lte=ids[max(fit, 1) - 1]) if ids else []
    return [{**_when(row), "lines": row.text} for row in page]


def progress(run: Run, *, after: int) -> list[JSON]:
    """A page of the reports."""
    return [_report(row) for row in RunProgress.objects.filter(run=run, pk__gt=after)[:PAGE_ROWS]]


def last_progress(runs: Collection[int]) -> Mapping[int, JSON]:
    """Of each run that has reported, by its id."""
    newest = RunProgress.objects.filter(run=OuterRef("pk")).order_by("-id").values("pk")[:1]
    rows = RunProgress.objects.filter(pk__in=Run.objects.filter(pk__in=runs).values_list(Subquery(newest)))
    return {row.run_id: _report(row) for row in rows}


def _report(row: RunProgress) -> JSON:
    return {**_when(row), **row.body}


def _when(row: RunLines | RunProgress) -> JSON:
    return {"id": row.pk, "task_seq": row.task_seq, "round_seq": row.round_seq, "at": time(row.at)}
