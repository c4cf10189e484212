"""`starfish project`: create a project, join one, look at it, leave it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starfish.cli.session import Session, WrongUsage, command, noun
from starfish.cli.tables import facts, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api.projects import Joined, ProjectPage

app = noun("Projects: create one, join one, leave it.")

RULES = ("unit", "levels", "positive", "reference", "min", "max", "missing_codes", "role")

Ref = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name or id.")]


@command(app)
def create(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The project file (YAML).")],
    dataset: Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="The dataset this site takes part with.")] = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Only coordinate; take part with no data.")] = False,
) -> None:
    """Create a project; this site coordinates it."""
    if (dataset is None) != no_data:
        raise WrongUsage("say what this site takes part with: either --dataset NAME or --no-data.")
    joined = session.site.projects.create(file, dataset=dataset)
    _tell(session, joined)
    if not session.as_json:
        session.note(f"Next: the others join with 'starfish project join {joined.project.name} --dataset NAME'.")


@command(app)
def join(
    session: Session, name: Ref, dataset: Annotated[str, typer.Option("--dataset", metavar="NAME", help="The dataset to take part with.")]
) -> None:
    """Join a project with a dataset."""
    joined = session.site.projects.join(name, dataset=dataset)
    _tell(session, joined)
    if joined.fit and joined.fit.problems:
        session.note(
            f"This site is a member of '{joined.project.name}', but '{dataset}' does not fit it yet. Mend that with "
            f"'starfish dataset map {dataset} {joined.project.name}', or mend the source, before a batch starts."
        )


@command(app, "list")
def listing(session: Session) -> None:
    """List this site's projects."""
    session.result(session.site.projects.all(), _list)


@command(app)
def show(session: Session, project: Ref) -> None:
    """Show a project's terms, tasks and members."""
    session.result(session.site.projects.show(project), _page)


@command(app)
def leave(session: Session, project: Ref) -> None:
    """Leave a project."""
    session.result(session.site.projects.leave(project), lambda page: f"This site has left '{page.name}'.")


def _tell(session: Session, joined: "Joined") -> None:
    from rich.console import Group

    from starfish.cli.dataset import fit_view

    session.result(joined, lambda joined: Group(_page(joined.project), *(["", fit_view(joined.fit)] if joined.fit else [])))


def _list(pages: "list[ProjectPage]") -> "RenderableType":
    if not pages:
        return "This site is in no project. 'starfish project join NAME --dataset NAME' joins one."
    table = plain_table("Id", "Project", "This site is", "Takes part with", "Last batch", right=(0, 4))
    for page in pages:
        table.add_row(str(page.id), page.name, page.role or "no member", _part(page), str(page.batch or "none"))
    return table


def _page(page: "ProjectPage") -> "RenderableType":
    from rich.console import Group

    head = {
        "Project": f"{page.name} (id {page.id})",
        "Description": page.description,
        "Coordinator": page.coordinator or "",
        "This site is": page.role or "no member: 'starfish project join' joins it",
        "Takes part with": _part(page),
        "Members": ", ".join(page.members or []),
        "Last batch": str(page.batch or "none yet") if page.role else "",
        "Missing values": str(page.definition.get("missing", "complete-cases")) if page.definition else "",
        "Eligibility": str(page.definition.get("eligibility") or ""),
    }
    parts: list[RenderableType] = [facts({name: text for name, text in head.items() if text})]
    if variables := page.definition.get("variables"):
        parts += ["", _variables(variables)]
    if page.tasks:
        parts += ["", _tasks(page.tasks)]
    return Group(*parts)


def _part(page: "ProjectPage") -> str:
    if page.role is None:
        return ""
    if page.with_data is None:
        return "nobody has said yet"
    return page.dataset or "no data, only coordinates"


def _variables(variables: Any) -> "RenderableType":
    """The terms may be another controller's, and of any form."""
    if not isinstance(variables, dict) or not all(isinstance(variable, dict) for variable in variables.values()):
        return f"Variables: {variables}"
    table = plain_table("Variable", "Type", "What it must be", "Label")
    for name, variable in variables.items():
        rules = [f"{key.replace('_', ' ')} {_words(variable[key])}" for key in RULES if key in variable]
        table.add_row(name, str(variable.get("type", "")), ", ".join(rules), str(variable.get("label", "")))
    return table


def _tasks(tasks: "list[Any]") -> "RenderableType":
    table = plain_table("Task", "Model", "Parameters", "Most rounds", right=(0, 3))
    for task in tasks:
        config = {key: value for key, value in task.get("config", {}).items() if key not in ("current_round", "total_round")}
        words = [_words(config.pop("formula"))] if "formula" in config else []
        words += [f"{key} {_words(value)}" for key, value in config.items()]
        table.add_row(str(task["seq"]), task["model"], ", ".join(words), str(task.get("config", {}).get("total_round", "")))
    return table


def _words(value: Any) -> str:
    if isinstance(value, list):
        return " | ".join(_words(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
