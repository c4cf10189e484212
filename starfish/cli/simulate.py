"""`starfish simulate`: a project's tasks over several files in this one process, with no Routing Server."""

from pathlib import Path
from typing import Annotated, Any

import typer

from starfish.cli import report as report_view
from starfish.cli.session import Session, WrongUsage, command, noun

app = noun("The same tasks over several files in one process, with no Routing Server.")


@command(app, home=False)
def simulate(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The project file (YAML).")],
    site: Annotated[list[str], typer.Option("--site", metavar="NAME=SOURCE", help="A site and its data; once for each site.")],
    mapping: Annotated[
        list[str] | None, typer.Option("--mapping", metavar="NAME=FILE", help="How a site's columns map to variables.")
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", metavar="FILE", help="The sites' policy; open unless told.")] = None,
) -> None:
    """Try a study on files of your own, before asking anyone."""
    sources, mappings = _pairs("--site", site), _pairs("--mapping", mapping or [])
    for name in mappings.keys() - sources.keys():
        raise WrongUsage(f"--mapping names '{name}', which no --site does.")
    from starfish.controller import project_file
    from starfish.controller.api.mappings import read_mapping_file
    from starfish.controller.guard.policy import read_policy
    from starfish.controller.simulate import SimulatedSite, would_refuse
    from starfish.controller.simulate import simulate as run

    if policy is not None:
        read_policy(policy)  # a wrong one is said before any data are read
    project = project_file.read(file)
    sites = [
        SimulatedSite(name=name, source=source, mapping=read_mapping_file(mappings[name]) if name in mappings else None)
        for name, source in sources.items()
    ]
    report: dict[str, Any] = run(project, sites, policy=policy, progress=session.note)
    for sentence in would_refuse(project, sites) if policy is None else ():
        session.note(f"The policy 'standard' would refuse this. {sentence}")
    report_view.show(session, report)


def _pairs(option: str, values: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values:
        name, sign, rest = value.partition("=")
        if not (name and sign and rest):
            raise WrongUsage(f"{option} wants NAME=FILE, such as {option} 'Hospital A=a.csv', not '{value}'.")
        if name in pairs:
            raise WrongUsage(f"{option} names '{name}' twice.")
        pairs[name] = rest
    return pairs
