"""Cards, invitations, letters and orders of invitation projects: the router hands them on, and nothing here opens or checks them."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from starfish.protocol.messages import ForeignAnswer, InvitationState, Letter, texts
from starfish.sdk.transport import RouterUnreachable, Transport

T = TypeVar("T")


class TrustCalls:
    """Methods raise RouterUnreachable and Problem. All may be repeated: what is there already stays."""

    _transport: Transport

    def post_card(self, site_id: int, text: str) -> None:
        """Add to a site's cards. Raises Conflict where its version does not follow the last one's."""
        self._transport.request("POST", f"sites/{site_id}/cards/", json={"card": text})

    def cards(self, site_uid: str) -> list[str]:
        """A site's cards, from its first."""
        return [*self._told(texts, "GET", "sites/cards/", params={"uid": site_uid})]

    def invite(self, project_id: int, id: str, site_name: str, expires: datetime) -> None:
        """Tell the router of an invitation, without its secret."""
        body = {"project": project_id, "id": id, "site": site_name, "expires": expires.astimezone(UTC).isoformat()}
        self._transport.request("POST", "invitations/", json=body, headers={"Idempotency-Key": str(uuid.uuid4())})

    def invitations(self, project_id: int) -> list[InvitationState]:
        """A project's, for its coordinator, and without the cards, which are its own."""
        read = InvitationState.from_json
        return self._told(lambda raw: [read(one) for one in raw], "GET", "invitations/lookup/", params={"project": project_id})

    def invitation(self, id: str) -> InvitationState:
        """For its coordinator, and for the invited site."""
        return self._told(InvitationState.from_json, "GET", f"invitations/{id}/")

    def ask_to_join(self, id: str, site_id: int, request: str) -> None:
        """The invited site's request; a later one replaces the earlier. Raises Conflict where the invitation is over."""
        self._transport.request("PUT", f"invitations/{id}/request/", json={"site": site_id, "request": request})

    def answer_request(self, id: str, approved: bool, answer: str) -> None:
        """The coordinator's answer; where `approved` the site is in the project then. Raises Conflict where another answer was given."""
        self._transport.request("PUT", f"invitations/{id}/answer/", json={"approved": approved, "answer": answer})

    def withdraw(self, id: str) -> None:
        """End an invitation that is open; one that is over stays as it is."""
        self._transport.request("DELETE", f"invitations/{id}/")

    def put_letter(self, project_id: int, version: int, site_uid: str, data: bytes) -> None:
        """A member's letter. Raises Conflict for other bytes than those that are there, and while a batch is active."""
        headers = {"Content-Type": "application/octet-stream"}
        self._transport.request("PUT", _letter(project_id, version, site_uid), content=data, headers=headers)

    def letters(self, project_id: int, site_uid: str) -> list[Letter]:
        """What there is for that member, by version."""
        path, read = f"projects/{project_id}/manifests/", Letter.from_json
        return self._told(lambda raw: [read(one) for one in raw], "GET", path, params={"site_uid": site_uid})

    def letter(self, project_id: int, version: int, site_uid: str) -> bytes:
        """A member's letter, as it came."""
        return self._transport.request("GET", _letter(project_id, version, site_uid)).content

    def order(self, run_id: int) -> bytes:
        """The order that the run's batch was opened with."""
        return self._transport.request("GET", f"runs/{run_id}/order/").content

    def _told(self, read: Callable[[Any], T], method: str, path: str, **options: Any) -> T:
        try:
            return read(self._transport.json(method, path, **options))
        except (ForeignAnswer, AttributeError, KeyError, TypeError) as error:
            raise RouterUnreachable(f"{self._transport.url} does not answer as a Starfish Routing Server: {error}.") from error


def _letter(project_id: int, version: int, site_uid: str) -> str:
    return f"projects/{project_id}/manifests/{version}/{site_uid}/"
