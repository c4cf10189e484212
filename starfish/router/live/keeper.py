"""What waiting needs in the background, in one thread of a server process: wake-ups from other processes, revocations, signs of life."""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import Error, connection
from django.db.models import Q
from django.utils import timezone

from starfish.router import credentials
from starfish.router.hub import CHANNEL, heard, hub
from starfish.router.models import Site, SiteToken

TICK_S = 1.5
ALIVE_EVERY_S = 10.0
LONGEST_PAUSE_S = 2.0
SITES_AT_ONCE = 500
KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}
log = logging.getLogger("starfish.router")


class Keeper:
    """Starts with the first wait of a process, and ends with the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._waits: Counter[int] = Counter()
        self._began: dict[int, datetime] = {}
        self._told: dict[int, float] = {}
        self._looked, self._good = timezone.now(), 0

    def watch(self) -> None:
        """From now on, if not yet."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)
                    self._thread.start()

    @contextmanager
    def present(self, sites: Sequence[int]) -> Iterator[None]:
        """A waiting request with a site's own token is a sign of life, as long as it lasts."""
        with self._lock:
            self._waits.update(sites)
            self._began.update(dict.fromkeys(sites, timezone.now()))
        try:
            yield
        finally:
            with self._lock:
                for site in sites:
                    self._waits[site] -= 1
                    if not self._waits[site]:
                        del self._waits[site]

    def _work(self) -> None:
        pause = 0.1
        while not hub.closed:
            try:
                if connection.vendor == "postgresql":
                    self._listen()
                else:
                    self._tick()
                    time.sleep(TICK_S)
                pause = 0.1
            except Exception as error:  # whatever it is: without this thread nobody is woken from another process, ever
                known = isinstance(error, (Error, psycopg.Error))
                log.warning("keeper_waits error=%s", type(error).__name__, exc_info=not known)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
            finally:
                connection.close()

    def _listen(self) -> None:
        """As long as the connection holds. What was missed before it is made up for by waking everybody."""
        with psycopg.connect(**_connecting(connection.get_connection_params()), autocommit=True) as listening:
            listening.execute(f"LISTEN {CHANNEL}")
            hub.wake_all()
            while not hub.closed:
                for notice in listening.notifies(timeout=TICK_S):
                    heard(notice.payload)
                self._tick()

    def _tick(self) -> None:
        now = timezone.now()
        self._end_revoked(now)
        self._mark_alive()

    def _end_revoked(self, now: datetime) -> None:
        """Whoever waits with a token that is good no longer is answered so."""
        since = self._looked - timedelta(seconds=10)
        of_token = Q(revoked_at__gt=since) | Q(expires_at__gt=since, expires_at__lte=now)
        of_account = Q(site__owner__is_active=False) | Q(site__owner=None)
        sites = set(SiteToken.objects.filter(of_token | of_account).values_list("site", flat=True))
        good = SiteToken.objects.filter(revoked_at=None, expires_at__gt=now).count()
        if good < self._good:  # deleted, say, or ended with a date in the past
            credentials.forget_sites(None)
        self._looked, self._good = now, good
        if sites:
            credentials.forget_sites(sites)
            waiting = sites & set(hub.topics())
            if waiting:
                hub.wake(waiting)
        credentials.vouch()

    def _mark_alive(self) -> None:
        """Each now and then. A goodbye holds until a wait begins after it, however long an earlier one goes on."""
        at, every = time.monotonic(), min(ALIVE_EVERY_S, settings.SITE_TIMEOUT_S / 4)
        with self._lock:
            due = {site: began for site, began in self._began.items() if at - self._told.get(site, -math.inf) >= every}
            self._told.update(dict.fromkeys(due, at))
            for site in due.keys() - self._waits.keys():
                del self._began[site]
        chosen = sorted(due)
        for start in range(0, len(chosen), SITES_AT_ONCE):
            self._mark(chosen[start : start + SITES_AT_ONCE], due)

    def _mark(self, some: Sequence[int], began: Mapping[int, datetime]) -> None:
        now, sites = timezone.now(), Site.objects.filter(pk__in=some)
        sites.filter(status=Site.SiteStatus.CONNECTED).update(last_seen_at=now)
        silent = sites.filter(status=Site.SiteStatus.DISCONNECTED).values_list("pk", "last_seen_at")
        back = [site for site, seen in silent if seen < began[site]]
        if back:  # and nobody who has said goodbye since
            returned = Site.objects.filter(pk__in=back, last_seen_at__lt=now)
            returned.update(status=Site.SiteStatus.CONNECTED, last_seen_at=now, updated_at=now)


def _connecting(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What psycopg itself understands of Django's parameters: where the database is, and who asks. A line that is dead is noticed."""
    known = ("dbname", "user", "password", "host", "port", "sslmode")
    return {name: parameters[name] for name in known if parameters.get(name)} | KEEPALIVES


keeper = Keeper()
