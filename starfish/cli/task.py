"""`starfish task`: the tasks there are, what they take, what leaves the site."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from starfish.cli.session import Session, command, noun
from starfish.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api import Parameter, TaskPage

app = noun("The statistical tasks: parameters, and what leaves the site.")


@command(app, "list", home=False)
def listing(session: Session) -> None:
    """List the tasks."""
    from starfish.controller.api import task_pages

    session.result(task_pages(), _list)


@command(app, home=False)
def show(session: Session, model: Annotated[str, typer.Argument(metavar="MODEL", help="A task's name.")]) -> None:
    """Show a task's parameters and what leaves the site."""
    from starfish.controller.api import task_page

    session.result(task_page(model), _page)


def _list(pages: "list[TaskPage]") -> "RenderableType":
    table = plain_table("Task", "What it does")
    for page in pages:
        table.add_row(page.model, page.title)
    return table


def _page(page: "TaskPage") -> "RenderableType":
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parameters = plain_table("Parameter", "Type", "Default", "Meaning")
    for parameter in page.parameters:
        parameters.add_row(parameter.name, parameter.type, _default(parameter), parameter.description)
    leaves = [Padding(Text(line), (0, 0, 0, 2)) for line in page.leaves]
    heading = Text(f"{page.model}: {page.title}", style="bold")
    return Group(heading, page.description, "", parameters, "", Text("What leaves the site", style="bold"), *leaves)


def _default(parameter: "Parameter") -> str:
    if parameter.required:
        return "(needed)"
    return "none" if parameter.default in (None, "", []) else json.dumps(parameter.default, ensure_ascii=False).strip('"')
