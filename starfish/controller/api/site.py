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
    from starfish.controller.api.guard import GuardActions
    from starfish.controller.api.projects import ProjectActions
    from starfish.controller.api.runs import RunActions
    from starfish.controller.trust.admission import Trusted
    from starfish.protocol.messages import Site as RouterSite
    from starfish.sdk import Client


BASE = "/starfish/api/v1/"


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    """How a site is. `problem` says why its Routing Server could not be asked; `connected` is what that one thinks.

    `waiting`: the batches that a person here has to approve.
    """

    home: str
    name: str
    uid: str
    router: str
    policy: str
    fingerprint: str
    daemon: bool
    reachable: bool
    connected: bool | None
    problem: str | None
    datasets: list[str]
    active_runs: list[str]
    waiting: list[str]


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """A site's present card, as its people read it out."""

    site: str
    version: int
    fingerprint: str
    recipient: str


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
        if "trusted" in self.__dict__:
            self.trusted.store.close()
            del self.trusted
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
    def trusted(self) -> "Trusted":
        """What this site has to tell the true from the false with; its cards are at the Routing Server. Raises HomeError, Untrusted."""
        from starfish.controller.trust.admission import Trusted, announce
        from starfish.controller.trust.store import TrustStore

        keys = self.home.keys
        keys.make(self.config.uid, self.config.name)
        trusted = Trusted(client=self.client, store=TrustStore(self.home.trust_file), keys=keys)
        announce(trusted, self.site_id)
        return trusted

    def fingerprint(self) -> Fingerprint:
        """By which others know this site on the telephone. Makes its keys where it has none; asks nobody. Raises HomeError."""
        from starfish.sealing.keys import fingerprint

        card = self.home.keys.make(self.config.uid, self.config.name).card
        return Fingerprint(site=card.name, version=card.version, fingerprint=fingerprint(card), recipient=card.recipient)

    def rotate(self) -> Fingerprint:
        """New keys, which the present ones vouch for; open invitations of this site's end. Raises HomeError, Untrusted."""
        from starfish.controller.trust.admission import announce

        trusted = self.trusted
        trusted.keys.rotate()
        announce(trusted, self.site_id)
        return self.fingerprint()

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

    @cached_property
    def guard(self) -> "GuardActions":
        from starfish.controller.api.guard import GuardActions

        return GuardActions(self)

    @staticmethod
    def enrol(
        home: Path | str, *, router: str, code: str, name: str | None = None, insecure: bool = False, policy: str = "standard"
    ) -> "Site":
        """Make a site with a one-time code. Its token is made and stored first: after a lost answer the same call goes on."""
        from starfish.sdk import Client

        def ask(config: SiteConfig, token: str) -> "RouterSite":
            with closing(Client(config.router)) as client:
                return client.enrol(code, config.uid, token)

        site = Site(home)
        secret = secrets.token_urlsafe(32)
        site._make(ask, router=router, name=name or "", auth="token", secret=secret, insecure=insecure, policy=policy)
        return site

    @staticmethod
    def register(
        home: Path | str, *, router: str, name: str, username: str, password: str, insecure: bool = False, policy: str = "standard"
    ) -> "Site":
        """Make a site with an account that exists. Safe to repeat after a lost answer."""
        from starfish.sdk import Client, NotFound

        def ask(config: SiteConfig, password: str) -> "RouterSite":
            with closing(Client(config.router, username=username, password=password)) as client:
                try:
                    return client.site_by_uid(config.uid)
                except NotFound:
                    return client.create_site(name, config.uid, "")

        site = Site(home)
        site._make(ask, router=router, name=name, auth="basic", username=username, secret=password, insecure=insecure, policy=policy)
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
            policy=self._preset(),
            fingerprint=self.fingerprint().fingerprint,
            daemon=self.home.daemon_pid() is not None,
            reachable=problem is None,
            connected=connected,
            problem=problem,
            datasets=[dataset.name for dataset in self.home.datasets.all()],
            active_runs=active,
            waiting=self.guard.waiting(),
        )

    def _preset(self) -> str:
        """As the file says now."""
        from starfish.controller.guard.policy import read_policy

        return read_policy(self.home.policy_file).preset

    def _make(
        self,
        ask: "Callable[[SiteConfig, str], RouterSite]",
        *,
        router: str,
        name: str,
        auth: Literal["token", "basic"],
        secret: str,
        insecure: bool,
        policy: str,
        username: str | None = None,
    ) -> None:
        """Write the home, ask the Routing Server, write down its answer. Where it refuses, a home made now goes again."""
        from starfish.sdk import NotFound, Problem

        router = checked_router(router, insecure=insecure)
        wanted = SiteConfig(
            router=router,
            uid=str(uuid.uuid4()),
            name=name,
            site_id=None,
            auth=auth,
            username=username,
            insecure=insecure,
            policy=policy,
        )
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
        self.home.keys.make(config.uid, answer.name)

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
