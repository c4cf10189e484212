"""A real Routing Server behind a hostile process, and three sites with real daemons: all on loopback, in a folder that goes."""

import contextlib
import hashlib
import secrets
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from starfish.cli.attack.canaries import OPEN, SEALED, SITES, Canaries
from starfish.cli.attack.database import Database
from starfish.cli.attack.processes import django, starfish, stop
from starfish.cli.attack.proxy import Proxy
from starfish.controller.api import Site

READY_S, LOOK_S = 40, 0.05
BATCH_S, GRACE_S = 40, 2.0


class DemoFailed(Exception):
    """What is attacked does not work by itself: nothing can be said of the attacks."""


@dataclass(kw_only=True)
class Study:
    """A project of all three. `batch`: the last one that its coordinator has opened."""

    world: "World"
    name: str
    id: int
    canaries: Canaries
    batch: int = 0

    def start(self) -> int:
        """Open the next batch, as the coordinator's people do. Raises SiteError, Problem."""
        self.batch = self.world.north.runs.start(str(self.id)).batch
        return self.batch

    def run(self) -> int:
        """A batch that nobody disturbs, to its end. Raises DemoFailed."""
        batch = self.start()
        self.world.wait_for(lambda: self.ended(batch), f"batch {batch} of '{self.name}' to end")
        for site in SITES:
            self.world.wait_for((self.folder(site, batch) / "report.json").exists, f"the report of {site}")
        return batch

    def fail(self) -> int:
        """A batch that fails at South, because of a row there. Raises DemoFailed."""
        data = self.world.data("South", self.canaries)
        self.canaries.write_data(data, "South", spoilt=True)
        batch = self.start()
        self.world.wait_for(self.ended, "the batch to fail")
        self.canaries.write_data(data, "South")
        return batch

    def ended(self, batch: int | None = None) -> bool:
        return all(run["status"] in (0, 8) for run in self.world.database.runs(self.id, batch or self.batch))

    def folder(self, site: str, batch: int | None = None) -> Path:
        """What a site keeps of a batch."""
        return self.world.sites[site].home.work(self.id, batch or self.batch)

    def lines(self, site: str, batch: int | None = None) -> list[str]:
        """What a site's own people read of a batch that is no mere news."""
        with self.world.sites[site].home.journal() as journal:
            events = journal.events((self.id, batch or self.batch))
        return [event.private or event.public for event in events if event.level != "info"]

    def calm(self) -> None:
        """The batch is over at all sites, by whatever means: the next attack begins with a project at rest."""
        deadline = time.monotonic() + GRACE_S
        while not self.ended() and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        self.world.database.end(self.id)


@dataclass(kw_only=True)
class World:
    """`sites`: by name, as their people use them; their daemons are processes of their own."""

    folder: Path
    database: Database
    proxy: Proxy
    settings: Mapping[str, str]
    sites: dict[str, Site] = field(default_factory=dict)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _names: int = 0

    @property
    def north(self) -> Site:
        """The coordinator."""
        return self.sites["North"]

    @property
    def south(self) -> Site:
        return self.sites["South"]

    @cached_property
    def study(self) -> Study:
        """The sealed project that most attacks are about; its first batch was honest."""
        made = self.sealed("sealed-study")
        made.run()
        return made

    @cached_property
    def other(self) -> Study:
        """Another sealed project of the same sites, after an honest batch; `before_other` is the database of before that batch."""
        made = self.sealed("second-study")
        self.database.copy(self._before_other.path)
        made.run()
        return made

    @cached_property
    def failed(self) -> int:
        """The batch of the study that failed at South."""
        return self.study.fail()

    @cached_property
    def by_name(self) -> Study:
        """What is not sealed, for comparison: an honest batch, and one that failed."""
        made = self.made("open-study", OPEN, sealed=False)
        for member in SITES[1:]:
            self.sites[member].projects.join(made.name, dataset=OPEN.dataset)
        made.run()
        made.fail()
        return made

    @property
    def before_other(self) -> Database:
        assert self.other.batch
        return self._before_other

    @property
    def _before_other(self) -> Database:
        return Database(path=self.folder / "before-other.sqlite3", artifacts=self.database.artifacts)

    def sealed(self, name: str, members: tuple[str, ...] = SITES[1:]) -> Study:
        """By invitation, one after the other: the lines go from hand to hand, past the Routing Server."""
        made = self.made(name)
        for member in members:
            self.sites[member].projects.join(self.invited(made, member), dataset=SEALED.dataset)
            self.north.projects.approve(name)
        return made

    def made(self, name: str, canaries: Canaries = SEALED, *, sealed: bool = True) -> Study:
        """A project of the coordinator alone."""
        file = canaries.project_file(self.folder, name)
        page = self.north.projects.create(file, dataset=canaries.dataset, sealed=sealed).project
        return Study(world=self, name=name, id=page.id, canaries=canaries)

    def invited(self, study: Study, member: str) -> str:
        return self.north.projects.invite(study.name, site=member).line

    def data(self, site: str, canaries: Canaries) -> Path:
        return self.folder / f"{site}-{canaries.dataset}.csv"

    def new_name(self) -> str:
        self._names += 1
        return f"joining-{self._names}"

    def uid(self, site: str) -> str:
        return self.sites[site].config.uid

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = BATCH_S) -> None:
        """Raises DemoFailed."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or (ended := [it for it in self.processes if it.poll() is not None]):
                raise DemoFailed(f"Waited in vain for {what}." + (" A process has ended." if ended else ""))
            time.sleep(LOOK_S)


@contextmanager
def world() -> Iterator[World]:
    """Up and joined; down again whatever happens. Raises DemoFailed."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="starfish-attack-")))
        port = _free_port()
        database = Database(path=folder / "router.sqlite3", artifacts=folder / "artifacts")
        settings = {
            "DATABASE_HOST": "",
            "DATABASE_NAME": str(database.path),
            "ARTIFACTS_DIR": str(database.artifacts),
            "SECRET_KEY": secrets.token_hex(32),
            "ALLOWED_HOSTS": "127.0.0.1",
            "DEBUG": "false",
        }
        try:
            django(["migrate", "--verbosity", "0"], settings, folder)
        except RuntimeError as error:
            raise DemoFailed(str(error)) from error
        proxy = Proxy(upstream=("127.0.0.1", port))
        stack.callback(proxy.close)
        made = World(folder=folder, database=database, proxy=proxy, settings=settings)
        stack.callback(lambda: stop(made.processes[::-1]))
        made.processes.append(starfish(["router", "serve", "--bind", f"127.0.0.1:{port}"], folder / "server.log", settings))
        made.wait_for(lambda: _healthy(port), "the Routing Server", READY_S)
        for name in SITES:
            stack.callback(_enrolled(made, name).close)
        for name, site in made.sites.items():
            up = ["site", "up", "--no-portal", "--home", str(site.home.path)]
            made.processes.append(starfish(up, folder / f"{name}.out", {}))
        for name, site in made.sites.items():
            made.wait_for(site.home.daemon_pid, f"{name} to come up", READY_S)
        yield made


def _enrolled(made: World, name: str) -> Site:
    code, now = f"ATTACK-{secrets.token_hex(8).upper()}", datetime.now(UTC).replace(tzinfo=None)
    digest = hashlib.sha256(code.replace("-", "").encode()).hexdigest()
    made.database.insert("router_enrolcode", sha256=digest, name=name, expires_at=(now + timedelta(hours=1)).isoformat(sep=" "))
    site = Site.enrol(made.folder / name, router=made.proxy.url, code=code, name=name, policy="open")
    made.sites[name] = site
    made.proxy.sites = {**made.proxy.sites, f"Bearer {site.home.secret(site.config)}": name}
    for canaries in (SEALED, OPEN):
        data = made.data(name, canaries)
        canaries.write_data(data, name)
        site.datasets.add(canaries.dataset, data)
    return site


def _healthy(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
