"""The task: random numbers in round 1, then every site sends back the array that it was sent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from starfish.tasks.api import Count, Outcome, Rows, Task, TaskConfig, TaskReport
from starfish.tasks.blocks import blocks
from starfish.tasks.disclosure import UNCHECKED, Design, Scrutiny
from starfish.tasks.errors import BadUpdate, NoEstimate
from starfish.tasks.payload import Payload
from starfish.tasks.received import refusal
from starfish.tasks.summation import CompensatedSum

Array = np.ndarray
STAGE, ARRAY = "echo", "array"
ITEM = 8


class EchoConfig(TaskConfig):
    """How much goes round, and how often."""

    total_round: int = Field(default=10, ge=1, le=1000, description="How many rounds the task takes.")
    bytes: int = Field(
        default=1024, ge=ITEM, le=2**31, multiple_of=ITEM, description="Size of the array in bytes; a multiple of 8, at most 2 GiB."
    )


class Echo(Task):
    """Each site sends back the array that it got, and the coordinator averages them: what a round costs without arithmetic."""

    name = "Echo"
    title = "Empty rounds"
    Config = EchoConfig
    config: EchoConfig
    complete_cases = False
    leaves: ClassVar[Sequence[str]] = (
        "Round 1: random numbers between 0 and 1, made from the seed and the site's uid. Nothing of the data.",
        "Each further round: the array that the site got. Nothing of the data.",
    )

    @property
    def variables(self) -> tuple[str, ...]:
        return ()

    def count(self, rows: Rows) -> Count:
        """No row is used."""
        return Count(used=0)

    def check(self, rows: Rows) -> None:
        """Any rows will do."""

    def design(self, rows: Rows, *, site: str = "") -> Design:
        """No row is read."""
        return Design(rows=None)

    def train(self, rows: Rows, model: Payload | None, *, site: str, scrutiny: Scrutiny = UNCHECKED) -> Payload:
        if model is None:
            array = np.random.default_rng([self.config.seed, *site.encode()]).random(self._size)
        else:
            array = model.arrays.get(ARRAY, np.zeros(0))
            if fault := self._fault(model):
                raise refusal(fault)
        return Payload(meta={"stage": STAGE}, arrays={ARRAY: array})

    def aggregate(self, updates: Iterable[tuple[str, Payload]], model: Payload | None) -> Outcome:
        total, sites = CompensatedSum(), 0
        for site, update in updates:
            if fault := self._fault(update):
                raise BadUpdate(f"The update does not count: {fault}.", site=site)
            total.add(update.arrays[ARRAY])
            sites += 1
        if not sites:
            raise NoEstimate("No site sent an update.", code="no-updates")
        rounds = 1 if model is None else int(model.meta["rounds"]) + 1
        meta = {"stage": STAGE, "rounds": rounds, "sites": sites}
        return Outcome(model=Payload(meta=meta, arrays={ARRAY: total.mean(sites)}), done=rounds >= self.config.total_round)

    def report(self, model: Payload, *, site_names: Mapping[str, str] | None = None) -> TaskReport:
        fit: dict[str, Any] = {"rounds": model.meta["rounds"], "bytes": self.config.bytes, "sites": model.meta["sites"]}
        return TaskReport(
            converged=model.meta["rounds"] >= self.config.total_round,
            fit=fit,
            methods="An array of random numbers went to every site and back in each round; no data were read.",
        )

    @property
    def _size(self) -> int:
        return self.config.bytes // ITEM

    def _fault(self, payload: Payload) -> str | None:
        """Why this is no array of ours, if it is none."""
        if payload.meta.get("stage") != STAGE:
            return f"it is of stage {str(payload.meta.get('stage'))[:40]!r}, not {STAGE!r}"
        if set(payload.arrays) != {ARRAY}:
            return f"it holds the arrays {sorted(payload.arrays)}, not [{ARRAY!r}]"
        array = payload.arrays[ARRAY]
        if array.dtype != np.float64 or array.shape != (self._size,):
            return f"'{ARRAY}' is {array.dtype} of shape {array.shape}, not float64 of shape {(self._size,)}"
        if not all(block.min() >= 0.0 and block.max() <= 1.0 for _, block in blocks(array)):
            return f"'{ARRAY}' has a number that is not between 0 and 1"
        return None
