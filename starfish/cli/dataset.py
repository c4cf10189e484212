"""`starfish dataset`: the site's data, and how columns map to a project's variables."""

from typing import TYPE_CHECKING, Annotated

import typer

from starfish.cli.session import Session, command, noun
from starfish.cli.tables import facts, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api.datasets import DatasetPage
    from starfish.controller.datasets import Dataset

app = noun("The site's data, and how columns map to a project's variables.")

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
        columns.add_row(column, ", ".join(value if value else "(empty)" for value in values))
    mapped = ", ".join(f"{project} (version {version})" for project, version in page.mappings.items())
    head = {"Dataset": page.name, "Source": page.source, "Rows": str(page.rows), "Mapped for": mapped or "no project yet"}
    return Group(facts(head), "", columns)
