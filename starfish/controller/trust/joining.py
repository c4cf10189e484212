"""Coming into a project by invitation, as the invited site does it."""

from collections.abc import Mapping, Sequence

from starfish.controller.config import SiteConfig
from starfish.controller.errors import NotNow
from starfish.controller.trust.errors import Untrusted
from starfish.controller.trust.keyring import Keyring, now
from starfish.controller.trust.store import SealedProject, TrustStore
from starfish.protocol.messages import InvitationState
from starfish.sdk import Client, NotFound
from starfish.sealing.errors import SealingError
from starfish.sealing.invitation import Invitation, check_answer, request
from starfish.sealing.keys import Card, fingerprint, follow

OVER: Mapping[str, str] = {"withdrawn": "was taken back", "refused": "was refused", "expired": "has ended"}


def ask(client: Client, store: TrustStore, keys: Keyring, config: SiteConfig, line: str) -> SealedProject:
    """Check the invitation, pin the coordinator's card, and ask to be let in; again: asks again. Raises NotNow, Untrusted."""
    invitation = _parsed(line)
    if invitation.site != config.name:
        raise NotNow(f"This invitation is for '{invitation.site}', and this site is '{config.name}'.")
    if invitation.expires < now():
        raise NotNow(f"This invitation ended on {invitation.expires:%Y-%m-%d}. Ask the coordinator's people for a new one.")
    try:
        state = client.invitation(invitation.id)
    except NotFound as error:
        other = f" It is for the Routing Server at {invitation.router}; this site's is {config.router}."
        raise NotNow(
            "The Routing Server knows no such invitation; it was withdrawn, or is not for this site."
            + ("" if invitation.router == config.router else other)
        ) from error
    if state.project.uid != invitation.project:
        raise Untrusted("The Routing Server shows another project than the invitation's.", code="other-project")
    coordinator = _pinned(invitation, state)
    known = store.project_by_uid(invitation.project)
    if known is None or not known.joined:
        if state.state in OVER:
            raise NotNow(f"This invitation {OVER[state.state]}. Ask the coordinator's people for a new one.")
        if known is not None:
            store.trust(known.uid, _following(known.coordinator, coordinator, state))
        store.add_project(
            invitation.project, state.project.id, state.project.name, coordinator=coordinator, coordinates=False, invitation=line.strip()
        )
        if state.state in ("open", "asked"):
            client.ask_to_join(invitation.id, _site_id(config), request(invitation, coordinator, keys.current().card))
    project = store.project_by_uid(invitation.project)
    assert project is not None
    return project


def complete(client: Client, store: TrustStore, keys: Keyring, project: SealedProject) -> SealedProject:
    """The project, once its coordinator is known to have let this site in. Raises Untrusted."""
    if project.joined:
        return project
    if project.invitation is None:
        raise Untrusted(f"This site has left '{project.name}'. Its coordinator's people can invite it anew.", code="not-joined")
    invitation = _parsed(project.invitation)
    state = client.invitation(invitation.id)
    if state.answer is None and state.state == "withdrawn":
        raise Untrusted(f"The coordinator of '{project.name}' has taken the invitation of this site back.", code="withdrawn")
    if state.answer is None:
        raise Untrusted(
            f"The coordinator of '{project.name}' has not approved this site yet. Its fingerprint is {fingerprint(keys.current().card)}.",
            code="not-approved",
        )
    if not _approved(invitation, project.coordinator, keys.chain(), state.answer):
        raise Untrusted(f"The coordinator of '{project.name}' has refused this site.", code="refused")
    store.mark_joined(project.uid)
    joined = store.project_by_uid(project.uid)
    assert joined is not None
    return joined


def _parsed(line: str) -> Invitation:
    try:
        return Invitation.parse(line.strip())
    except SealingError as error:
        raise NotNow(f"This is no whole invitation: {error}. Copy the line again, from 'starfish-invitation-' to its end.") from error


def _pinned(invitation: Invitation, state: InvitationState) -> Card:
    """The card that the invitation names. Raises Untrusted where the Routing Server shows none of that fingerprint."""
    try:
        known: Card | None = None
        for text in state.cards:
            known = follow(known, [text])
            if known.hash == invitation.coordinator:
                return known
    except SealingError as error:
        raise Untrusted(f"The Routing Server shows a card of the coordinator's that is none: {error}", code=error.code) from error
    shown = fingerprint(known) if known else "none"
    raise Untrusted(
        f"The coordinator's card at the Routing Server is not the invitation's: its fingerprint is {shown}, and that of the invitation is "
        f"{fingerprint(invitation.coordinator)}. Somebody has swapped it, or the invitation is of before a rotation.",
        code="card-swapped",
    )


def _following(known: Card, coordinator: Card, state: InvitationState) -> Card:
    """`coordinator`, where it is no other than the one that this site knows already. Raises Untrusted."""
    try:
        return follow(known, state.cards[: coordinator.version])
    except SealingError as error:
        raise Untrusted(
            f"The card that the invitation names does not follow from the one of '{known.name}' that this site knows: {error}",
            code=error.code,
        ) from error


def _approved(invitation: Invitation, coordinator: Card, own: Sequence[Card], answer: str) -> bool:
    """The answer is over the card that asked, which may have been rotated since. Raises Untrusted."""
    for card in reversed(own):
        try:
            return check_answer(invitation, coordinator, card, answer)
        except SealingError as error:
            if error.code != "mac" or card is own[0]:
                raise Untrusted(f"The answer to this site's request is not the coordinator's: {error}", code=error.code) from error
    return False


def _site_id(config: SiteConfig) -> int:
    assert config.site_id is not None
    return config.site_id
