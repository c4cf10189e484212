"""`starfish router`: the Routing Server's own commands, on the machine and the settings that it runs with."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from starfish.cli.session import FAILED, Session, WrongUsage, command, debugging, noun, printable
from starfish.cli.tables import plain_table
from starfish.cli.trail import events_table, moment, reads_table, second

if TYPE_CHECKING:
    from rich.console import RenderableType

app = noun("The Routing Server: serve it, enrol sites.")

SWEEP_S = 15
CLEAR_S = 3600
SHUTDOWN_S = 2


@command(app, home=False)
def serve(
    session: Session,
    bind: Annotated[str, typer.Option("--bind", metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:8000",
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes; more than one needs PostgreSQL.")] = 1,
) -> None:
    """Serve, until interrupted."""
    host, port = _address(bind)
    os.environ["SWEEP_EVERY_S"] = str(SWEEP_S)
    with _router():
        _refuse_unready(workers)
        _refuse_taken(host, port)
        stop = threading.Event()
        sweeper = threading.Thread(target=_sweep, args=(stop,), name="check_site_status", daemon=True)
        sweeper.start()
        try:
            _listen(host, port, workers)
        finally:
            stop.set()
            sweeper.join(timeout=SHUTDOWN_S)


@command(app, "enrol-code", home=False)
def enrol_code(
    session: Session,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help='The site\'s name, as "Hospital A".')],
    hours: Annotated[int, typer.Option("--hours", min=1, max=24 * 365, help="How long the code may wait to be used.")] = 72,
) -> None:
    """Make a one-time code, which turns into an account, a site and its token: `starfish site init --enrol CODE`."""
    with _router():
        from starfish.router.actions.enrolment import make_code

        code = make_code(name, valid=timedelta(hours=hours))
    session.result({"name": name, "code": code, "hours": hours}, lambda made: made["code"])
    session.note(f"Give this code to the people of {name}, by a way that others don't read. It works once, within {hours} hours.")


@command(app, home=False)
def revoke(
    session: Session,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The site's name, as 'starfish router sites' lists it.")],
) -> None:
    """End a site's tokens. Within five seconds it is refused everywhere; its runs stay as they are."""
    with _router():
        from starfish.router.actions.enrolment import revoke as end_tokens

        ended = end_tokens(name)
    session.result({"name": name, "revoked": ended}, lambda done: f"{done['revoked']} token(s) of {name} ended.")


@command(app, home=False)
def extend(
    session: Session,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The site's name, as 'starfish router sites' lists it.")],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How long it is good from now on, at least.")] = 7,
) -> None:
    """Let a site's token count again that has expired, for some days. A site that is up renews it by itself then."""
    with _router():
        from starfish.router import wire
        from starfish.router.actions.tokens import extend as extend_token

        ends = wire.time(extend_token(name, valid=timedelta(days=days)))
    session.result({"name": name, "expires_at": ends}, lambda done: f"The token of {name} is good until {ends[:10]}.")


@command(app, home=False)
def sites(session: Session) -> None:
    """List the sites."""
    with _router():
        from starfish.router import wire
        from starfish.router.models import Site

        found = [{**wire.site(site), "last_seen_at": wire.time(site.last_seen_at)} for site in Site.objects.all()]
    session.result(found, _sites)


@command(app, home=False)
def audit(
    session: Session,
    since: Annotated[str | None, typer.Option("--since", metavar="WHEN", help="From then on: 2026-11-24, or 7d or 12h ago.")] = None,
    account: Annotated[str | None, typer.Option("--account", metavar="NAME", help="Of this account, or of the site of this name.")] = None,
    refused: Annotated[bool, typer.Option("--refused", help="What was refused, only.")] = False,
    reads: Annotated[bool, typer.Option("--reads", help="How often each account was shown what, by the hour.")] = False,
    last: Annotated[int, typer.Option("--last", min=1, max=1_000_000, help="So many, the newest.")] = 100,
) -> None:
    """Say who did what, and what was refused; or who was shown how much. Newest last, in UTC."""
    if refused and reads:
        raise WrongUsage("--refused and --reads exclude each other: what is refused is no read.")
    begin = moment(since) if since is not None else None
    with _router():
        from starfish.router import trail

        if reads:
            found, shown = trail.reads(since=begin, account=account, last=last), reads_table
        else:
            found, shown = trail.events(since=begin, account=account, refused=refused, last=last), events_table
    session.result(found, shown)
    if len(found) == last:
        session.note(f"These are the newest {last}; --last and --since choose others.")


@command(app, home=False)
def doctor(session: Session) -> None:
    """Say what is wrong, and what to do about it. Ends with 1 where the router cannot serve."""
    with _router():
        from starfish.router.doctor import findings

        found = [{"level": it.level, "what": it.what} for it in findings()]
    session.result(found, _findings)
    if any(finding["level"] == "error" for finding in found):
        raise typer.Exit(FAILED)


@command(app, "attack-demo", home=False)
def attack_demo(session: Session) -> None:
    """Play an attacker who owns a Routing Server, against three sites made for it; about a minute. Ends with 1 where one goes unnoticed."""
    from starfish.cli.attack.demo import play, view
    from starfish.cli.attack.world import DemoFailed

    try:
        played = play(session.note)
    except DemoFailed as error:
        typer.echo(f"Error: {printable(str(error))}", err=True)
        raise typer.Exit(FAILED) from None
    session.result(played, view)
    if not played["held"]:
        raise typer.Exit(FAILED)


@contextmanager
def _router() -> Iterator[None]:
    """The router's settings and database; what is wrong with them is a sentence."""
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.db import Error

    from starfish.protocol.problems import Problem

    os.environ["DJANGO_SETTINGS_MODULE"] = "starfish.router.settings"
    try:
        django.setup()
        yield
    except (ImproperlyConfigured, Error, Problem) as error:
        if debugging():
            raise
        typer.echo(f"Error: {printable(_sentence(error))}", err=True)
        raise typer.Exit(FAILED) from None


def _sentence(error: Exception) -> str:
    from django.db import Error, OperationalError, ProgrammingError

    first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, (OperationalError, ProgrammingError)) and ("no such table" in first_line or "does not exist" in first_line):
        return f"The database is not ready ({first_line}). Run: python3 manage.py migrate"
    if isinstance(error, Error):
        from starfish.router.health import why_no_database

        return f"The database does not answer ({why_no_database()}). Check the DATABASE_* settings, and that it runs."
    return str(error)


def _address(bind: str) -> tuple[str, int]:
    """Raises WrongUsage."""
    host, colon, port = bind.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise WrongUsage(f"--bind is {bind!r}; write HOST:PORT, as 127.0.0.1:8000.")
    return host.strip("[]"), int(port)


def _refuse_unready(workers: int) -> None:
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.db import connection

    from starfish.router import storage
    from starfish.router.health import unapplied_migrations

    if connection.vendor == "sqlite" and workers > 1:
        raise ImproperlyConfigured("SQLite serves one process: leave --workers at 1, or set DATABASE_HOST to use PostgreSQL.")
    missing = unapplied_migrations()
    connection.close()
    if not storage.writable():
        raise ImproperlyConfigured(f"This user cannot write to ARTIFACTS_DIR, {settings.ARTIFACTS_DIR}. Change its owner, or set another.")
    if missing:
        raise ImproperlyConfigured(
            f"The database lacks {len(missing)} migrations ({missing[-1]} is the last). Run: python3 manage.py migrate"
        )


def _refuse_taken(host: str, port: int) -> None:
    """uvicorn would say it in a log line and end."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ImproperlyConfigured(f"Cannot listen on {host}:{port}: {error.strerror}. Choose another --bind.") from error


def _sweep(stop: threading.Event) -> None:
    """`check_site_status`, now and every 15 s; leftovers, now and every hour. A database that is away for a while is no reason to end."""
    import logging
    import time

    from django.db import Error, connection

    from starfish.router.actions.leftovers import clear
    from starfish.router.actions.upkeep import check_site_status

    due = time.monotonic()
    while True:
        try:
            check_site_status()
            if time.monotonic() >= due:
                clear()
                due = time.monotonic() + CLEAR_S
        except (Error, OSError) as error:
            logging.getLogger("starfish.router").error("sweep_failed error=%s", type(error).__name__)
        finally:
            connection.close()
        if stop.wait(SWEEP_S):
            return


def _listen(host: str, port: int, workers: int) -> None:
    import uvicorn

    _allow_connections()
    options: dict[str, Any] = {"lifespan": "on", "ws": "none", "log_config": None, "access_log": False, "server_header": False}
    uvicorn.run(
        "starfish.router.asgi:application",
        host=host,
        port=port,
        workers=workers,
        timeout_graceful_shutdown=SHUTDOWN_S,
        **options,
    )


def _allow_connections() -> None:
    """Each waiting site holds one: as many files as the system lets this process open."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _sites(found: list[dict[str, Any]]) -> "RenderableType":
    table = plain_table("Site", "Status", "Last seen", "Uid")
    for site in found:
        table.add_row(site["name"], site["status"], second(site["last_seen_at"]), site["uid"])
    return table if found else "No sites yet. Make a code for one: starfish router enrol-code --name NAME"


def _findings(found: list[dict[str, str]]) -> "RenderableType":
    table = plain_table("", "What")
    for finding in found:
        table.add_row(finding["level"], finding["what"])
    return table


if __name__ == "__main__":
    app()
