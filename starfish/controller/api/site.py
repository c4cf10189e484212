"""A site as its people see it: made, started, looked at; its datasets, projects and runs."""

import secrets
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from starfish.controller.config import Home, SiteConfig
from starfish.controller.errors import HomeError, NotAllowed, NotNow

if TYPE_CHECKING:
    from starfish.controller.api.datasets import DatasetActions
    from starfish.controller.api.projects import ProjectActions
    from starfish.controller.api.runs import RunActions
    from starfish.protocol.messages import Site as RouterSite
    from starfish.sdk import Client


BASE = "/starfish/api/v1/"


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    """How a site is. `problem` says why its Routing Server could not be asked; `connected` is what that one thinks."""

    home: str
    name: str
    uid: str
    router: str
    policy: str
    daemon: bool
    reachable: bool
    connected: bool | None
    problem: str | None
    datasets: list[str]
    active_runs: list[str]


class Site:
    """One site, by its home folder. Use it in a `with`, or close it: it keeps one connection."""

    def __init__(self, home: Path | str) -> None:
        self.home = Home(home)

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection to the Routing Server, where one was made; the next call makes a new one."""
        if "client" in self.__dict__:
            self.client.close()
            del self.client

    @cached_property
    def config(self) -> SiteConfig:
        """Who the site is. Raises HomeError, also for a site whose enrolment was never answered."""
        config = self.home.load()
        if config.site_id is None:
            raise HomeError(f"The enrolment of {self.home.path} was not finished. Repeat the 'starfish site init' that made it.")
        return config

    @property
    def site_id(self) -> int:
        assert self.config.site_id is not None
        return self.config.site_id

    @cached_property
    def client(self) -> "Client":
        """The Routing Server, as this site; one kept connection."""
        self.config  # noqa: B018 - an unfinished enrolment is said before anything else
        return self.home.client()

    @cached_property
    def datasets(self) -> "DatasetActions":
        from starfish.controller.api.datasets import DatasetActions

        return DatasetActions(self)

    @cached_property
    def projects(self) -> "ProjectActions":
        from starfish.controller.api.projects import ProjectActions

        return ProjectActions(self)

    @cached_property
    def runs(self) -> "RunActions":
        from starfish.controller.api.runs import RunActions

        return RunActions(self)

    @staticmethod
    def enrol(home: Path | str, *, router: str, code: str, name: str | None = None, insecure: bool = False) -> "Site":
        """Make a site with a one-time code. Its token is made and stored first: after a lost answer the same call goes on."""
        from starfish.sdk import Client

        def ask(config: SiteConfig, token: str) -> "RouterSite":
            with closing(Client(config.router)) as client:
                return client.enrol(code, config.uid, token)

        site = Site(home)
        site._make(ask, router=router, name=name or "", auth="token", secret=secrets.token_urlsafe(32), insecure=insecure)
        return site

    @staticmethod
    def register(home: Path | str, *, router: str, name: str, username: str, password: str, insecure: bool = False) -> "Site":
        """Make a site with an account that exists. Safe to repeat after a lost answer."""
        from starfish.sdk import Client, NotFound

        def ask(config: SiteConfig, password: str) -> "RouterSite":
            with closing(Client(config.router, username=username, password=password)) as client:
                try:
                    return client.site_by_uid(config.uid)
                except NotFound:
                    return client.create_site(name, config.uid, "")

        site = Site(home)
        site._make(ask, router=router, name=name, auth="basic", username=username, secret=password, insecure=insecure)
        return site

    def up(self, starting: Callable[[], None] = lambda: None) -> None:
        """Run this site's daemon until it is told to stop (SIGINT, SIGTERM). `starting` is called once nothing can prevent it.

        Raises NotNow where one runs already.
        """
        self.config  # noqa: B018 - an unfinished enrolment is said before anything else
        if (pid := self.home.daemon_pid()) is not None:
            raise NotNow(f"This site is up already, as process {pid}.")
        from starfish.controller import daemon

        daemon.run(self.home, starting=starting)

    def status(self) -> SiteStatus:
        """Raises HomeError. A Routing Server that can't be asked is part of the answer."""
        config = self.config
        from starfish.sdk import Problem, RouterUnreachable

        connected, problem, active = None, None, []
        try:
            connected = self.client.site_by_uid(config.uid).connected
            listing = self.client.active_runs(config.uid)
            active = [f"project {run.project}, batch {run.batch}: {run.status.word}" for run in (listing.runs if listing else ())]
        except (RouterUnreachable, Problem) as error:
            problem = str(error)
        return SiteStatus(
            home=str(self.home.path),
            name=config.name,
            uid=config.uid,
            router=config.router,
            policy=config.policy,
            daemon=self.home.daemon_pid() is not None,
            reachable=problem is None,
            connected=connected,
            problem=problem,
            datasets=[dataset.name for dataset in self.home.datasets.all()],
            active_runs=active,
        )

    def _make(
        self,
        ask: "Callable[[SiteConfig, str], RouterSite]",
        *,
        router: str,
        name: str,
        auth: Literal["token", "basic"],
        secret: str,
        insecure: bool,
        username: str | None = None,
    ) -> None:
        """Write the home, ask the Routing Server, write down its answer. Where it refuses, a home made now goes again."""
        from starfish.sdk import NotFound, Problem

        router = checked_router(router, insecure=insecure)
        wanted = SiteConfig(router=router, uid=str(uuid.uuid4()), name=name, site_id=None, auth=auth, username=username, insecure=insecure)
        begun = self.home.exists
        config = self._begun(wanted, secret) if begun else wanted
        if not begun:
            self.home.create(config, secret)
        try:
            answer = ask(config, self.home.secret(config))
        except Problem as error:
            if not begun:
                self.home.discard()
            if isinstance(error, NotFound):
                raise NotNow(f"There is no Routing Server at {router} (it knows no such page). Check the address.") from error
            raise
        self.home.save(replace(config, site_id=answer.id, name=answer.name))

    def _begun(self, wanted: SiteConfig, secret: str) -> SiteConfig:
        """What an earlier attempt, whose answer was lost, has written down. Raises NotNow where that one was another."""
        config = self.home.load()
        if config.site_id is not None:
            raise NotNow(f"{self.home.path} is the home of '{config.name}' already. Choose another folder with --home.")
        if replace(wanted, uid=config.uid, name=wanted.name or config.name) != replace(config, name=config.name or wanted.name):
            of = f"of '{config.name}', " if config.name else ""
            raise NotNow(
                f"{self.home.path} was begun by another 'site init' ({of}at {config.router}), which had no answer. "
                "Repeat that one, or delete the folder and begin anew."
            )
        if config.auth == "basic":
            self.home.store_secret(config, secret)
        return config


def checked_router(url: str, *, insecure: bool) -> str:
    """The Routing Server's address, as it is kept. Raises NotAllowed for plain http to another machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment or parts.username:
        raise NotAllowed(f"'{url}' is no address of a Routing Server. Write it like https://starfish.example.org.")
    if parts.scheme == "http" and not insecure and not _loopback(host):
        raise NotAllowed(
            f"{url} is plain http: whoever is on the way can read and change what is sent. "
            "Use https, or add --insecure if you trust the whole network."
        )
    return url.rstrip("/").removesuffix(BASE.rstrip("/"))


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
