"""The daemon renews its site's token before it ends.

The new one is on the disk before it is sent, and takes the old one's place once the Routing Server has it: each step may happen twice,
and whatever breaks off, a token that works is in the home.
"""

import logging
import math
import os
import secrets
import time

from starfish.controller.config import Home, SiteConfig
from starfish.controller.files import sync_folder, write_durably
from starfish.sdk import Client, Invalid, Problem, Unauthorized

LOOK_EVERY_S = 3600.0
log = logging.getLogger("starfish.daemon")


class TokenKeeper:
    """Of a site that logs in with a token; of another, nothing is due."""

    def __init__(self, home: Home, config: SiteConfig, client: Client) -> None:
        self.home, self.config, self.client = home, config, client
        self._due = 0.0 if config.auth == "token" else math.inf

    def look(self) -> None:
        """Where it is due. Raises Unauthorized where no token of this home is good, RouterUnreachable."""
        if time.monotonic() < self._due:
            return
        try:
            self._renew()
        except Unauthorized:
            raise
        except Problem as problem:  # what this router does not do, or not now, holds up no work
            log.warning("token_not_renewed reason=%r", str(problem))
        self._due = time.monotonic() + LOOK_EVERY_S

    def _renew(self) -> None:
        if not self.home.next_token_file.exists():
            if not self.client.token_life().to_be_renewed:
                return
            write_durably(self.home.next_token_file, secrets.token_urlsafe(32).encode())
        new = self.home.next_token_file.read_bytes().decode("ascii", "replace").strip()
        try:
            self.client.renew_token(new)
        except Unauthorized:  # the old one may have ended while this site was down
            if not self._is_good(new):
                raise
        except Invalid:
            self.home.next_token_file.unlink()
            raise
        os.replace(self.home.next_token_file, self.home.token_file)
        sync_folder(self.home.path)
        self.client.use_token(new)
        log.info("token_renewed site=%s", self.config.name)

    def _is_good(self, token: str) -> bool:
        stranger = Client(self.config.router, token=token)
        try:
            stranger.token_life()
        except Unauthorized:
            return False
        finally:
            stranger.close()
        return True
