"""`starfish run`: start a batch, watch it, stop it, read what came out."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starfish.cli import preview as preview_view
from starfish.cli import report as report_view
from starfish.cli.progress import follow, state_view
from starfish.cli.session import FAILED, Session, command, noun

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api.runs import LocalLine, SiteLog

app = noun("Runs: start, watch, stop, restart; logs, reports, downloads.")

Ref = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name or id.")]
Batch = Annotated[
    int | None, typer.Option("--batch", metavar="N", min=1, help="Which batch; the last one unless told.", show_default=False)
]


@command(app)
def preview(session: Session, project: Ref) -> None:
    """Try a project at this site alone: how many numbers would leave, and which rule of the policy is nearest."""
    session.result(session.site.runs.preview(project), preview_view.view)


@command(app)
def start(
    session: Session, project: Ref, wait: Annotated[bool, typer.Option("--wait", help="Watch until the batch has ended.")] = False
) -> None:
    """Open the next batch (coordinator)."""
    state = session.site.runs.start(project)
    if wait:
        session.note(f"Batch {state.batch} of '{state.project}' has begun.")
        _follow(session, state.project, state.batch)
    else:
        session.result(
            state, lambda state: f"Batch {state.batch} of '{state.project}' has begun; 'starfish run watch {state.project}' shows it."
        )


@command(app)
def watch(session: Session, project: Ref, batch: Batch = None) -> None:
    """Watch a batch until it has ended."""
    _follow(session, project, batch)


@command(app)
def approve(session: Session, project: Ref, batch: Batch = None) -> None:
    """Let a batch go on that waits for a person at this site."""
    session.result(
        session.site.runs.approve(project, batch),
        lambda made: f"Batch {made.batch} of '{made.project}' is approved by {made.approver}, on these terms and rows, and goes on.",
    )


@command(app)
def stop(session: Session, project: Ref, batch: Batch = None) -> None:
    """Stop a batch at all sites (coordinator)."""
    session.result(session.site.runs.stop(project, batch), lambda state: f"Batch {state.batch} of '{state.project}' is being stopped.")


@command(app)
def restart(session: Session, project: Ref, batch: Batch = None) -> None:
    """Take up a failed batch again (coordinator)."""
    session.result(session.site.runs.restart(project, batch), lambda state: f"Batch {state.batch} of '{state.project}' goes on.")


@command(app)
def show(session: Session, project: Ref, batch: Batch = None) -> None:
    """Show where a batch is."""
    session.result(session.site.runs.show(project, batch), state_view)


@command(app)
def logs(session: Session, project: Ref, batch: Batch = None) -> None:
    """Show the logs: all sites' to the coordinator."""
    found, local = session.site.runs.logs(project, batch), session.site.runs.local_log(project, batch)
    session.result({"sites": found, "local": local}, lambda _: _logs(found, local, own=session.site.config.name))


@command(app)
def report(session: Session, project: Ref, batch: Batch = None) -> None:
    """Show the report of a batch."""
    found = session.site.runs.report(project, batch)
    session.result(found, lambda report: report_view.view(report, width=session.out.width))


@command(app)
def download(
    session: Session,
    project: Ref,
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="A new folder.")],
    batch: Batch = None,
) -> None:
    """Save report, tables, models and logs in a folder."""
    files = session.site.runs.download(project, to, batch)
    session.result(files, lambda files: f"{len(files)} files are in {to}:\n" + "\n".join(f"  {file.relative_to(to)}" for file in files))


def _follow(session: Session, project: str, batch: int | None) -> None:
    """Show progress until the end; status 1 with the reason when the batch failed, or a task has no estimate."""
    try:
        state = follow(session, session.site.runs.watch(project, batch))
    except KeyboardInterrupt:
        session.note(f"The batch goes on; 'starfish run watch {project}' shows it again, 'starfish run stop {project}' ends it.")
        raise
    if not state.succeeded:
        if session.as_json:
            session.result(state, state_view)
        for site in state.sites:
            if site.reason:
                session.note(f"{site.site}: {site.reason}")
        session.note(
            f"Error: batch {state.batch} of '{state.project}' failed. 'starfish run logs {state.project}' shows more; "
            f"mend what is wrong and 'starfish run restart {state.project}'."
        )
        raise typer.Exit(FAILED)
    report_view.show(session, session.site.runs.report(project, state.batch))


def _logs(found: "list[SiteLog]", local: "list[LocalLine]", *, own: str) -> "RenderableType":
    """The others' logs, then this site's journal, which has all that its own log has, and more."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for log in found:
        if log.site != own or not local:
            parts += [Text(log.site, style="bold"), Text(log.text.rstrip()), ""]
    style = {"error": "red", "warning": "yellow"}
    told = [line for before, line in pairwise([None, *local]) if line and (before is None or line.text != before.text)]
    lines = [Text(f"{line.at} {line.text}", style=style.get(line.level, "")) for line in told]
    return Group(*parts, Text(f"{own}: this site's own journal, which stays here", style="bold"), *(lines or [Text("nothing yet")]))
