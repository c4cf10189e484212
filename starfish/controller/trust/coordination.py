"""What a coordinator says with its signature: who is invited, who is in, on what terms, and that a batch may begin.

Each thing is kept here before it is sent, and sent until it is known to have arrived: every method may be repeated after a crash.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from starfish.controller.errors import NotNow
from starfish.controller.trust.admission import Trusted
from starfish.controller.trust.keyring import now
from starfish.controller.trust.store import Invited, SealedProject
from starfish.protocol.messages import Membership
from starfish.sdk import NotFound, Problem
from starfish.sealing.errors import SealingError
from starfish.sealing.invitation import Invitation, answer, check_request, new_invitation
from starfish.sealing.keys import Card, follow
from starfish.sealing.manifest import Manifest, Order, Terms, make_manifest, make_order, open_letter

ORDER_VALID = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A site that was invited. `fingerprint`: its own, once it has asked; `problem`: why what came in its name is refused."""

    site: str
    state: str
    expires: datetime | None
    fingerprint: str | None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Coordination:
    """One sealed project of this site's. Methods raise RouterUnreachable and Problem."""

    trusted: Trusted
    project: SealedProject

    @staticmethod
    def begin(trusted: Trusted, uid: str, router_id: int, terms: Terms, *, automatic: bool = False) -> "Coordination":
        """The project's first manifest, of its coordinator alone. `automatic`: who was invited and proves it is let in unseen."""
        own = trusted.keys.current().card
        trusted.store.add_project(uid, router_id, terms.name, coordinator=own, coordinates=True, automatic=automatic)
        project = trusted.store.project_by_uid(uid)
        assert project is not None
        made = Coordination(trusted=trusted, project=project)
        if trusted.store.newest(uid) is None:
            made._publish(terms, [own], None)
        return made

    @property
    def manifest(self) -> Manifest:
        newest = self.trusted.store.newest(self.project.uid)
        assert newest is not None
        return newest[0]

    def invite(self, site: str, *, router: str, valid: timedelta) -> str:
        """The line that the invited site's people are to get, by another way than the Routing Server. Raises NotNow."""
        if any(member.name == site for member in self._members()):
            raise NotNow(f"'{site}' is in '{self.project.name}' already.")
        own = self.trusted.keys.current().card
        expires = now() + valid
        made = new_invitation(coordinator=own, expires=expires, project=self.project.uid, router=router, site=site)
        self.trusted.store.keep_invitation(made.id, self.project.uid, site, made.line())
        try:
            self.trusted.client.invite(self.project.router_id, made.id, site, expires)
        except Problem:
            self.trusted.store.decided(made.id, "withdrawn", None)
            raise
        return made.line()

    def candidates(self) -> list[Candidate]:
        """All who were invited, and what has come of it; a request that is good is kept, and no other after it is taken."""
        return [self._candidate(invited) for invited in self.trusted.store.invitations(self.project.uid)]

    def approve(self, site: str | None = None) -> list[Card]:
        """Let in who has asked (`site`: that one alone), and publish the manifest that they are in. Whoever was let in."""
        self.candidates()
        chosen = [it for it in self.trusted.store.invitations(self.project.uid) if it.state == "asked" and site in (None, it.site)]
        for invited in chosen:
            assert invited.joiner is not None
            said = answer(Invitation.parse(invited.line), self.trusted.keys.current().card, invited.joiner, True)
            self.trusted.store.let_in(invited.id, self.project.uid, invited.joiner, said)
        self.settle()
        return [invited.joiner for invited in chosen if invited.joiner is not None]

    def refuse(self, site: str) -> None:
        """Turn down who has asked, or take an open invitation back. Raises NotNow."""
        found = [it for it in self.trusted.store.invitations(self.project.uid) if it.site == site and it.state in ("open", "asked")]
        if not found:
            raise NotNow(f"No invitation of '{site}' to '{self.project.name}' is open.")
        for invited in found:
            self._withdraw(invited)

    def remove(self, site: str) -> None:
        """A member, out of the next manifest. Raises NotNow, Conflict while a batch is active."""
        card = next((card for card in self._members() if card.name == site), None)
        if card is None:
            raise NotNow(f"'{site}' is not in '{self.project.name}'.")
        for membership in self._memberships():
            if membership.site.uid == card.uid:
                self.trusted.client.leave(membership.id)
        self.trusted.store.remove_member(self.project.uid, card.uid)
        self.settle()

    def settle(self) -> None:
        """Send what was decided and is not known to have arrived: answers, then the manifest that follows from them, then its letters.

        Raises NotNow where a member is none at the Routing Server.
        """
        own, manifest = self.trusted.keys.current().card, self.manifest
        members = [own, *self._members()]
        names = {card.uid: card.name for card in members}
        for invited in self.trusted.store.invitations(self.project.uid):
            if invited.joiner and invited.joiner.uid in names and invited.answer is not None and self._awaits(invited):
                self.trusted.client.answer_request(invited.id, True, invited.answer)
        roster = self.trusted.store.roster(self.project.uid, manifest.version)
        if {card.hash for card in members} != {card.hash for card in roster}:
            self._publish(_terms(manifest), members, manifest)
        for version, uid, letter in self.trusted.store.letters(self.project.uid):
            if uid in names:
                try:
                    self.trusted.client.put_letter(self.project.router_id, version, uid, letter)
                except NotFound as error:
                    raise self._gone(names[uid]) from error
            self.trusted.store.letter_arrived(self.project.uid, version, uid)

    def order(self, last_batch: int) -> Order:
        """The next batch's, signed and kept. `last_batch`: the Routing Server's.

        Raises NotNow where the members don't agree, or the Routing Server was rolled back.
        """
        if self.project.automatic:
            self.approve()
        self._follow_cards()
        self.settle()
        self._refuse_other_members()
        store, uid = self.trusted.store, self.project.uid
        last, kept = store.last_order(uid), store.order(uid, last_batch + 1)
        begun = kept is not None and store.run_of(kept) is not None
        if last is not None and (last_batch + 1 < last.batch or begun):
            raise NotNow(
                f"The Routing Server says that the last batch was {last_batch}, and this site has ordered batch {last.batch}: "
                "the server was rolled back. Its operator has to restore it, or the project has to be made anew."
            )
        if kept is not None and kept.manifest == self.manifest.hash and kept.expires > now():
            return kept
        order = make_order(
            self.trusted.keys.current(),
            self.manifest,
            batch=last_batch + 1,
            created=now(),
            expires=now() + ORDER_VALID,
        )
        store.replace_order(order)
        return order

    def _candidate(self, invited: Invited) -> Candidate:
        if invited.state not in ("open", "asked"):
            return Candidate(
                site=invited.site, state=invited.state, expires=None, fingerprint=invited.joiner.fingerprint if invited.joiner else None
            )
        invitation = Invitation.parse(invited.line)
        own = self.trusted.keys.current().card
        if invitation.coordinator != own.hash:
            self._withdraw(invited)
            return Candidate(
                site=invited.site, state="withdrawn", expires=None, fingerprint=None, problem="This site's keys were rotated since."
            )
        if invited.joiner is not None:
            return Candidate(site=invited.site, state="asked", expires=invitation.expires, fingerprint=invited.joiner.fingerprint)
        if invitation.expires < now():
            return Candidate(site=invited.site, state="expired", expires=invitation.expires, fingerprint=None)
        problem, joiner = self._request(invited, invitation)
        if joiner is None:
            return Candidate(site=invited.site, state="open", expires=invitation.expires, fingerprint=None, problem=problem)
        self.trusted.store.asked(invited.id, joiner)
        return Candidate(site=invited.site, state="asked", expires=invitation.expires, fingerprint=joiner.fingerprint)

    def _request(self, invited: Invited, invitation: Invitation) -> tuple[str | None, Card | None]:
        """Who asks, once somebody does; or why what came is refused."""
        asked = [it.joiner for it in self.trusted.store.invitations(self.project.uid) if it.state == "asked" and it.site != invited.site]
        others = [*self._members(), *(joiner for joiner in asked if joiner is not None)]
        try:
            told = self.trusted.client.invitation(invited.id)
            if told.request is None:
                return None, None
            return None, check_request(invitation, self.trusted.keys.current().card, told.request, now=now(), members=others)
        except NotFound:
            return (
                f"The Routing Server does not know the invitation of '{invited.site}': it never arrived, or the server was rolled back. "
                "Take it back with 'starfish project refuse', and invite anew."
            ), None
        except SealingError as error:
            return f"What came in the name of '{invited.site}' is refused: {error}", None

    def _awaits(self, invited: Invited) -> bool:
        """Whether the answer to who was approved has not arrived yet."""
        try:
            return self.trusted.client.invitation(invited.id).state == "asked"
        except NotFound:
            return False

    def _withdraw(self, invited: Invited) -> None:
        with suppress(NotFound):  # it never arrived there
            self.trusted.client.withdraw(invited.id)
        self.trusted.store.decided(invited.id, "withdrawn", None)

    def _publish(self, terms: Terms, members: Sequence[Card], previous: Manifest | None) -> None:
        keys = self.trusted.keys.current()
        manifest, _, letters = make_manifest(keys, self.trusted.keys.chain(), terms, self.project.uid, members, previous, now())
        _, view = open_letter(letters.pop(keys.card.hash), [keys.identity])
        uids = {card.hash: card.uid for card in members}
        self.trusted.store.publish(manifest, view, members, {uids[hash]: letter for hash, letter in letters.items()})

    def _members(self) -> list[Card]:
        """But the coordinator."""
        return self.trusted.store.members(self.project.uid)

    def _memberships(self) -> list[Membership]:
        return self.trusted.client.participants(self.project.router_id)

    def _follow_cards(self) -> None:
        """A member that has rotated its keys is in the next manifest with the new card. Raises NotNow for a chain that does not hold."""
        for card in self._members():
            try:
                newer = follow(card, self.trusted.client.cards(card.uid))
            except NotFound as error:
                raise self._gone(card.name) from error
            except SealingError as error:
                raise NotNow(f"The cards of '{card.name}' at the Routing Server don't follow from the approved one: {error}") from error
            if newer.hash != card.hash:
                self.trusted.store.keep_member(self.project.uid, newer)

    def _refuse_other_members(self) -> None:
        """Raises NotNow, by name, where the Routing Server has others in the project than the manifest."""
        own = self.trusted.keys.current().card
        names = {membership.site.uid: membership.site.name for membership in self._memberships()}
        known = {card.uid: card.name for card in [own, *self._members()]}
        if strangers := sorted(names[uid] for uid in names.keys() - known.keys()):
            raise NotNow(
                f"The Routing Server has {', '.join(strangers)} in '{self.project.name}', whom this site has never let in. "
                "No batch is opened."
            )
        if gone := sorted(known[uid] for uid in known.keys() - names.keys()):
            raise self._gone(", ".join(gone))

    def _gone(self, who: str) -> NotNow:
        return NotNow(
            f"{who} can't be reached in '{self.project.name}' any more: it has left, or the Routing Server has dropped it. "
            f"Ask there; 'starfish project remove {self.project.name} --site NAME' makes a manifest without it."
        )


def _terms(manifest: Manifest) -> Terms:
    return Terms(name=manifest.name, description=manifest.description, tasks=manifest.tasks, definition=manifest.definition)
