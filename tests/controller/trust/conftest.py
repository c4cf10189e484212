"""A coordinating site with one sealed project, and as many others as a test wants."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from starfish.controller.trust.admission import admit
from starfish.controller.trust.coordination import Candidate, Coordination
from starfish.controller.trust.joining import ask
from starfish.controller.trust.store import SealedProject
from starfish.controller.trust.wrapping import Sealed
from starfish.controller.worker.folder import BatchFolder
from starfish.protocol.messages import Run
from starfish.sealing.manifest import Order
from tests.controller.trust.fakes import FOREVER, ROUTER, SEEN, TERMS, Clock, Home, Router, folder

UID = "0123456789abcdef" * 2


@dataclass(kw_only=True)
class World:
    """`owner` coordinates 'heart'; `project` is its id at the server."""

    folder: Path
    clock: Clock
    router: Router
    owner: Home
    project: int
    homes: list[Home] = field(default_factory=list)

    @property
    def heart(self) -> Coordination:
        """As the next command finds it."""
        return Coordination(trusted=self.owner.trusted, project=self.known(self.owner))

    def known(self, home: Home) -> SealedProject:
        project = home.real_store.project_by_uid(UID)
        assert project is not None
        return project

    def site(self, name: str) -> Home:
        home = Home(router=self.router, name=name, folder=self.folder / f"home-{len(self.homes)}")
        self.homes.append(home)
        return home

    def invite(self, home: Home, valid: timedelta = FOREVER) -> str:
        return self.heart.invite(home.name, router=ROUTER, valid=valid)

    def ask(self, home: Home, line: str) -> SealedProject:
        return ask(home.client, home.store, home.keys, home.config, line)

    def member(self, name: str) -> Home:
        """A site that was invited, has asked and was let in."""
        home = self.site(name)
        self.ask(home, self.invite(home))
        self.heart.approve()
        return home

    def candidate(self, site: str) -> Candidate:
        """The last one of that name."""
        return [it for it in self.heart.candidates() if it.site == site][-1]

    def open(self) -> Order:
        """The next batch, as `starfish run start` opens it; the one before has ended."""
        self.router.end(self.project)
        order = self.heart.order(self.router.state.projects[self.project].batch)
        sealed = order.sealed(self.heart.manifest.group)
        self.owner.client.start_batch(self.project, number=order.batch, order=sealed)
        return order

    def run(self, home: Home) -> Run:
        """Of the batch that is active."""
        (run,) = self.router.runs_of(home.uid)
        return run

    def admit(self, home: Home, run: Run | None = None, **changes: object) -> Sealed:
        run = replace(run or self.run(home), **changes)  # type: ignore[arg-type]
        folder = BatchFolder(home.folder / f"batch-{run.batch}")
        return admit(home.trusted, self.known(home), run, f"{run.id} {run.created_at}", folder)


@contextmanager
def new_world() -> Iterator[World]:
    with folder() as path, Clock().everywhere() as clock:
        router = Router(clock=clock)
        owner = Home(router=router, name="North", folder=path / "owner")
        made = owner.client.create_project("heart", "", owner.site_id, SEEN, {}, uid=UID, joining="invitation")
        Coordination.begin(owner.trusted, UID, made.id, TERMS)
        world = World(folder=path, clock=clock, router=router, owner=owner, project=made.id)
        yield world
        for home in (owner, *world.homes):
            home.real_store.close()


@pytest.fixture
def world() -> Iterator[World]:
    with new_world() as made:
        yield made
