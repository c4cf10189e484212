"""Any order of joining, leaving, rotation, batches, and of what the Routing Server shows of all that: nobody is led back or astray.

What is true is written down beside it; the sites know only what they have opened and kept.
"""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from starfish.sealing import age
from starfish.sealing.errors import SealingError
from starfish.sealing.invitation import answer, check_answer, check_request, new_invitation, request
from starfish.sealing.keys import Card, SiteKeys, follow, rotated
from starfish.sealing.manifest import Manifest, Order, View, check_letter, check_order, make_manifest, make_order, open_letter, open_order
from tests.sealing.study import HOUR, NOW, PROJECT, TERMS, site

SITES = 3


@dataclass(kw_only=True)
class Home:
    """One participant: its keys of all versions, and what it has kept."""

    keys: list[SiteKeys]
    pinned: Card | None = None
    manifest: Manifest | None = None
    view: View | None = None
    order: Order | None = None
    read: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Version:
    """The truth about a version: who is in it, by uid and card."""

    manifest: Manifest
    members: dict[str, Card]


class History:
    """The coordinator is honest; the Routing Server keeps everything, and shows what it likes to whom it likes."""

    def __init__(self) -> None:
        self.coordinator = [site(0)]
        self.homes = [Home(keys=[site(number + 1)]) for number in range(SITES)]
        self.members: dict[str, Card] = {}
        self.versions: list[Version] = []
        self.letters: list[tuple[str, bytes]] = []
        self.orders: list[tuple[Order, bytes]] = []
        self._publish()
        for number in range(SITES - 1):
            self.join(number)

    def join(self, number: int) -> None:
        home, own = self.homes[number], self.homes[number].keys[-1].card
        if own.uid in self.members:
            return
        coordinator = self.coordinator[-1].card
        invitation = new_invitation(project=PROJECT, router="https://rs", site=own.name, coordinator=coordinator, expires=NOW + HOUR)
        asked = request(invitation, coordinator, own)
        joiner = check_request(invitation, coordinator, asked, now=NOW, members=self.members.values())
        assert check_answer(invitation, coordinator, own, answer(invitation, coordinator, joiner, True))
        home.pinned = follow(home.pinned, [keys.card for keys in self.coordinator]) if home.pinned else coordinator
        self.members[own.uid] = joiner
        self._publish()

    def leave(self, number: int) -> None:
        if self.members.pop(self.homes[number].keys[-1].card.uid, None):
            self._publish()

    def rotate(self, number: int) -> None:
        home = self.homes[number]
        home.keys.append(rotated(home.keys[-1], created=NOW))
        card = home.keys[-1].card
        if card.uid in self.members:
            self.members[card.uid] = follow(self.members[card.uid], [keys.card.text for keys in home.keys])
            self._publish()

    def rotate_the_coordinator(self) -> None:
        self.coordinator.append(rotated(self.coordinator[-1], created=NOW))
        self._publish()

    def begin_a_batch(self) -> None:
        manifest = self.versions[-1].manifest
        order = make_order(self.coordinator[-1], manifest, len(self.orders) + 1, NOW, NOW + HOUR)
        self.orders.append((order, order.sealed(manifest.group)))

    def show_a_letter(self, number: int, pick: int) -> None:
        """One of its own, the newest first; or any that there ever was."""
        home = self.homes[number]
        if home.pinned is None:
            return
        own = [letter for card, letter in self.letters if card in {keys.card.hash for keys in home.keys}]
        everything = [*own[::-1], *(letter for _, letter in self.letters)]
        letter = everything[pick % len(everything)]
        try:
            manifest, view = open_letter(letter, [keys.identity for keys in home.keys])
            newest = check_letter(manifest, view, home.keys[-1].card, home.pinned, PROJECT, home.manifest)
        except SealingError:
            return
        self._check_accepted(home, manifest, newest)
        home.pinned, home.manifest, home.view = newest, manifest, view
        home.read.append(age.open_with(letter, [keys.identity for keys in home.keys], "It", 1 << 20).decode())

    def show_an_order(self, number: int, pick: int) -> None:
        """The newest first, and sometimes as that of another batch."""
        home = self.homes[number]
        if home.manifest is None or home.view is None or not self.orders:
            return
        order, sealed = self.orders[-1 - pick % len(self.orders)]
        batch = order.batch if pick % 3 else 1 + pick % len(self.orders)
        try:
            opened = open_order(sealed, home.view.identity)
            check_order(opened, home.view.chain[-1], home.manifest, batch, NOW, home.order)
        except SealingError:
            return
        assert opened == order
        assert batch == order.batch
        assert home.order is None or order.batch > home.order.batch or order == home.order
        assert order.manifest == home.manifest.hash
        assert home.keys[-1].card.uid in self._truth(home.manifest).members
        home.order = opened

    def who_is_shown_the_newest_accepts_it(self) -> None:
        """Nobody is locked out either: the honest path stays open."""
        newest = self.versions[-1]
        for home in self.homes:
            own = home.keys[-1]
            if newest.members.get(own.card.uid) == own.card and home.pinned is not None:
                manifest, view = open_letter(self._newest_letter(own), [own.identity])
                assert check_letter(manifest, view, own.card, home.pinned, PROJECT, home.manifest) == self.coordinator[-1].card

    def nobody_holds_a_byte_that_names_another(self) -> None:
        for home in self.homes:
            for other in self.homes:
                if other is not home:
                    for card in (keys.card for keys in other.keys):
                        assert not any(name in text for name in (card.uid, card.name, card.hash, card.recipient) for text in home.read)

    def _check_accepted(self, home: Home, manifest: Manifest, newest: Card) -> None:
        truth = self._truth(manifest)
        assert truth.members[home.keys[-1].card.uid] == home.keys[-1].card
        assert home.manifest is None or manifest.version >= home.manifest.version
        assert home.pinned is not None
        assert newest.version >= home.pinned.version
        assert newest in [keys.card for keys in self.coordinator]

    def _truth(self, manifest: Manifest) -> Version:
        truth = self.versions[manifest.version - 1]
        assert truth.manifest == manifest
        return truth

    def _publish(self) -> None:
        keys, chain = self.coordinator[-1], [keys.card for keys in self.coordinator]
        previous = self.versions[-1].manifest if self.versions else None
        manifest, _, letters = make_manifest(keys, chain, TERMS, PROJECT, list(self.members.values()), previous, NOW)
        self.versions.append(Version(manifest=manifest, members=dict(self.members)))
        self.newest = letters
        self.letters.extend(letters.items())

    def _newest_letter(self, keys: SiteKeys) -> bytes:
        return self.newest[keys.card.hash]


KINDS = {
    "join": lambda history, number, pick: history.join(number),
    "leave": lambda history, number, pick: history.leave(number),
    "rotate": lambda history, number, pick: history.rotate(number),
    "rotate the coordinator": lambda history, number, pick: history.rotate_the_coordinator(),
    "batch": lambda history, number, pick: history.begin_a_batch(),
    "letter": History.show_a_letter,
    "order": History.show_an_order,
}
OFTEN = [*KINDS, "batch", *["letter", "order"] * 4]
STEPS = st.tuples(st.sampled_from(OFTEN), st.integers(0, SITES - 1), st.integers(0, 3) | st.integers(0, 60))


@settings(max_examples=40)
@given(st.lists(STEPS, min_size=20, max_size=60))
def test_whatever_happens_nobody_is_led_back_or_astray(steps: list[tuple[str, int, int]]) -> None:
    history = History()
    for kind, number, pick in steps:
        known = len(history.versions)
        KINDS[kind](history, number, pick)
        if len(history.versions) > known:
            history.who_is_shown_the_newest_accepts_it()
    history.nobody_holds_a_byte_that_names_another()
