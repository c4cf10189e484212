"""Any order of joining, leaving, rotation, rollback, batches and crashes, with a server that shows what it likes.

No site computes without a manifest and an order that its coordinator has signed for it; no participant ever holds a byte that names
another; and where the server is honest, whoever is in the project does compute.
"""

import base64
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from starfish.controller.errors import NotNow
from starfish.controller.trust.admission import admit, refuse_strangers
from starfish.controller.trust.coordination import Coordination
from starfish.controller.trust.errors import Untrusted
from starfish.controller.trust.joining import ask
from starfish.controller.trust.wrapping import Sealed
from starfish.controller.worker.folder import BatchFolder
from starfish.protocol.messages import Run
from starfish.sdk import Conflict, NotFound, Problem
from starfish.sealing.keys import Card
from starfish.sealing.manifest import Manifest
from tests.controller.trust.fakes import ROUTER, SEEN, TERMS, Clock, Home, Router, State, folder

UID = "0123456789abcdef" * 2
SITES = st.integers(0, 3)
CRASH = st.none() | st.integers(0, 40)


@dataclass(kw_only=True)
class Participant:
    """What is true of a site. `lines`: the invitations that its people hold; `accepted`: order and run of each batch, and the manifest's
    version; `let_in`: by its card of then."""

    home: Home
    lines: list[str] = field(default_factory=list)
    accepted: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    pending: Card | None = None
    left: bool = False


class AnyOrder(RuleBasedStateMachine):
    """The coordinator is honest; its server need not be."""

    @initialize(honest=st.booleans(), automatic=st.booleans(), members=st.integers(0, 4))
    def begin(self, honest: bool, automatic: bool, members: int) -> None:
        self.stack, self.honest = ExitStack(), honest
        path = self.stack.enter_context(folder())
        self.clock = self.stack.enter_context(Clock().everywhere())
        self.router = Router(clock=self.clock)
        self.owner = Home(router=self.router, name="Coordinating-Clinic", folder=path / "owner")
        self.sites = [
            Participant(home=Home(router=self.router, name=f"Hospital-of-{place}", folder=path / place))
            for place in ("Asturias", "Bohemia", "Carinthia", "Dalmatia")
        ]
        made = self.owner.client.create_project("heart", "", self.owner.site_id, SEEN, {}, uid=UID, joining="invitation")
        Coordination.begin(self.owner.trusted, UID, made.id, TERMS, automatic=automatic)
        self.automatic, self.project = automatic, made.id
        self.orders: dict[int, set[str]] = {}
        self.backups: list[State] = [self.router.snapshot()]
        self.old_letters: list[tuple[int, int, bytes]] = []
        self.old_orders: list[bytes] = []
        for number in range(members):
            self.bring_in(number)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            for home in (self.owner, *(it.home for it in self.sites)):
                home.real_store.close()
            self.stack.close()

    # What people do.

    @rule(number=SITES, days=st.integers(1, 20), crash=CRASH)
    def invite(self, number: int, days: int, crash: int | None) -> None:
        site = self.sites[number]
        with suppress(NotNow) if self._is_member(site) else nullcontext(), self._refusals():
            line = self.owner.repeated(
                lambda: self._coordination().invite(site.home.name, router=ROUTER, valid=timedelta(days=days)), crash
            )
            assert line.startswith("starfish-invitation-1.")
            site.lines.append(line)

    @rule(number=SITES, which=st.integers(0, 5), crash=CRASH)
    def join(self, number: int, which: int, crash: int | None) -> None:
        site = self.sites[number]
        if not site.lines:
            return
        home = site.home
        with suppress(NotNow, Untrusted, Problem):
            line = site.lines[-1 - which % len(site.lines)]
            home.repeated(lambda: ask(home.client, home.store, home.keys, home.config, line), crash)
            site.pending = home.keys.current().card

    @rule(number=SITES)
    def bring_in(self, number: int) -> None:
        """All of the above, as it goes where nothing comes between."""
        if not self._is_member(self.sites[number]):
            self.invite(number, 14, None)
            self.join(number, 0, None)
            self.approve(number, False, None)

    @rule(number=SITES, all=st.booleans(), crash=CRASH)
    def approve(self, number: int, all: bool, crash: int | None) -> None:
        name = None if all else self.sites[number].home.name
        with self._refusals():
            self.owner.repeated(lambda: self._coordination().approve(name), crash)

    @rule(number=SITES, crash=CRASH)
    def refuse(self, number: int, crash: int | None) -> None:
        with suppress(NotNow), self._refusals():
            self.owner.repeated(lambda: self._coordination().refuse(self.sites[number].home.name), crash)

    @rule(number=SITES, crash=CRASH)
    def remove(self, number: int, crash: int | None) -> None:
        site, coordination = self.sites[number], self._coordination()
        if self._is_member(site):
            with self._refusals():
                self.owner.repeated(lambda: self._removed(coordination, site.home.name), crash)
                assert not self._is_member(site)
                assert not self.honest or not self.router.member(self.project, site.home.site_id)

    @rule(number=SITES)
    def leave(self, number: int) -> None:
        home = self.sites[number].home
        with suppress(Problem):
            for membership in home.real_client.participants(self.project):
                if membership.site.uid == home.uid:
                    home.client.leave(membership.id)
                    home.store.forget_project(UID)

    @rule(number=SITES)
    def rotate(self, number: int) -> None:
        with nullcontext() if self.honest else suppress(Problem, Untrusted):
            self.sites[number].home.rotate()

    @rule()
    def rotate_the_coordinator(self) -> None:
        with nullcontext() if self.honest else suppress(Problem, Untrusted):
            self.owner.rotate()

    @rule(days=st.integers(1, 15))
    def wait(self, days: int) -> None:
        self.clock.time += timedelta(days=days)

    @rule(crash=CRASH)
    def open_a_batch(self, crash: int | None) -> None:
        if self.router.active(self.project):
            self.router.end(self.project)
        self.back_up()
        with self._refusals():
            self.owner.repeated(self._open, crash)
            if self.honest:
                self._everybody_computes()
        for site in self.sites:
            self._try(site)

    # What the server does.

    @rule()
    def back_up(self) -> None:
        self.backups.append(self.router.snapshot())
        self.old_letters.extend((version, to, data) for (_, version, to), data in self.router.state.letters.items())
        self.old_orders.extend(self.router.state.orders.values())

    @precondition(lambda self: not self.honest)
    @rule(which=st.integers(0, 5))
    def roll_back(self, which: int) -> None:
        self.router.roll_back(self.backups[-1 - which % len(self.backups)])

    @precondition(lambda self: not self.honest)
    @rule()
    def open_twice(self) -> None:
        """One batch, before and after the server was restored from a backup of before it."""
        self.open_a_batch(None)
        self.router.roll_back(self.backups[-1])
        self.open_a_batch(None)

    @precondition(lambda self: self.old_letters)
    @rule(number=SITES, which=st.integers(0, 200), shift=st.integers(-1, 2))
    def show_a_letter(self, number: int, which: int, shift: int) -> None:
        """Of any site and version, as that of any version, for as long as one look takes."""
        version, _, data = self.old_letters[which % len(self.old_letters)]
        site = self.sites[number]
        self.router.letters[site.home.site_id] = {max(1, version + shift): data}
        self._try(site)
        self.router.honest()

    @precondition(lambda self: self.old_orders)
    @rule(number=SITES, which=st.integers(0, 50))
    def show_an_order(self, number: int, which: int) -> None:
        for run in self.router.runs_of(self.sites[number].home.uid):
            self.router.orders[run.id] = self.old_orders[which % len(self.old_orders)]
        self._try(self.sites[number])
        self.router.honest()

    @rule(number=SITES, other=SITES)
    def show_anothers_cards(self, number: int, other: int) -> None:
        self.router.cards[self.sites[number].home.uid] = self.router.state.cards[self.sites[other].home.site_id]
        self.router.cards[self.owner.uid] = self.router.state.cards[self.sites[other].home.site_id]
        self._try(self.sites[number])
        self.router.honest()

    @rule(number=SITES)
    def look(self, number: int) -> None:
        self._try(self.sites[number])

    # What must hold whatever happened.

    @invariant()
    def nobody_holds_a_byte_that_names_another(self) -> None:
        names = {site.home.name: _names(site.home) for site in getattr(self, "sites", ())}
        for site in getattr(self, "sites", ()):
            held = site.home.bytes()
            others = [name for of, found in names.items() if of != site.home.name for name in found]
            assert not [name for name in others if name in held]

    def _try(self, site: Participant) -> list[Sealed]:
        """What the site begins to compute now, each looked at; nothing where it refuses."""
        admitted = []
        for run in self.router.runs_of(site.home.uid):
            known = site.home.real_store.project_by_uid(UID)
            if known is not None:
                with suppress(Untrusted, NotFound):
                    batch = BatchFolder(site.home.folder / f"batch-{run.batch}")
                    sealed = admit(site.home.trusted, known, run, _identity(run), batch)
                    self._looked_at(site, run, sealed)
                    admitted.append(sealed)
        self._opens_nothing_else(site)
        return admitted

    def _opens_nothing_else(self, site: Participant) -> None:
        """Neither letters nor orders nor global models of versions that it is not in."""
        held = [*site.home.keys.identities(), *(view.identity for _, view in site.home.real_store.manifests(UID))]
        groups = {identity.recipient for identity in held}
        for manifest, _ in self.owner.real_store.manifests(UID):
            assert manifest.group not in groups or self._was_in(manifest, site)

    def _looked_at(self, site: Participant, run: Run, sealed: Sealed) -> None:
        """That the coordinator has said all this, to this site, and nothing newer that the site knew."""
        order, manifest = sealed.order, sealed.manifest
        assert order.hash in self.orders[run.batch]
        assert order.batch == run.batch
        assert order.manifest == manifest.hash
        assert manifest.hash in {known.hash for known, _ in self.owner.real_store.manifests(UID)}
        assert sealed.own.card in self.owner.real_store.roster(UID, manifest.version)
        seen = (order.hash, _identity(run), manifest.version)
        if run.batch in site.accepted:
            assert site.accepted[run.batch] == seen
        else:
            assert run.batch > max(site.accepted, default=0)
            assert manifest.version >= max((version for _, _, version in site.accepted.values()), default=0)
            newest = site.home.real_store.newest(UID)
            assert newest is not None
            assert newest[0] == manifest
            site.accepted[run.batch] = seen

    def _everybody_computes(self) -> None:
        own = next(run for run in self.router.runs_of(self.owner.uid))
        known = self.owner.real_store.project_by_uid(UID)
        assert known is not None
        sealed = admit(self.owner.trusted, known, own, _identity(own), BatchFolder(self.owner.folder / f"batch-{own.batch}"))
        refuse_strangers(sealed, self.router.active(self.project), {})
        assert sealed.manifest == self._coordination().manifest
        for site in self.sites:
            runs = self.router.runs_of(site.home.uid)
            assert bool(runs) is self._is_member(site)
            if runs and not self._stuck(site):
                (theirs,) = self._try(site)
                assert (theirs.manifest, theirs.order) == (sealed.manifest, sealed.order)
                assert theirs.roster.keys() == {self.owner.uid, site.home.uid}

    def _open(self) -> None:
        """As `starfish run start` does it."""
        coordination = self._coordination()
        order = coordination.order(self.owner.client.project(self.project).batch)
        self.orders.setdefault(order.batch, set()).add(order.hash)
        self.owner.client.start_batch(self.project, number=order.batch, order=order.sealed(coordination.manifest.group))

    def _coordination(self) -> Coordination:
        project = self.owner.real_store.project_by_uid(UID)
        assert project is not None
        return Coordination(trusted=self.owner.trusted, project=project)

    def _removed(self, coordination: Coordination, name: str) -> None:
        """Who is out already, by the attempt before a crash, is."""
        with suppress(NotNow):
            coordination.remove(name)

    def _is_member(self, site: Participant) -> bool:
        return any(card.uid == site.home.uid for card in self.owner.real_store.members(UID))

    def _was_in(self, manifest: Manifest, site: Participant) -> bool:
        return any(card.uid == site.home.uid for card in self.owner.real_store.roster(UID, manifest.version))

    def _refusals(self) -> AbstractContextManager[None]:
        """What may be refused: anything by a server that was rolled back; else a change of the members while a batch is under way, or
        while one has left whom the coordinator has not taken out yet."""
        if not self.honest:
            return suppress(NotNow, Problem)
        if self._gone():
            return suppress(NotNow, Conflict)
        return suppress(Conflict) if self.router.active(self.project) else nullcontext()

    def _gone(self) -> bool:
        return any(self._is_member(it) and not self.router.member(self.project, it.home.site_id) for it in self.sites)

    def _stuck(self, site: Participant) -> bool:
        """Whether it has new keys since it asked: the coordinator has approved others, and it has to be invited again."""
        known = site.home.real_store.project_by_uid(UID)
        return known is None or (not known.joined and site.pending != site.home.keys.current().card)


def _identity(run: Run) -> str:
    return f"{run.id} {run.created_at}"


def _names(home: Home) -> list[bytes]:
    """What would name a site to others."""
    cards = home.keys.chain()
    texts = [home.uid, home.name, *(card.hash for card in cards), *(card.fingerprint for card in cards)]
    texts += [card.recipient for card in cards] + [base64.b64encode(card.signing).decode() for card in cards]
    return [text.encode() for text in texts]


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=20, stateful_step_count=25, phases=[Phase.generate, Phase.shrink])
