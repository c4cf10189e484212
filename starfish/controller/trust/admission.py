"""Whether a batch is what its project's coordinator has ordered: asked once a batch, before anything is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starfish.controller.trust.errors import Untrusted
from starfish.controller.trust.joining import complete
from starfish.controller.trust.keyring import Keyring, now
from starfish.controller.trust.store import SealedProject, TrustStore
from starfish.controller.trust.wrapping import Sealed
from starfish.controller.worker.folder import BatchFolder
from starfish.protocol.messages import Run
from starfish.sdk import Client, NotFound
from starfish.sealing.errors import SealingError
from starfish.sealing.keys import Card
from starfish.sealing.manifest import KeptOrder, Manifest, Order, View, check_letter, check_order, open_letter, open_order


@dataclass(frozen=True, kw_only=True)
class Trusted:
    """What this site has to tell the true from the false with."""

    client: Client
    store: TrustStore
    keys: Keyring


def admit(trusted: Trusted, project: SealedProject, run: Run, identity: str, folder: BatchFolder) -> Sealed:
    """The manifest and the order of this run's batch, kept before they are acted on. `identity` tells this run from a restored one.

    Raises Untrusted, RouterUnreachable.
    """
    order = trusted.store.order(project.uid, run.batch)
    if order is None or trusted.store.run_of(order) != identity:  # else it goes on as it began, whatever has changed since
        newest_manifest(trusted, project)
    if order is None:
        order = _ordered(trusted, project, run)
    kept = trusted.store.run_of(order)
    if kept not in (None, identity):
        raise Untrusted(
            f"The Routing Server offers the order of batch {run.batch} again, for another run: it was rolled back, or restored.",
            code="order-again",
        )
    sealed = wrapping(trusted, project, order, folder)
    _agree(sealed.manifest, run.tasks)
    trusted.store.keep_order(order, identity)
    return sealed


def newest_manifest(trusted: Trusted, project: SealedProject) -> Manifest:
    """A project's terms as they are now, fetched, checked and kept. Raises Untrusted, RouterUnreachable."""
    if not project.coordinates:
        _newest_letter(trusted, complete(trusted.client, trusted.store, trusted.keys, project))
    newest = trusted.store.newest(project.uid)
    assert newest is not None
    return newest[0]


def announce(trusted: Trusted, site_id: int) -> None:
    """Let the Routing Server have this site's cards. Raises Untrusted where it shows others in their place."""
    own = [card.text for card in trusted.keys.chain()]
    shown = trusted.client.cards(trusted.keys.current().card.uid)
    if shown != own[: len(shown)]:
        raise Untrusted("The Routing Server shows cards in this site's name that are not its own.", code="card-swapped")
    for text in own[len(shown) :]:
        trusted.client.post_card(site_id, text)


def wrapping(trusted: Trusted, project: SealedProject, order: Order, folder: BatchFolder) -> Sealed:
    """How a batch under an order that was accepted is sealed and opened. Raises Untrusted."""
    found = next((pair for pair in trusted.store.manifests(project.uid) if pair[0].hash == order.manifest), None)
    if found is None:
        raise Untrusted(f"The order of batch {order.batch} is under a manifest that this site has not.", code="manifest-unknown")
    manifest, view = found
    coordinator, own = view.chain[-1], view.card
    roster = trusted.store.roster(project.uid, manifest.version) if project.coordinates else [coordinator, own]
    return Sealed(
        manifest=manifest,
        order=order,
        own=trusted.keys.of(own),
        coordinator=coordinator,
        identities=trusted.keys.identities(),
        group=view.identity,
        roster={card.uid: card for card in roster},
        store=trusted.store,
        folder=folder,
    )


def refuse_strangers(sealed: Sealed, runs: Sequence[Run], names: Mapping[str, str]) -> None:
    """The runs of a batch are those of the members, each once: for its coordinator. Raises Untrusted, by name."""
    present = {run.site_uid for run in runs}
    if strangers := sorted(names.get(uid, uid) for uid in present - sealed.roster.keys()):
        raise Untrusted(
            f"The Routing Server has put {', '.join(strangers)} into batch {sealed.order.batch}, whom manifest {sealed.manifest.version} "
            "does not know.",
            code="unknown-member",
        )
    if missing := sorted(card.name for uid, card in sealed.roster.items() if uid not in present):
        raise Untrusted(
            f"The Routing Server has left {', '.join(missing)} out of batch {sealed.order.batch}, though manifest "
            f"{sealed.manifest.version} has them.",
            code="missing-member",
        )


def _newest_letter(trusted: Trusted, project: SealedProject) -> None:
    """Fetch, check and keep the highest manifest that is offered. Raises Untrusted."""
    own_uid = trusted.keys.current().card.uid
    newest = trusted.store.newest(project.uid)
    offered = max((letter.version for letter in trusted.client.letters(project.router_id, own_uid)), default=0)
    highest = newest[0].version if newest else 0
    if offered < highest:
        raise Untrusted(
            f"The Routing Server offers manifest {offered or 'none'}, and this site has accepted manifest {highest}: it was rolled back.",
            code="rolled-back",
        )
    if not offered:
        raise Untrusted("The coordinator has sent no manifest yet.", code="no-manifest")
    data = trusted.client.letter(project.router_id, offered, own_uid)
    manifest, view, coordinator = _checked(trusted, project, data, newest[0] if newest else None)
    if manifest.version != offered:
        raise Untrusted(f"The Routing Server offers manifest {manifest.version} as manifest {offered}.", code="wrong-version")
    trusted.store.keep_manifest(manifest, view)
    trusted.store.trust(project.uid, coordinator)


def _checked(trusted: Trusted, project: SealedProject, data: bytes, newest: Manifest | None) -> tuple[Manifest, View, Card]:
    try:
        manifest, view = open_letter(data, trusted.keys.identities())
        coordinator = check_letter(
            manifest, view, own=trusted.keys.current().card, pinned=project.coordinator, project=project.uid, highest=newest
        )
    except SealingError as error:
        raise Untrusted(f"The manifest of '{project.name}' is refused: {error}", code=error.code) from error
    return manifest, view, coordinator


def _ordered(trusted: Trusted, project: SealedProject, run: Run) -> Order:
    """The order that a batch was opened with, checked. Raises Untrusted."""
    if project.coordinates:
        raise Untrusted(
            f"This site, the coordinator, has ordered no batch {run.batch}; the Routing Server has opened it by itself.", code="no-order"
        )
    newest = trusted.store.newest(project.uid)
    assert newest is not None
    manifest, view = newest
    last = trusted.store.last_order(project.uid)
    kept = KeptOrder(batch=last.batch, hash=last.hash) if last else None
    try:
        order = open_order(trusted.client.order(run.id), view.identity)
        check_order(order, view.chain[-1], manifest, run.batch, now(), kept)
    except NotFound as error:
        raise Untrusted(
            f"Batch {run.batch} has no order of the coordinator's; the Routing Server has opened it by itself.", code="no-order"
        ) from error
    except SealingError as error:
        raise Untrusted(f"The order of batch {run.batch} is refused: {error}", code=error.code) from error
    return order


def _agree(manifest: Manifest, tasks: Sequence[Mapping[str, Any]]) -> None:
    """Of the Routing Server's tasks nothing is used but the place; it must be one in the manifest. Raises Untrusted."""
    signed = [(task["seq"], task["model"]) for task in manifest.tasks]
    if signed != [(task.get("seq"), task.get("model")) for task in tasks]:
        raise Untrusted(
            f"The Routing Server's tasks are not those of manifest {manifest.version}: "
            f"{', '.join(str(task.get('model')) for task in tasks)} instead of {', '.join(model for _, model in signed)}.",
            code="tasks-changed",
        )
    for task, told in zip(manifest.tasks, tasks, strict=True):
        limit = task["config"]["total_round"]
        if told["config"]["current_round"] > limit or told["config"]["total_round"] > limit:
            raise Untrusted(
                f"The Routing Server gives task {task['seq']} more rounds than manifest {manifest.version} does ({limit}).",
                code="rounds-changed",
            )
