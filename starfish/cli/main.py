"""`starfish`: finds the noun's file, and turns whatever goes wrong into a sentence."""

import sys
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from starfish.cli import session

NOUNS = {
    "site": "This site: make it, start its daemon, see how it is.",
    "dataset": "The data this site takes part with, and how columns map to a project's variables.",
    "project": "Projects: create one, join one, leave it.",
    "run": "Runs of a project: start, watch, stop, restart; logs, reports, downloads.",
    "task": "The statistical tasks there are, with their parameters and what leaves the site.",
    "simulate": "The same tasks over several files in one process, with no Routing Server.",
    "router": "The Routing Server: serve it, enrol sites.",
}


class Root(TyperGroup):
    """Imports a noun only when it is asked for, so that every command starts at once."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        return list(NOUNS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]
        if cmd_name not in NOUNS:
            return None
        command = typer.main.get_command(import_module(f"starfish.cli.{cmd_name}").app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        with formatter.section("Commands"):
            formatter.write_dl(list(NOUNS.items()))


app = typer.Typer(
    cls=Root, name="starfish", no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _version(wanted: bool) -> None:
    if wanted:
        from starfish import __version__

        typer.echo(f"starfish {__version__}")
        raise typer.Exit


@app.callback()
def starfish(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    home: Annotated[Path | None, typer.Option("--home", envvar="STARFISH_HOME", metavar="DIR", help="The folder of the site.")] = None,
    debug: session.DebugOption = False,
) -> None:
    """Federated learning and exact federated statistics for sites that may not share their data."""
    session.show_tracebacks(debug)


def _say(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """The last resort for what nobody expected: a sentence, and the traceback only where it was asked for."""
    if session.debugging():
        sys.__excepthook__(kind, error, traceback)
    else:
        typer.echo(
            f"Error: something unexpected happened ({kind.__name__}: {error}). This is a fault of Starfish: "
            "run the command again with --debug and report what it prints.",
            err=True,
        )


def main() -> None:
    sys.excepthook = _say
    typer.main.get_command(app)()
