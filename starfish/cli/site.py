"""`starfish site`: make a site, start its daemon, see how it is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from starfish.cli import doctor, guard
from starfish.cli.session import Session, WrongUsage, command, noun, secret_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from starfish.controller.api import SiteStatus

app = noun("This site: make it, start its daemon, see how it is, and what it allows.")


@command(app)
def init(
    session: Session,
    router: Annotated[str, typer.Option("--router", metavar="URL", help="The Routing Server's address.")],
    name: Annotated[str | None, typer.Option("--name", help='This site\'s name, such as "Hospital A".')] = None,
    enrol: Annotated[
        str | None, typer.Option("--enrol", metavar="CODE", help="The operator's one-time code; - reads it from stdin.")
    ] = None,
    username: Annotated[str | None, typer.Option("--username", help="An account that exists, instead of a code.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="A file that holds the account's password.")] = None,
    policy: Annotated[str, typer.Option("--policy", help="What it allows: standard, strict, or open (for public data).")] = "standard",
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow plain http to another machine.")] = False,
) -> None:
    """Make a site, and enrol it at a Routing Server.

    The folder --home becomes the site's home. Safe to repeat: where the server's answer was lost, the same command goes on from there.
    """
    from starfish.controller.api import Site

    _check_policy(policy)
    if enrol is not None and username is None and password_file is None:
        site = Site.enrol(session.home_path, router=router, code=secret_of(enrol), name=name, insecure=insecure, policy=policy)
    elif enrol is None and username is not None and password_file is not None:
        if not name:
            raise WrongUsage('give the site a name: --name "Hospital A".')
        password = _password(password_file)
        site = Site.register(
            session.home_path, router=router, name=name, username=username, password=password, insecure=insecure, policy=policy
        )
    else:
        raise WrongUsage("say how the site logs in: either --enrol CODE, or --username NAME with --password-file FILE.")
    made = site.home.load()
    if name and made.name != name:
        session.note(f"The Routing Server's operator has named this site '{made.name}', not '{name}'; that name holds.")
    told = {"home": str(site.home.path), "name": made.name, "uid": made.uid, "site_id": made.site_id, "router": made.router}
    session.result(
        told | {"policy": made.policy, "fingerprint": site.fingerprint().fingerprint},
        lambda made: (
            f"'{made['name']}' is made in {made['home']}, under the policy '{made['policy']}'.\n"
            f"Its fingerprint, by which others know it on the telephone: {made['fingerprint']}\n"
            "Next: 'starfish site up' starts it, 'starfish dataset add' gives it data."
        ),
    )


def _password(file: Path) -> str:
    try:
        password = file.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise WrongUsage(f"{file} holds no password: it is not text in UTF-8.") from None
    if not password:
        raise WrongUsage(f"{file} holds no password: it is empty.")
    return password


@command(app)
def up(
    session: Session,
    portal: Annotated[
        str | None, typer.Option("--portal", metavar="HOST:PORT", help="Where the web portal listens (arrives later).")
    ] = None,
    no_portal: Annotated[bool, typer.Option("--no-portal", help="Without the web portal.")] = False,
) -> None:
    """Run this site's daemon here until Ctrl-C."""
    if portal is not None:
        raise WrongUsage("the portal arrives with a later version; leave --portal out.")
    config = session.site.config
    session.site.up(lambda: session.note(f"'{config.name}' is up, at {config.router}. End it with Ctrl-C."))


@command(app)
def status(session: Session) -> None:
    """Show how this site is."""
    session.result(session.site.status(), _status)


@command(app)
def fingerprint(session: Session) -> None:
    """Show the fingerprint of this site's keys, to be read out on the telephone."""
    session.result(session.site.fingerprint(), lambda it: f"{it.site}, card {it.version}: {it.fingerprint}")


@command(app)
def rotate(session: Session) -> None:
    """Make new keys, which the present ones vouch for. Open invitations of this site's end."""
    session.result(
        session.site.rotate(),
        lambda it: (
            f"{it.site} has new keys, card {it.version}: {it.fingerprint}\n"
            "Projects take them up with their next batch; a stolen key can rotate too, so tell the others by telephone."
        ),
    )


def _status(status: "SiteStatus") -> "RenderableType":
    from starfish.cli.tables import facts

    connected = {True: "connected", False: "disconnected", None: "unknown"}[status.connected]
    return facts(
        {
            "Site": status.name,
            "Home": status.home,
            "Daemon": "up" if status.daemon else "not up; 'starfish site up' starts it",
            "Routing Server": status.router,
            "Seen there as": connected if status.reachable else f"unknown: {status.problem}",
            "Policy": status.policy,
            "Fingerprint": status.fingerprint,
            "Datasets": ", ".join(status.datasets) or "none; 'starfish dataset add NAME SOURCE' adds one",
            "Active runs": "\n".join(status.active_runs) or ("none" if status.reachable else "unknown"),
            "Waits for a person": "\n".join(status.waiting) or "nothing",
            "uid": status.uid,
        }
    )


def _check_policy(policy: str) -> None:
    from starfish.controller.guard.presets import NAMES

    if policy not in NAMES:
        raise WrongUsage(f"there is no policy '{policy}'; there are: {', '.join(NAMES)}.")


guard.register(app)
doctor.register(app)
