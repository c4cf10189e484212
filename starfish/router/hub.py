"""Who waits for which site's runs, and how they are woken: in this process at once, in others by PostgreSQL's NOTIFY.

A wake-up carries nothing. Whoever is woken looks at the database, so that a wake-up too many costs a look, and one that came
while nobody waited is not missed: each topic counts its changes, and a look remembers the count that it was made at.
"""

import asyncio
import os
import secrets
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from django.db import connection, transaction

CHANNEL = "starfish"
EVERYTHING = 0
"""The topic of whoever sees all runs; the others are the ids of sites."""
_IDS_IN_A_NOTICE = 500
_WHO = f"{os.getpid()}-{secrets.token_hex(4)}"


class Waiter:
    """One who waits, in an event loop of its own thread's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def wake(self) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # its loop has ended
            self._loop.call_soon_threadsafe(self._event.set)

    def reset(self) -> None:
        """Before looking: what changes from now on wakes."""
        self._event.clear()

    async def woken(self) -> None:
        await self._event.wait()


class Hub:
    """The waiters of one process. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: defaultdict[int, set[Waiter]] = defaultdict(set)
        self._changes: defaultdict[int, int] = defaultdict(int)
        self._of_all = 0
        self._own = threading.local()
        self.closed = False

    def changes(self, topic: int) -> tuple[int, int]:
        """How often a topic has changed; equal counts, nothing has happened."""
        with self._lock:
            return self._of_all, self._changes.get(topic, 0)

    def topics(self) -> Collection[int]:
        """For which sites somebody waits."""
        with self._lock:
            return frozenset(self._waiting)

    @contextmanager
    def counting(self) -> Iterator[Counter[int]]:
        """The changes that this thread makes meanwhile, by topic."""
        self._own.counter = counter = Counter[int]()
        try:
            yield counter
        finally:
            self._own.counter = None

    @contextmanager
    def waiting(self, topics: Iterable[int]) -> Iterator[Waiter]:
        """A waiter that is woken by a change of any of the topics."""
        waiter, chosen = Waiter(), tuple(topics)
        with self._lock:
            for topic in chosen:
                self._waiting[topic].add(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                for topic in chosen:
                    self._waiting[topic].discard(waiter)
                    if not self._waiting[topic]:
                        del self._waiting[topic]

    def wake(self, topics: Collection[int]) -> None:
        """What these sites see has changed."""
        with self._lock:
            woken: set[Waiter] = set()
            for topic in {EVERYTHING, *topics}:
                self._changes[topic] += 1
                woken |= self._waiting.get(topic, set())
        own: Counter[int] | None = getattr(self._own, "counter", None)
        if own is not None:
            own.update(topics)
        for waiter in woken:
            waiter.wake()

    def wake_all(self) -> None:
        """Everybody looks again: wake-ups may have been lost."""
        with self._lock:
            self._of_all += 1
            woken = {waiter for waiters in self._waiting.values() for waiter in waiters}
        for waiter in woken:
            waiter.wake()

    def close(self) -> None:
        """The server ends: every wait ends now."""
        self.closed = True
        self.wake_all()


hub = Hub()


def announce(sites: Iterable[int]) -> None:
    """Inside a transaction: once it is committed these sites' waiters look, in every process."""
    ids = sorted(set(sites))
    if not ids:
        return
    transaction.on_commit(lambda: hub.wake(ids))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for start in range(0, len(ids), _IDS_IN_A_NOTICE):
                notice = " ".join([_WHO, *map(str, ids[start : start + _IDS_IN_A_NOTICE])])
                cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, notice])


def heard(notice: str) -> None:
    """A notice of PostgreSQL's; what this process has sent itself has been done."""
    who, *ids = notice.split()
    if who != _WHO:
        hub.wake([int(topic) for topic in ids])
