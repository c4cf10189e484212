"""What to do about errors that time may mend: say it once, wait longer each time, and never end."""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from starfish.controller.daemon.journal import BatchKey, Journal, Level
from starfish.controller.errors import HomeError
from starfish.sdk import Forbidden, Problem, RouterUnreachable, Unauthorized

FIRST_PAUSE_S, LONGEST_PAUSE_S, REFUSED_PAUSE_S = 0.2, 5.0, 5.0
T = TypeVar("T")
log = logging.getLogger("starfish.daemon")


class Patience:
    """What to do about errors that time may mend: say it once, wait longer each time."""

    def __init__(self, journal: Journal, key: BatchKey | None = None) -> None:
        self.journal, self.key = journal, key
        self.pause = 0.0
        self.errors = 0
        self._said: str | None = None

    def around(self, work: Callable[[], T]) -> T | None:
        """The result of `work`, None where it failed; `pause` is how long to wait before the next try."""
        try:
            result = work()
        except RouterUnreachable as error:
            self._wait(str(error), min(max(self.pause * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S))
        except (Unauthorized, Forbidden) as error:
            self._wait(f"The Routing Server refuses this site: {error}. Its operator can say why.", REFUSED_PAUSE_S)
        except Problem as error:
            self._wait(f"The Routing Server refuses: {error}", min(max(self.pause * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S))
        except HomeError as error:
            self._wait(f"{error} Nothing is computed until that is mended.", LONGEST_PAUSE_S)
        except Exception as error:  # the loop's edge: whatever it is, the site stays up and says so
            self.errors += 1
            log.exception("internal_error count=%d", self.errors)
            self._wait(f"Internal error {type(error).__name__}: {error} (daemon.log has more).", LONGEST_PAUSE_S)
        else:
            if self._said is not None:
                self._tell("info", "That is over; the work goes on.")
            self._said, self.pause = None, 0.0
            return result
        return None

    def _wait(self, reason: str, pause: float) -> None:
        self.pause = pause
        if reason != self._said:
            log.warning("waiting reason=%r", reason)
            self._tell("warning", reason)
        self._said = reason

    def _tell(self, level: Level, line: str) -> None:
        with suppress(sqlite3.Error):  # a full disk ends no thread either
            self.journal.log(self.key, level, line)
