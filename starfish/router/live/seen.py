"""What each site's token was told last, so that a wait that begins right after costs no look at the database."""

import time
from collections.abc import Callable

from starfish.router.hub import hub
from starfish.router.listing import Listing

KEPT_S, MOST = 300.0, 20_000


class SeenListings:
    """By site and form. Good while nothing has changed, and for some minutes only."""

    def __init__(self) -> None:
        self._listings: dict[tuple[int, bool], tuple[tuple[int, int], float, Listing]] = {}

    def get(self, site: int, minimal: bool) -> Listing | None:
        found = self._listings.get((site, minimal))
        if found is None:
            return None
        changes, at, listing = found
        return listing if changes == hub.changes(site) and time.monotonic() - at < KEPT_S else None

    def put(self, site: int, minimal: bool, changes: tuple[int, int], listing: Listing) -> None:
        """`changes`: the hub's count from before the listing was read."""
        if len(self._listings) >= MOST:
            self._listings.clear()
        self._listings[site, minimal] = changes, time.monotonic(), listing

    def written(self, site: int, minimal: bool, write: Callable[[], Listing]) -> Listing:
        """What `write` reads in its own transaction: good as long as the count is what its own changes alone make it."""
        of_all, before = hub.changes(site)
        with hub.counting() as own:
            listing = write()
        self.put(site, minimal, (of_all, before + own[site]), listing)
        return listing


seen_listings = SeenListings()
