"""What a site tells while it works: kept in whatever state its run is, without a change of the run and without waking anybody."""

from typing import Any

from django.db import transaction

from starfish.protocol.problems import Invalid, TooLarge
from starfish.router import hot
from starfish.router.access import Caller
from starfish.router.actions.idempotency import Answer, Ticket, once
from starfish.router.actions.moves import lock
from starfish.router.actions.sealed import refuse_open_lines, refuse_open_report
from starfish.router.models import Run, RunLines, RunProgress
from starfish.router.strict_json import acceptable

LINES_BYTES = 64 * 1024
"""Of one batch of lines, in UTF-8."""
REPORTS_KEPT = 10_000
"""Of one run, the newest."""


def tell(caller: Caller, run_id: int, text: str, ticket: Ticket | None) -> None:
    """`POST runs/{id}/lines/`. Raises NotFound, Forbidden, Invalid, TooLarge, KeyReused."""

    def add() -> Answer:
        with transaction.atomic():  # with the batch locked: ids grow in the order of commits, and who reads on from one misses none
            add_lines(lock(caller, run_id).run, text)
        return Answer(status=201)

    once(ticket, add)


def add_lines(run: Run, text: str) -> None:
    """Inside the caller's transaction, who has locked the run's batch, and may act for it. Raises Invalid, TooLarge."""
    if not text:
        raise Invalid("lines: there is none; leave them out where there is nothing to tell.")
    if not acceptable(text):
        raise Invalid("lines: the text holds a character that is none (NUL, or half of a surrogate pair).")
    if len(text.encode()) > LINES_BYTES:
        raise TooLarge(f"At most {LINES_BYTES} bytes of lines are taken at once (in UTF-8); send the rest in another request.")
    if run.batch.sealed:
        refuse_open_lines(text)
    task_seq, round_seq = run.position
    hot.insert([RunLines(run=run, task_seq=task_seq, round_seq=round_seq, text=text)])


def report(run: Run, body: dict[str, Any]) -> None:
    """One report of a run's progress, for whose site the caller may act; the oldest beyond REPORTS_KEPT go. Raises Invalid."""
    if run.batch.sealed:
        refuse_open_report(body)
    elif body.get("sealed") is not None:
        raise Invalid("This project is joined by name, and not sealed: a report has metrics and message.")
    left_out = ("metrics", "message") if run.batch.sealed else ("sealed",)
    kept = {name: value for name, value in body.items() if name not in left_out}
    task_seq, round_seq = run.position
    with transaction.atomic():
        RunProgress.objects.create(run=run, task_seq=task_seq, round_seq=round_seq, body=kept)
        series = RunProgress.objects.filter(run=run)
        too_old = series.order_by("-id").values_list("pk", flat=True)[REPORTS_KEPT : REPORTS_KEPT + 1].first()
        if too_old is not None:
            series.filter(pk__lte=too_old).delete()
