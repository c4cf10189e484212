"""When the rounds of a batch began and ended, by the Routing Server's own history of its runs."""

import itertools
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from benchmarks.federation import Federation
from benchmarks.processes import BenchmarkFailed
from starfish.protocol.run_state import RunStatus

WARM_UP = 2
"""The first round, in which data are read and everything is started, and one more."""
UNCOUNTED = WARM_UP + 1
"""The last round, too: it ends otherwise, with reports and logs."""

QUERY = """
SELECT run.role, move.target, move.round_seq, move.at FROM router_runtransition AS move JOIN router_run AS run ON run.id = move.run_id
ORDER BY move.id
"""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """The rounds that count: their lengths, the first one's begin and the last one's end (wall clock), and their phases' medians."""

    seconds: list[float]
    began: float
    ended: float
    phases: dict[str, float]


def rounds_of(federation: Federation) -> Rounds:
    """Raises BenchmarkFailed where there are too few."""
    moves = [(role, RunStatus(status), turn, moment(at)) for role, status, turn, at in federation.rows(QUERY)]
    # The move to Standby is written with the round that it ends.
    begun = {turn + 1: at for role, status, turn, at in moves if role == "CO" and status is RunStatus.STANDBY}
    counted = [turn for turn in sorted(begun) if turn > WARM_UP]
    if len(counted) < 2:
        raise BenchmarkFailed("The batch had too few rounds to measure one.")
    last: defaultdict[int, dict[RunStatus, float]] = defaultdict(dict)
    for role, status, turn, at in moves:
        if role == "PA":
            last[turn][status] = max(at, last[turn].get(status, 0.0))
    return Rounds(
        seconds=[begun[after] - begun[before] for before, after in itertools.pairwise(counted)],
        began=begun[counted[0]],
        ended=begun[counted[-1]],
        phases={
            "model at the sites": _median(last[turn][RunStatus.PREPARING] - begun[turn] for turn in counted[:-1]),
            "begin": _median(last[turn][RunStatus.RUNNING] - last[turn][RunStatus.PREPARING] for turn in counted[:-1]),
            "updates at the router": _median(
                last[turn][RunStatus.PENDING_AGGREGATING] - last[turn][RunStatus.RUNNING] for turn in counted[:-1]
            ),
            "aggregation": _median(begun[turn + 1] - last[turn][RunStatus.PENDING_AGGREGATING] for turn in counted[:-1]),
        },
    )


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 4)


def moment(text: str) -> float:
    """Wall clock, of a time in the database."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
