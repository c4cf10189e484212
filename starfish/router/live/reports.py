"""What a site's lines and reports must be, and how often a run may report."""

import threading
import time
from collections import OrderedDict
from typing import Annotated

from pydantic import Field

from starfish.router.actions.telemetry import LINES_BYTES
from starfish.router.live.requests import Strict

LINES_BODY_BYTES = 8 * LINES_BYTES  # JSON may need six bytes for one
REPORT_BYTES = 16 * 1024
MOST_METRICS = 50

Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class LinesRequest(Strict):
    """Lines of a run's log; "\\n" between them."""

    lines: Annotated[str, Field(min_length=1, max_length=LINES_BYTES)]


class ProgressRequest(Strict):
    """How far a run is. `step`: a name or a number; `fraction`: of this round's work, where that is known.

    `sealed`: in a sealed project, an envelope in Base64, in place of metrics and message.
    """

    round: Annotated[int, Field(ge=0, le=2**31 - 1)]
    step: Annotated[int, Field(ge=0, le=2**63 - 1)] | Name
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None
    metrics: Annotated[dict[Name, Finite], Field(max_length=MOST_METRICS)] = {}
    message: Annotated[str, Field(max_length=500)] = ""
    sealed: str | None = None


class Pace:
    """At most RATE reports a second of one run, and so many at once. Each process counts for itself; any thread may ask."""

    RATE, REMEMBERED = 5.0, 10_000

    def __init__(self) -> None:
        self._left: OrderedDict[int, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def allows(self, run_id: int) -> bool:
        now = time.monotonic()
        with self._lock:
            left, at = self._left.pop(run_id, (self.RATE, now))
            left = min(self.RATE, left + (now - at) * self.RATE)
            allowed = left >= 1
            self._left[run_id] = left - allowed, now
            while len(self._left) > self.REMEMBERED:
                self._left.popitem(last=False)
        return allowed


pace = Pace()
