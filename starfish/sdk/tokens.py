"""A site's token: how long it is good, and the one that takes its place."""

from datetime import datetime
from typing import Any, NamedTuple

from starfish.sdk.transport import RouterUnreachable, Transport

RENEWED_BELOW = 1 / 3
"""Of its lifetime: when so much of it is left at most, a token is renewed."""


class TokenLife(NamedTuple):
    """In seconds, by the Routing Server's clock."""

    whole: float
    left: float

    @property
    def to_be_renewed(self) -> bool:
        return self.left < self.whole * RENEWED_BELOW


class TokenCalls:
    """What a Client says of its own token."""

    _transport: Transport

    def token_life(self) -> TokenLife:
        return self._life(self._transport.json("GET", "sites/token/"))

    def renew_token(self, new: str) -> TokenLife:
        """Both are good until the new one has been used; the same call again changes nothing. This client uses the old one on."""
        return self._life(self._transport.json("POST", "sites/token/", json={"token": new}))

    def use_token(self, token: str) -> None:
        """From the next request on."""
        self._transport.authorize(f"Bearer {token}")

    def _life(self, raw: Any) -> TokenLife:
        try:
            whole = datetime.fromisoformat(raw["expires_at"]) - datetime.fromisoformat(raw["created_at"])
            return TokenLife(whole=whole.total_seconds(), left=float(raw["seconds_left"]))
        except (KeyError, TypeError, ValueError) as error:
            raise RouterUnreachable(f"{self._transport.url} does not answer as a Starfish Routing Server: {error}.") from error
