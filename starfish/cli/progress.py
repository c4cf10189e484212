"""A batch as it happens: a table that redraws itself in a terminal, a line for each change anywhere else."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from textwrap import shorten
from typing import TYPE_CHECKING

from starfish.cli.session import Session
from starfish.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api.runs import BatchState, Progress, SiteState

METRICS_SHOWN, REPORT_WIDTH = 3, 100


def follow(session: Session, changes: "Iterable[Progress]") -> "BatchState":
    """Show every change on stderr; returns the last state."""
    from rich.live import Live
    from rich.text import Text

    state, said = None, ""
    with Live(console=session.err, auto_refresh=False, transient=True) as live:
        for change in changes:
            state = change.state
            for line in change.lines:
                live.console.print(Text(line))
            if session.err.is_terminal:
                live.update(state_view(state), refresh=True)
            elif (words := summary(state)) != said:
                session.note(words)
                said = words
    assert state is not None, "a watched batch has at least one state"
    if summary(state) != said:
        session.note(summary(state))
    return state


def summary(state: "BatchState") -> str:
    """One line: "round 3 of task 1 (LogisticRegressionStats): 3 Running, 1 Preparing"."""
    words = ", ".join(f"{count} {word}" for word, count in Counter(site.status for site in state.sites).items())
    first = state.sites[0]
    if state.ended:
        return f"Batch {state.batch} has ended: {words}."
    return f"Round {first.round} of task {first.task} ({first.model}): {words}"


def state_view(state: "BatchState") -> "RenderableType":
    """Each site's state, task, round, since when, and what it has reported of this round; reasons of failures below."""
    from rich.console import Group
    from rich.text import Text

    told = {site.run: words for site in state.sites if (words := reported(site))}
    table = plain_table("Site", "Role", "State", "Task", "Round", "Since", *(["Progress"] if told else []), right=(4, 5))
    table.columns[2].min_width = len("Pending Aggregating")  # the table must not dance while it is redrawn
    for site in state.sites:
        style = {"Success": "green", "Failed": "red", "Pending Failed": "red"}.get(site.status, "")
        task = f"{site.task} {site.model}"
        progress = [Text(told.get(site.run, ""))] if told else []
        table.add_row(
            site.site, site.role, Text(site.status, style=style), task, f"{site.round}/{site.total_round}", ago(site.since), *progress
        )
    reasons = [Text(f"{site.site}: {site.reason}", style="red") for site in state.sites if site.reason]
    return Group(f"{state.project}, batch {state.batch}", "", table, *reasons)


def reported(site: "SiteState") -> str:
    """ "train, 40%, loss 0.31: epoch 3", or nothing where it is not of the round that the site is in."""
    told = site.progress
    if told is None or (told.task_seq, told.round_seq) != (site.task, site.round):
        return ""
    fraction = [] if told.fraction is None else [f"{told.fraction:.0%}"]
    metrics = [f"{name} {value:.4g}" for name, value in islice(told.metrics.items(), METRICS_SHOWN)]
    words = ", ".join([str(told.step), *fraction, *metrics]) + (f": {told.message}" if told.message else "")
    return shorten(words, REPORT_WIDTH, placeholder=" …")


def ago(moment: datetime) -> str:
    """ "12 s ago", "3 min ago", or the date."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 100:
        return f"{max(0, round(seconds))} s ago"
    if seconds < 6000:
        return f"{round(seconds / 60)} min ago"
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
