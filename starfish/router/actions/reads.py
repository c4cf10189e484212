"""Permitted reads are counted, for each account, kind and hour: in memory, and once a minute in the database.

A request writes nothing. What a process had counted since its last minute is lost where it is killed.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import User
from django.db import Error, connection, transaction
from django.utils import timezone

from starfish.router.models import ReadCount

FLUSH_S = 60.0
HOUR_S = 3600
KEPT = timedelta(days=90)
_ADD = """
INSERT INTO router_readcount (account_id, kind, hour, count) VALUES (%s, %s, %s, %s)
ON CONFLICT (account_id, kind, hour) DO UPDATE SET count = router_readcount.count + excluded.count
"""
Key = tuple[int, str, int]
log = logging.getLogger("starfish.router")


class Reads:
    """By account, kind and hour since 1970. `by_itself`: a thread writes them down, from the first one on."""

    def __init__(self, *, by_itself: bool = True) -> None:
        self._counts: Counter[Key] = Counter()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="reads", daemon=True) if by_itself else None

    def count(self, account: int, kind: str) -> None:
        key = (account, kind, int(time.time()) // HOUR_S)
        with self._lock:
            self._counts[key] += 1
            if self._thread is not None and self._thread.ident is None:
                self._thread.start()

    def flush(self) -> None:
        """Into the database. Raises Error, and then what was counted is not lost."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        try:
            if counts:
                _write(counts)
        except Error:
            with self._lock:
                self._counts.update(counts)
            raise

    def _work(self) -> None:
        while True:
            time.sleep(FLUSH_S)
            flush_patiently()


_reads = Reads()


def count(account: int, kind: str) -> None:
    """One more; `kind` as "run.list"."""
    _reads.count(account, kind)


def flush() -> None:
    """What this process has counted. Raises Error."""
    _reads.flush()


def flush_patiently() -> None:
    """In a thread of its own: a database that is away is asked again in a minute."""
    try:
        flush()
    except Error as error:
        log.warning("reads_wait error=%s", type(error).__name__)
    finally:
        connection.close()


def _write(counts: Mapping[Key, int]) -> None:
    """In one order everywhere, so that two processes never wait for each other; accounts that are gone are left out."""
    with transaction.atomic(), connection.cursor() as cursor:
        there = set(User.objects.filter(pk__in={account for account, _, _ in counts}).values_list("pk", flat=True))
        rows = [(*key, number) for key, number in sorted(counts.items()) if key[0] in there]
        cursor.executemany(_ADD, [(account, kind[:50], _time(hour), number) for account, kind, hour, number in rows])
        ReadCount.objects.filter(hour__lt=timezone.now() - KEPT).delete()


def _time(hour: int) -> str | datetime | None:
    """As the database's driver takes it."""
    return connection.ops.adapt_datetimefield_value(datetime.fromtimestamp(hour * HOUR_S, UTC))
