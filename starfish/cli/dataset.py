"""`starfish dataset`: the site's data, and how columns map to a project's variables."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starfish.cli.session import FAILED, Session, WrongUsage, command, noun
from starfish.cli.tables import facts, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api.datasets import DatasetPage, Fit, Mapped
    from starfish.controller.datasets import Dataset

app = noun("The site's data, and how columns map to a project's variables.")

LONGEST_SHOWN = 60

Name = Annotated[str, typer.Argument(metavar="NAME", help="The dataset's name.")]
For = Annotated[str, typer.Argument(metavar="PROJECT", help="A project's name or id, or a project file.")]


@command(app)
def add(session: Session, name: Name, source: Annotated[str, typer.Argument(metavar="SOURCE", help="A CSV file.")]) -> None:
    """Give a file a name; it is read, not copied."""
    session.result(session.site.datasets.add(name, source), _page)


@command(app, "list")
def listing(session: Session) -> None:
    """List this site's datasets."""
    session.result(session.site.datasets.all(), _list)


@command(app)
def show(session: Session, name: Name) -> None:
    """Show a dataset's size and columns."""
    session.result(session.site.datasets.show(name), _page)


Said = list[str] | None


@command(app, "map")
def map_(
    session: Session,
    name: Name,
    project: For,
    column: Annotated[Said, typer.Option("--column", metavar="VARIABLE=COLUMN", help="The column that a variable is in.")] = None,
    recode: Annotated[Said, typer.Option("--recode", metavar="VARIABLE:OLD=NEW", help="A value, and what it means.")] = None,
    missing: Annotated[Said, typer.Option("--missing", metavar="VARIABLE=A,B", help="Values that mean missing.")] = None,
    factor: Annotated[Said, typer.Option("--factor", metavar="VARIABLE=NUMBER", help="Multiply, to reach the project's unit.")] = None,
    date_format: Annotated[Said, typer.Option("--format", metavar="VARIABLE=FORMAT", help="How dates are written, as %d.%m.%Y.")] = None,
    between: Annotated[
        Said, typer.Option("--between", metavar="VARIABLE=FROM:TO", help="A variable that is the time between two columns of dates.")
    ] = None,
    unit: Annotated[Said, typer.Option("--unit", metavar="VARIABLE=UNIT", help="That time's unit: days, weeks, months, years.")] = None,
    file: Annotated[Path | None, typer.Option("--file", metavar="FILE", help="A mapping file (YAML), instead of what holds.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Begin again with columns taken by their names.")] = False,
) -> None:
    """Say how columns answer a project's variables.

    Each change is a new version at this site; it never leaves. Without an option it shows the mapping that holds.
    """
    from starfish.controller.api.mappings import MappingChange, read_mapping_file

    if file and reset:
        raise WrongUsage("either --file or --reset: each takes the place of what holds.")
    entries: dict[str, dict[str, Any]] = {}
    for variable, key, value in [
        *((variable, "column", text) for variable, text in _pairs("--column", column)),
        *((variable, "missing", text.split(",")) for variable, text in _pairs("--missing", missing)),
        *((variable, "factor", _number("--factor", text)) for variable, text in _pairs("--factor", factor)),
        *((variable, "format", text) for variable, text in _pairs("--format", date_format)),
        *((variable, "unit", text) for variable, text in _pairs("--unit", unit)),
    ]:
        entries.setdefault(variable, {})[key] = value
    for variable, text in _pairs("--between", between):
        begins, colon, ends = text.partition(":")
        if not (begins and colon and ends):
            raise WrongUsage(f"--between wants VARIABLE=FROM:TO, two columns of dates, not '{variable}={text}'.")
        entries.setdefault(variable, {}).update({"from": begins, "to": ends})
    for what, new in _pairs("--recode", recode):
        variable, colon, old = what.partition(":")
        if not (variable and colon):
            raise WrongUsage(f"--recode wants VARIABLE:OLD=NEW, such as --recode sex:Male=male, not '{what}={new}'.")
        entries.setdefault(variable, {}).setdefault("recode", {})[old] = new
    whole = read_mapping_file(file) if file else {"variables": {}} if reset else None
    session.result(session.site.datasets.map(name, project, MappingChange(entries=entries, whole=whole)), _mapped)


@command(app)
def check(session: Session, name: Name, project: For) -> None:
    """Check a dataset against a project's variables."""
    fit = session.site.datasets.check(name, project)
    session.result(fit, fit_view)
    if fit.problems:
        session.note(
            f"Error: '{name}' does not fit '{fit.project}'. Mend the source, or map it with 'starfish dataset map {name} {project}'."
        )
        raise typer.Exit(FAILED)


def fit_view(fit: "Fit") -> "RenderableType":
    """How a dataset fits a project, for its own people."""
    from rich.console import Group
    from rich.text import Text

    mapping = f"mapping version {fit.mapping_version}" if fit.mapping_version else "columns taken by their names"
    verdict = "fits" if not fit.problems else f"has {len(fit.problems)} problem{'s' if len(fit.problems) > 1 else ''}"
    head = Text(f"Dataset '{fit.dataset}' ({fit.rows} rows, {mapping}) {verdict}.", style="green" if not fit.problems else "red")
    problems = [Text(f"  problem: {finding.text}") for finding in fit.problems]
    return Group(head, *problems, *(Text(f"  hint: {finding.text}", style="yellow") for finding in fit.hints))


def _mapped(mapped: "Mapped") -> "RenderableType":
    from rich.console import Group

    table = plain_table("Variable", "Comes from", "Recodes", "Missing", "Other")
    for name, entry in mapped.variables.items():
        source = entry["column"] if "column" in entry else f"{entry['from']} to {entry['to']}"
        recodes = ", ".join(f"{old} is {new}" for old, new in entry.get("recode", {}).items())
        other = ", ".join(f"{key} {entry[key]}" for key in ("factor", "format", "unit") if key in entry)
        table.add_row(name, source, recodes, ", ".join(entry.get("missing", [])), other)
    version = f"version {mapped.version}" if mapped.version else "columns taken by their names"
    return Group(f"'{mapped.dataset}' for '{mapped.project}': {version}", "", table)


def _pairs(option: str, values: Said) -> list[tuple[str, str]]:
    pairs = []
    for value in values or []:
        name, sign, text = value.partition("=")
        if not (name and sign and text):
            raise WrongUsage(f"{option} wants something on both sides of '=', not '{value}'.")
        pairs.append((name.strip(), text.strip()))
    return pairs


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise WrongUsage(f"{option} wants a number, not '{text}'.") from None


def _list(datasets: "list[Dataset]") -> "RenderableType":
    if not datasets:
        return "This site has no dataset. 'starfish dataset add NAME SOURCE' adds one."
    table = plain_table("Dataset", "Source", "Added")
    for dataset in datasets:
        table.add_row(dataset.name, dataset.source, dataset.added[:10])
    return table


def _page(page: "DatasetPage") -> "RenderableType":
    from rich.console import Group

    columns = plain_table("Column", "Some of its values")
    for column, values in page.columns.items():
        columns.add_row(column, ", ".join(_clipped(value) if value else "(empty)" for value in values))
    mapped = ", ".join(f"{project} (version {version})" for project, version in page.mappings.items())
    head = {"Dataset": page.name, "Source": page.source, "Rows": str(page.rows), "Mapped for": mapped or "no project yet"}
    return Group(facts(head), "", columns)


def _clipped(value: str) -> str:
    return value if len(value) <= LONGEST_SHOWN else f"{value[: LONGEST_SHOWN - 1]}…"
