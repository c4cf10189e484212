"""`starfish site policy` and `starfish site audit`: what this site allows, and what left it."""

from typing import TYPE_CHECKING, Annotated

import typer

from starfish.cli.session import FAILED, Session, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api.guard import AuditLine, PolicyPage
    from starfish.controller.guard.audit import Verdict


def register(app: typer.Typer) -> None:
    """Add these commands to `starfish site`."""
    command(app)(policy)
    command(app)(audit)


def policy(session: Session) -> None:
    """Show what this site allows, and why each rule is there."""
    session.result(session.site.guard.policy(), _policy)


def audit(
    session: Session,
    verify: Annotated[bool, typer.Option("--verify", help="Check that no entry was altered, taken out or moved.")] = False,
    head: Annotated[
        str | None, typer.Option("--head", metavar="NR:HASH", help="With --verify: a head that you noted before.", show_default=False)
    ] = None,
    contents: Annotated[bool, typer.Option("--contents", help="Show the numbers and texts that left, too.")] = False,
) -> None:
    """Show what left this site, what was withheld, and who approved what; or verify that record."""
    if verify or head is not None:
        verdict = session.site.guard.verify(head)
        session.result(verdict, _verdict)
        if verdict.faults:
            raise typer.Exit(FAILED)
        return
    lines = session.site.guard.audit(contents=contents)
    session.result(lines, lambda lines: _audit(lines, contents=contents))


def _policy(page: "PolicyPage") -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from starfish.controller.guard.presets import written

    parts: list[RenderableType] = [Text(f"{page.file}, preset {page.preset}. {page.purpose}"), Text("")]
    for rule in page.rules:
        changed = f"   (the preset says {written(rule.preset)})" if rule.changed else ""
        parts += [Text.assemble((f"{rule.name}: {written(rule.value)}", "bold"), changed), Text(f"  {rule.why}")]
    return Group(*parts)


def _audit(lines: "list[AuditLine]", *, contents: bool) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from starfish.cli.tables import plain_table

    if not lines:
        return Text("Nothing has left this site.")
    table = plain_table("nr", "when", "project", "batch", "what", "of it", right=(0, 2, 3))
    for line in lines:
        batch = ("", "") if line.project is None else (str(line.project), str(line.batch))
        table.add_row(str(line.nr), line.at, *batch, line.detail.get("what", line.kind), _told(line))
        if contents and line.content is not None:
            table.add_row("", "", "", "", "", Text(str(line.content).rstrip()))
    return Group(table, Text(""), Text(f"Head {lines[-1].nr}:{lines[-1].hash}"))


def _told(line: "AuditLine") -> str:
    detail = line.detail
    if line.kind == "approved":
        return f"approved by {detail['approver']}: {' '.join(detail['reasons'])}"
    if line.kind == "policy":
        return f"from here on: {detail['preset']}, {detail['policy'][:12]}"
    if line.kind == "withheld":
        return f"withheld by {detail['rule']}: {detail['reason']}"
    place = f"task {detail['task']}, round {detail['round']}, " if "task" in detail else ""
    numbers = f"{detail['numbers']} numbers, " if "numbers" in detail else ""
    return f"{place}{numbers}{detail['size']} bytes, {detail['sha256'][:12]}"


def _verdict(verdict: "Verdict") -> str:
    if verdict.faults:
        return "\n".join(verdict.faults)
    return (
        f"{verdict.entries} entries, and none was altered, taken out or moved.\nHead {verdict.head}\n"
        "Note the head where nobody at this site can change it: with --head it shows later whether entries were cut off at the end, "
        "or all written anew."
    )
