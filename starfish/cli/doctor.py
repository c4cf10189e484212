"""`starfish site doctor`: what is wrong with this site's machine and home, and what to do about it."""

from typing import TYPE_CHECKING

import typer

from starfish.cli.session import FAILED, Session, command

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api.doctor import Finding


def register(app: typer.Typer) -> None:
    """Add the command to `starfish site`."""
    command(app)(doctor)


def doctor(session: Session) -> None:
    """Say whether tasks run isolated here, and what else is wrong. Ends with 1 where the site can't work."""
    from starfish.controller.api.doctor import findings

    found = findings(session.site)
    session.result(found, _findings)
    if any(finding.level == "error" for finding in found):
        raise typer.Exit(FAILED)


def _findings(found: "list[Finding]") -> "RenderableType":
    from starfish.cli.tables import plain_table

    table = plain_table("", "What")
    for finding in found:
        table.add_row(finding.level, finding.what)
    return table
