"""A Routing Server in memory, as far as sites trust each other across it, that can be rolled back and can lie; and sites that can crash.

Its rules are those of `starfish.router.actions`.
"""

import copy
import itertools
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from starfish.controller.config import SiteConfig
from starfish.controller.trust import admission, coordination, joining, keyring
from starfish.controller.trust.admission import Trusted, announce
from starfish.controller.trust.keyring import Keyring
from starfish.controller.trust.store import TrustStore
from starfish.protocol.messages import InvitationState, Letter, Membership, Project, ProjectReference, Run, Site, SiteReference
from starfish.protocol.run_state import RunStatus
from starfish.sdk import Conflict, Forbidden, Invalid, NotFound
from starfish.sealing.manifest import Terms

ROUTER = "https://rs.example.org"
FOREVER = timedelta(days=30)
TERMS = Terms(
    name="heart",
    description="",
    tasks=[{"config": {"formula": "y ~ x", "total_round": 3}, "model": "LogisticRegression", "seq": 1}],
    definition={"variables": {"x": {"type": "number"}}},
)
SEEN = [{"seq": 1, "model": "LogisticRegression", "config": {"total_round": 3, "current_round": 1}}]
OVER = ("approved", "refused", "withdrawn")


@contextmanager
def folder() -> Iterator[Path]:
    """In memory where the system has such: no power cut is tried here, and waiting for disks is what these tests would do most."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as path:
        yield Path(path)


class Crashed(Exception):
    """The process ended here."""


@dataclass(kw_only=True)
class Clock:
    """What time it is, for the sites and their Routing Server."""

    time: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    @contextmanager
    def everywhere(self) -> Iterator["Clock"]:
        with pytest.MonkeyPatch.context() as patch:
            for module in (admission, coordination, joining, keyring):
                patch.setattr(module, "now", self)
            yield self


@dataclass(kw_only=True)
class Row:
    """An invitation as the server keeps it."""

    id: str
    project: int
    site: str
    expires: datetime
    state: str = "open"
    asker: int | None = None
    request: str | None = None
    answer: str | None = None


@dataclass(kw_only=True)
class State:
    """All that a backup of the server holds. Members: (project, site) by the membership's id; orders and runs by project and batch."""

    sites: dict[int, tuple[str, str]] = field(default_factory=dict)
    cards: dict[int, list[str]] = field(default_factory=dict)
    projects: dict[int, Project] = field(default_factory=dict)
    members: dict[int, tuple[int, int]] = field(default_factory=dict)
    invitations: dict[str, Row] = field(default_factory=dict)
    letters: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    orders: dict[tuple[int, int], bytes] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    last_id: int = 0


@dataclass(kw_only=True)
class Router:
    """`letters`, `orders`, `cards`: what it shows instead of the truth, by site's id, run's id and site's uid."""

    clock: Clock
    state: State = field(default_factory=State)
    letters: dict[int, dict[int, bytes]] = field(default_factory=dict)
    orders: dict[int, bytes] = field(default_factory=dict)
    cards: dict[str, list[str]] = field(default_factory=dict)
    moments: Iterator[int] = field(default_factory=itertools.count)

    def snapshot(self) -> State:
        return copy.deepcopy(self.state)

    def roll_back(self, snapshot: State) -> None:
        self.state = copy.deepcopy(snapshot)

    def honest(self) -> None:
        """Nothing but the truth is shown from now on."""
        self.letters.clear()
        self.orders.clear()
        self.cards.clear()

    def enrol(self, uid: str, name: str) -> int:
        id = self.new_id()
        self.state.sites[id] = uid, name
        self.state.cards[id] = []
        return id

    def new_id(self) -> int:
        self.state.last_id += 1
        return self.state.last_id

    def active(self, project: int) -> list[Run]:
        return [run for run in self.state.runs.values() if run.project == project and run.status is not RunStatus.SUCCESS]

    def end(self, project: int) -> None:
        for run in self.active(project):
            self.state.runs[run.id] = replace(run, status=RunStatus.SUCCESS)

    def runs_of(self, uid: str) -> list[Run]:
        return [run for run in self.state.runs.values() if run.site_uid == uid and run.status is not RunStatus.SUCCESS]

    def site_of(self, uid: str) -> int:
        return next((id for id, (known, _) in self.state.sites.items() if known == uid), 0)

    def member(self, project: int, site: int) -> bool:
        return (project, site) in self.state.members.values()


@dataclass(kw_only=True)
class Calls:
    """The client of one site: those of its methods that the site's trust needs, refused as the server refuses them."""

    router: Router
    site: int

    @property
    def _state(self) -> State:
        return self.router.state

    def post_card(self, site_id: int, text: str) -> None:
        self._acts(site_id)
        cards = self._state.cards[site_id]
        if text not in cards:
            if f'"version":{len(cards) + 1}}}' not in text:
                raise Conflict("Cards follow one another, and stay.", next=len(cards) + 1)
            cards.append(text)

    def cards(self, site_uid: str) -> list[str]:
        site = self.router.site_of(site_uid)
        together = any(self.router.member(project, self.site) and self.router.member(project, site) for project in self._state.projects)
        inviting = any(
            self._state.projects[it.project].site == site and it.state in ("open", "asked") and it.expires > self.router.clock()
            for it in self._state.invitations.values()
            if self._invited(it)
        )
        if not (site == self.site or together or inviting):
            raise NotFound("Site not found")
        return list(self.router.cards.get(site_uid, self._state.cards[site]))

    def create_project(
        self, name: str, description: str, site_id: int, tasks: Sequence[Any], definition: Mapping[str, Any], *, uid: str, joining: str
    ) -> Project:
        self._acts(site_id)
        if any(name == project.name or uid == project.uid for project in self._state.projects.values()):
            raise Invalid("project with this name already exists.")
        made = Project(id=self.router.new_id(), name=name, site=site_id, tasks=tasks, definition={}, uid=uid, joining=joining)
        self._state.projects[made.id] = made
        self._state.members[self.router.new_id()] = made.id, site_id
        return made

    def project(self, project_id: int) -> Project:
        if not self.router.member(project_id, self.site):
            raise NotFound("Project not found")
        return self._state.projects[project_id]

    def participants(self, project_id: int) -> list[Membership]:
        """All for the coordinator; itself and the coordinator for a participant."""
        project = self.project(project_id)
        seen = [(id, site) for id, (of, site) in self._state.members.items() if of == project_id]
        if project.site != self.site:
            seen = [(id, site) for id, site in seen if site in (self.site, project.site)]
        return [self._membership(id, project, site) for id, site in seen]

    def leave(self, membership_id: int) -> None:
        project_id, site = self._state.members.get(membership_id, (0, 0))
        if not project_id or self.site not in (site, self._state.projects[project_id].site):
            raise NotFound("Project participant not found")
        if self.router.active(project_id):
            raise Conflict("A batch of this project is active; leave when it has ended, or after the coordinator has stopped it.")
        del self._state.members[membership_id]

    def invite(self, project_id: int, id: str, site_name: str, expires: datetime) -> None:
        self._coordinates(project_id)
        if id in self._state.invitations:
            return
        if site_name == self._state.sites[self.site][1]:
            raise Invalid("This is the coordinator's own site: it is in the project already.")
        if any(of == project_id and self._state.sites[site][1] == site_name for of, site in self._state.members.values()):
            raise Conflict("This site is in the project already.")
        self._state.invitations[id] = Row(id=id, project=project_id, site=site_name, expires=expires)

    def invitation(self, id: str) -> InvitationState:
        it = self._invitation(id)
        project = self._state.projects[it.project]
        uid, name = self._state.sites[project.site]
        return InvitationState(
            id=id,
            project=ProjectReference(id=project.id, name=project.name, uid=project.uid),
            coordinator=SiteReference(id=project.site, uid=uid, name=name),
            site=it.site,
            state="expired" if it.state == "open" and it.expires <= self.router.clock() else it.state,
            expires=it.expires,
            request=it.request,
            answer=it.answer,
            cards=list(self.router.cards.get(uid, self._state.cards[project.site])),
        )

    def ask_to_join(self, id: str, site_id: int, request: str) -> None:
        it = self._invitation(id)
        self._acts(site_id)
        if (it.asker, it.request) == (site_id, request):
            return
        if it.state in OVER or it.expires <= self.router.clock():
            raise Conflict("This invitation is over: the coordinator can make another.", state=it.state)
        it.state, it.asker, it.request = "asked", site_id, request

    def answer_request(self, id: str, approved: bool, answer: str) -> None:
        it = self._invitation(id)
        self._coordinates(it.project)
        state = "approved" if approved else "refused"
        if (it.state, it.answer) == (state, answer):
            return
        if it.state != "asked" or it.asker is None:
            raise Conflict(f"This invitation is {it.state}.", state=it.state)
        it.state, it.answer = state, answer
        if approved and not self.router.member(it.project, it.asker):
            self._state.members[self.router.new_id()] = it.project, it.asker

    def withdraw(self, id: str) -> None:
        it = self._invitation(id)
        self._coordinates(it.project)
        if it.state not in OVER:
            it.state = "withdrawn"

    def put_letter(self, project_id: int, version: int, site_uid: str, data: bytes) -> None:
        self._coordinates(project_id)
        site = self.router.site_of(site_uid)
        if not self.router.member(project_id, site):
            raise NotFound("No member of this project has this uid.")
        known = self._state.letters.get((project_id, version, site))
        if known == data:
            return
        if known is not None:
            raise Conflict(f"This member has another letter of version {version}, and letters stay: publish the next version.")
        if self.router.active(project_id):
            raise Conflict("A batch of this project is active, and ends under the manifest that it began with: publish when it has ended.")
        self._state.letters[project_id, version, site] = data

    def letters(self, project_id: int, site_uid: str) -> list[Letter]:
        return [Letter(version=version, size=len(data), sha256="") for version, data in sorted(self._letters(project_id, site_uid).items())]

    def letter(self, project_id: int, version: int, site_uid: str) -> bytes:
        letters = self._letters(project_id, site_uid)
        if version not in letters:
            raise NotFound("There is no such letter.")
        return letters[version]

    def start_batch(self, project_id: int, *, number: int, order: bytes) -> None:
        project = self._coordinates(project_id)
        if self._state.orders.get((project_id, number)) == order:
            return
        if number != project.batch + 1:
            raise Conflict(f"The next batch of this project is {project.batch + 1}, not {number}.", next=project.batch + 1)
        if self.router.active(project_id):
            raise Invalid(f"The last batch has not ended: batch {project.batch} is still active")
        self._state.projects[project_id] = replace(project, batch=number)
        self._state.orders[project_id, number] = order
        for of, site in list(self._state.members.values()):
            if of == project_id:
                run = self._run(project, number, site)
                self._state.runs[run.id] = run

    def order(self, run_id: int) -> bytes:
        run = self._state.runs.get(run_id)
        if run is None or run.site_uid != self._state.sites[self.site][0]:
            raise NotFound("Run not found")
        return self.router.orders.get(run_id, self._state.orders[run.project, run.batch])

    def _run(self, project: Project, number: int, site: int) -> Run:
        return Run(
            id=self.router.new_id(),
            project=project.id,
            batch=number,
            role="coordinator" if site == project.site else "participant",
            site_uid=self._state.sites[site][0],
            cur_seq=1,
            status=RunStatus.STANDBY,
            tasks=copy.deepcopy(SEEN),
            updated_at=self.router.clock(),
            created_at=f"moment {next(self.router.moments)}",
        )

    def _acts(self, site_id: int) -> None:
        if site_id != self.site:
            raise Forbidden("You can act for your own sites only.")

    def _coordinates(self, project_id: int) -> Project:
        project = self.project(project_id)
        self._acts(project.site)
        return project

    def _invited(self, it: Row) -> bool:
        return it.site == self._state.sites[self.site][1]

    def _invitation(self, id: str) -> Row:
        it = self._state.invitations.get(id)
        if it is None or not (self._invited(it) or self._state.projects[it.project].site == self.site):
            raise NotFound("Invitation not found")
        return it

    def _letters(self, project_id: int, site_uid: str) -> dict[int, bytes]:
        project, site = self.project(project_id), self.router.site_of(site_uid)
        if self.site not in (site, project.site):
            raise NotFound("Site not found")
        true = {version: data for (of, version, to), data in self._state.letters.items() if (of, to) == (project_id, site)}
        return self.router.letters.get(site, true)

    def _membership(self, id: int, project: Project, site: int) -> Membership:
        uid, name = self._state.sites[site]
        role = "coordinator" if site == project.site else "participant"
        seen = Site(id=site, name=name, description="", uid=uid, connected=True)
        return Membership(id=id, site=seen, project=project, role=role, notes="")


@dataclass(kw_only=True)
class Fate:
    """When the process ends: right before or right after a call to the server or a write to the disk, counted from 0."""

    at: int | None = None
    steps: int = 0

    def step(self) -> None:
        self.steps += 1
        if self.at is not None and self.steps > self.at:
            self.at = None
            raise Crashed


class Mortal:
    """Passes on every call to what it stands for, and may crash before or after it; `heard`: all that came back."""

    def __init__(self, target: Any, fate: Fate) -> None:
        self.target, self.fate, self.heard = target, fate, list[Any]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.target, name)
        return self._passed(found) if callable(found) else found

    def _passed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.fate.step()
            result = method(*args, **named)
            self.fate.step()
            self.heard.append(result)
            return result

        return call


@dataclass(kw_only=True)
class Home:
    """One site, with real keys and a real store in a folder of its own."""

    router: Router
    name: str
    folder: Path
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        self.site_id = self.router.enrol(self.uid, self.name)
        self.folder.mkdir(mode=0o700)
        self.fate, self.survived = Fate(), False
        self.keys = Keyring(self.folder / "keys")
        self.keys.make(self.uid, self.name)
        self.real_store = TrustStore(self.folder / "trust.sqlite3")
        self.real_client = Calls(router=self.router, site=self.site_id)
        self.client: Any = Mortal(self.real_client, self.fate)
        self.store: Any = Mortal(self.real_store, self.fate)
        self.config = SiteConfig(router=ROUTER, uid=self.uid, name=self.name, site_id=self.site_id, auth="token")
        announce(self.trusted, self.site_id)

    @property
    def trusted(self) -> Trusted:
        return Trusted(client=self.client, store=self.store, keys=self.keys)

    def rotate(self) -> None:
        self.keys.rotate()
        announce(self.trusted, self.site_id)

    def repeated(self, act: Callable[[], Any], crash: int | None) -> Any:
        """`act`, which the process does not survive the first time, done again where it was interrupted."""
        self.fate.at, self.fate.steps = crash, 0
        try:
            return act()
        except Crashed:
            return act()
        finally:
            self.survived, self.fate.at = self.fate.at is not None, None

    def bytes(self) -> bytes:
        """All that this site has on its disk, and all that it was handed."""
        files = b"".join(path.read_bytes() for path in sorted(self.folder.rglob("*")) if path.is_file())
        return files + repr(self.client.heard).encode()
