"""What every command shares: --home, --json, --debug, where output goes, and how an error becomes a sentence."""

import dataclasses
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from starfish.controller.api import Site

FAILED, WRONG_USAGE = 1, 2
UNBOUNDED = 10_000  # columns of a pipe: nothing is wrapped or cut for want of a terminal

HomeOption = Annotated[
    Path | None, typer.Option("--home", metavar="DIR", help="The folder of the site; else what STARFISH_HOME names.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else, to stdout.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


class WrongUsage(typer.BadParameter):
    """What was typed can't be meant; ends the command with status 2."""

    def format_message(self) -> str:
        return self.message


def secret_of(argument: str) -> str:
    """A secret that was typed, or, where "-" was, the first line of stdin: what is typed others on this machine can read while it runs."""
    return (sys.stdin.readline() if argument == "-" else argument).strip()


class Session:
    """One command's surroundings. Results go to stdout, everything else to stderr."""

    def __init__(self, *, home: Path | None = None, as_json: bool = False) -> None:
        self.home = home
        self.as_json = as_json

    @cached_property
    def site(self) -> "Site":
        from starfish.controller.api import Site

        return Site(self.home_path)

    @property
    def home_path(self) -> Path:
        """Ends the command with status 2 where no home is named."""
        if self.home is None:
            raise WrongUsage("say which site: --home DIR, or set STARFISH_HOME.")
        return self.home

    @cached_property
    def out(self) -> "Console":
        return console(stderr=False)

    @cached_property
    def err(self) -> "Console":
        return console(stderr=True)

    def close(self) -> None:
        if "site" in self.__dict__:
            self.site.close()

    def result(self, value: Any, view: "Callable[[Any], RenderableType]") -> None:
        """The command's result: as JSON, or as `view` draws it."""
        if self.as_json:
            typer.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False, allow_nan=False))
        else:
            self.out.print(view(value))

    def whole(self, value: Any, text: str) -> None:
        """A result that is copied from the screen: no line of it is broken, however narrow that is."""
        if self.as_json:
            self.result(value, str)
        else:
            typer.echo(printable(text))

    def note(self, text: str) -> None:
        """A line about what goes on, for people only."""
        typer.echo(printable(text), err=True)


def console(*, stderr: bool) -> "Console":
    """Where rich draws: as wide as the terminal, or as what is drawn where there is none."""
    from starfish.cli.console import SafeConsole

    stream = sys.stderr if stderr else sys.stdout
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    return SafeConsole(stderr=stderr, highlight=False, markup=False, emoji=False, width=UNBOUNDED if piped else None)


def noun(help: str) -> typer.Typer:
    """A group of commands: `starfish HELPED verb`."""
    return typer.Typer(help=help, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def command(app: typer.Typer, name: str | None = None, *, home: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add `function(session, ...)` to `app`, with the options that every command has; its docstring is its help."""

    def add(function: Callable[..., None]) -> Callable[..., None]:
        def run(ctx: typer.Context, as_json: bool, debug: bool, home: Path | None = None, **arguments: Any) -> None:
            above = ctx.find_root().params
            show_tracebacks(debug or bool(above.get("debug")))
            session = Session(home=home or above.get("home"), as_json=as_json)
            try:
                _refuse_undecodable({"home": session.home, **arguments})
                function(session, **arguments)
            except (typer.TyperException, typer.Exit, typer.Abort):
                raise
            except expected_errors() as error:
                if debugging():
                    raise
                typer.echo(f"Error: {printable(sentence(error))}", err=True)
                raise typer.Exit(FAILED) from None
            finally:
                session.close()

        signature = inspect.signature(function, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.name != "session"]
        context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        common = [context]
        common += [_option("home", HomeOption, None)] if home else []
        common += [_option("as_json", JsonOption, False), _option("debug", DebugOption, False)]
        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + common
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        app.command(name)(run)
        return function

    return add


def expected_errors() -> tuple[type[Exception], ...]:
    """What a person can mend; imported only once something was raised, so that start-up stays quick."""
    from starfish.controller.data import DataError
    from starfish.controller.errors import SiteError
    from starfish.sdk import Problem, RouterUnreachable
    from starfish.tasks.errors import TaskError

    return (SiteError, TaskError, DataError, Problem, RouterUnreachable, OSError)


def sentence(error: Exception) -> str:
    """What the site's own people read: the private part where an error has one."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}." if error.filename else f"{error.strerror}."
    text = str(getattr(error, "private", None) or error)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def printable(text: str) -> str:
    """Without what would steer the terminal: texts come from other people's sites, too."""
    return "".join(letter for letter in text if letter.isprintable() or letter == "\n")


_debug = False


def show_tracebacks(wanted: bool) -> None:
    """What `starfish --debug` or a command's own --debug asks for."""
    global _debug
    _debug = wanted


def debugging() -> bool:
    return _debug


def _refuse_undecodable(arguments: Mapping[str, Any]) -> None:
    """Bytes that were no UTF-8 when they were typed can be neither sent nor written down."""
    for value in arguments.values():
        for text in map(str, value if isinstance(value, list) else [value]):
            if any("\ud800" <= letter <= "\udfff" for letter in text):
                raise WrongUsage(f"'{printable(text)}' holds bytes that are no text in UTF-8. Write it in UTF-8, or rename the file.")


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _plain(value: Any) -> Any:
    """What JSON doesn't know by itself."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no JSON")
