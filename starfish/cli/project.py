"""`starfish project`: create a project, invite to it, join one, look at it, leave it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starfish.cli.session import Session, WrongUsage, command, noun, secret_of
from starfish.cli.tables import facts, plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api.projects import Joined, ProjectPage
    from starfish.controller.trust.coordination import Candidate

app = noun("Projects: create one, invite to it, join one, leave it.")

RULES = ("unit", "levels", "positive", "reference", "min", "max", "missing_codes", "role")

Ref = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name or id.")]


@command(app)
def create(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The project file (YAML).")],
    dataset: Annotated[str | None, typer.Option("--dataset", metavar="NAME", help="The dataset this site takes part with.")] = None,
    no_data: Annotated[bool, typer.Option("--no-data", help="Only coordinate; take part with no data.")] = False,
    by_name: Annotated[
        bool | None,
        typer.Option(
            "--by-name/--by-invitation",
            help="How others join. By invitation the project is sealed. By name anyone can, and the Routing Server reads all: for public "
            "data, where the policy allows it; it is what a site of policy 'open' makes unless told.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Create a project; this site coordinates it."""
    if (dataset is None) != no_data:
        raise WrongUsage("say what this site takes part with: either --dataset NAME or --no-data.")
    joined = session.site.projects.create(file, dataset=dataset, sealed=None if by_name is None else not by_name)
    _tell(session, joined)
    if not session.as_json:
        session.note(f"Next: {_next(joined.project)}")


@command(app)
def invite(
    session: Session,
    project: Ref,
    site: Annotated[str, typer.Option("--site", metavar="NAME", help="The invited site's name at the Routing Server.")],
    days: Annotated[int, typer.Option("--days", metavar="N", min=1, max=365, help="How long it holds.")] = 14,
    qr: Annotated[bool, typer.Option("--qr", help="Show it as a QR code, too.")] = False,
) -> None:
    """Invite one site (coordinator).

    Prints one line, which is as secret as a password: give it to that site's people by a way that is not the Routing Server.
    """
    from datetime import timedelta

    made = session.site.projects.invite(project, site=site, valid=timedelta(days=days))
    session.whole(made, made.line)
    if qr and not session.as_json:
        typer.echo(_qr(made.line))
    session.note(
        f"For '{site}' alone, by telephone, letter or sealed mail; whoever has this line can join in its name. There: "
        f"'starfish project join INVITATION --dataset NAME'. Then here: 'starfish project approve {made.project}'."
    )


@command(app)
def approve(
    session: Session,
    project: Ref,
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="This one alone.")] = None,
    look: Annotated[bool, typer.Option("--look", help="Only show who was invited and who has asked.")] = False,
) -> None:
    """Let in who was invited and has asked (coordinator), after comparing fingerprints by telephone."""
    actions = session.site.projects
    candidates = actions.candidates(project)
    let_in = [] if look else actions.approve(project, site=site)
    session.result({"candidates": candidates, "approved": let_in}, lambda _: _candidates(candidates, let_in))


@command(app)
def refuse(session: Session, project: Ref, site: Annotated[str, typer.Option("--site", metavar="NAME", help="Whose.")]) -> None:
    """Take an invitation back, or turn down who has asked by it (coordinator)."""
    session.site.projects.refuse(project, site=site)
    session.result({"project": project, "site": site}, lambda _: f"The invitation of '{site}' to '{project}' has ended.")


@command(app)
def remove(session: Session, project: Ref, site: Annotated[str, typer.Option("--site", metavar="NAME", help="Who goes.")]) -> None:
    """Take a member out of a project by invitation (coordinator): the next batches are without it, and it reads nothing of them."""
    session.site.projects.remove(project, site=site)
    session.result({"project": project, "site": site}, lambda _: f"'{site}' is no member of '{project}' any more.")


@command(app)
def join(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="INVITATION", help="An invitation's line, or a project's name; - reads it from stdin.")],
    dataset: Annotated[str, typer.Option("--dataset", metavar="NAME", help="The dataset to take part with.")],
) -> None:
    """Join a project with a dataset, by invitation or, where this site's policy allows it, by name."""
    joined = session.site.projects.join(secret_of(name), dataset=dataset)
    _tell(session, joined)
    if joined.project.role == "invited":
        session.note(
            "This site has asked to be let in. Compare fingerprints by telephone with the coordinator's people ('starfish site "
            "fingerprint' shows this site's); once they have approved, 'starfish project show' shows the terms."
        )
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
        "Trust": _trust(page),
        "Coordinator's fingerprint": page.coordinator_fingerprint or "",
        "But": page.problem or "",
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


def _next(page: "ProjectPage") -> str:
    if page.trust == "sealed":
        return f"invite the others with 'starfish project invite {page.name} --site NAME'."
    return f"the others join with 'starfish project join {page.name} --dataset NAME'."


def _trust(page: "ProjectPage") -> str:
    if page.trust != "sealed":
        return "unverified: joined by name; the Routing Server reads all, and nobody has signed the terms"
    if page.manifest is None:
        return "sealed"
    return f"sealed, under manifest {page.manifest}; code of the terms, the same at every member: {page.terms_code}"


def _candidates(candidates: "list[Candidate]", let_in: list[str]) -> "RenderableType":
    if not candidates:
        return "Nobody was invited yet. 'starfish project invite PROJECT --site NAME' does it."
    table = plain_table("Site", "Invitation", "Fingerprint of who has asked")
    for it in candidates:
        state = "approved" if it.site in let_in else it.state
        table.add_row(it.site, state, it.problem or it.fingerprint or "")
    return table


def _qr(line: str) -> str:
    """In characters, for a terminal."""
    import io

    import segno

    drawn = io.StringIO()
    segno.make(line, error="l").terminal(drawn, compact=True)
    return drawn.getvalue()


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
