"""Decryption keys that a rotation has left behind stay for as long as the site's policy says, and no longer."""

import logging
import time
from contextlib import suppress

from starfish.controller.config import Home
from starfish.controller.errors import HomeError
from starfish.controller.guard.policy import read_policy

LOOK_EVERY_S = 3600.0
log = logging.getLogger("starfish.daemon")


class OldKeys:
    """Looked at now and then, while the site is up."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._due = 0.0

    def look(self) -> None:
        """Of a policy or a key that can't be read the batches tell."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + LOOK_EVERY_S
        with suppress(HomeError):
            if self.home.keys.exists:
                for version in self.home.keys.let_go(read_policy(self.home.policy_file).keep_keys_days):
                    log.info("old_key_deleted version=%d", version)
