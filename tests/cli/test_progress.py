"""A batch's table: what the sites have reported of this round, on one line, whatever they have sent."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from starfish.cli.console import SafeConsole
from starfish.cli.progress import reported, state_view
from starfish.controller.api.runs import BatchState, SiteState
from starfish.protocol.messages import ProgressReport

NOW = datetime(2026, 11, 24, tzinfo=UTC)
REPORT = ProgressReport(
    id=1, task_seq=1, round_seq=2, at=NOW, round=2, step="train", fraction=0.4, metrics={"loss": 0.3125, "rows": 1200.0}, message="epoch 3"
)
SITE = SiteState(
    run=1,
    uid="u",
    site="North",
    role="participant",
    status="Running",
    task=1,
    model="M",
    round=2,
    total_round=9,
    since=NOW,
    progress=REPORT,
)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "train, 40%, loss 0.3125, rows 1200: epoch 3"),
        ({"step": 7, "fraction": None, "metrics": {}, "message": ""}, "7"),
        ({"metrics": {f"m{number}": 1.0 for number in range(50)}, "message": "a\nb"}, "train, 40%, m0 1, m1 1, m2 1: a b"),
        ({"round_seq": 1}, ""),
        ({"task_seq": 2}, ""),
    ],
)
def test_a_report_of_this_round_is_one_line(change: dict[str, object], words: str) -> None:
    assert reported(replace(SITE, progress=replace(REPORT, **change))) == words  # type: ignore[arg-type]


def test_a_long_report_is_cut_between_words() -> None:
    words = reported(replace(SITE, progress=replace(REPORT, message="word " * 100)))
    assert len(words) <= 100
    assert words.endswith("word …")


@pytest.mark.parametrize(("progress", "column"), [(REPORT, True), (None, False)])
def test_the_column_is_there_where_somebody_has_reported(progress: ProgressReport | None, column: bool) -> None:
    sites = [replace(SITE, progress=progress), replace(SITE, run=2, site="South", progress=None)]
    state = BatchState(project="p", project_id=1, batch=1, ended=False, succeeded=False, sites=sites)
    console = SafeConsole(width=200)
    with console.capture() as capture:
        console.print(state_view(state))
    assert ("Progress" in capture.get(), "train, 40%" in capture.get()) == (column, column)
