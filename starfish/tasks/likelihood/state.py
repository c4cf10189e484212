"""What a model has come to between two rounds: the global model, opened for writing."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from starfish.tasks.errors import NoEstimate
from starfish.tasks.payload import Payload
from starfish.tasks.received import refusal

Array = np.ndarray
SUM = "sum:"
"""Before the names of the sums that a global model followed from."""


@dataclass
class State:
    """`meta` and `arrays` of a global model. `stage` is what the sites do next; "done" ends the task."""

    meta: dict[str, Any]
    arrays: dict[str, Array]

    @staticmethod
    def of(model: Payload | None) -> "State":
        return State(dict(model.meta), dict(model.arrays)) if model else State({}, {})

    @property
    def stage(self) -> str:
        return str(self.meta["stage"])

    @property
    def sums(self) -> dict[str, Array]:
        """What the model followed from, besides the one before it."""
        return {name.removeprefix(SUM): array for name, array in self.arrays.items() if name.startswith(SUM)}

    def carry(self, sums: Mapping[str, Array]) -> None:
        """Hold these, and no others."""
        kept = {name: array for name, array in self.arrays.items() if not name.startswith(SUM)}
        self.arrays = kept | {SUM + name: array for name, array in sums.items()}

    def payload(self) -> Payload:
        return Payload(meta=self.meta, arrays=self.arrays)

    @property
    def origin(self) -> float:
        """What was taken from the outcome before the fit, and is added to the intercept after it."""
        return float(self.meta.get("origin", 0.0))

    @property
    def moments(self) -> dict[str, tuple[float, float]]:
        """Pooled mean and sd of the variables in center() and scale()."""
        return {name: (pair[0], pair[1]) for name, pair in self.meta.get("moments", {}).items()}

    @property
    def sites(self) -> list[str]:
        """Digests of the sites' uids, in order of uid: a site finds its own place, and no name but its own."""
        return list(self.meta["sites"])

    def require_moments(self, variables: Iterable[str]) -> None:
        """Raises SiteRefusal unless there are a mean and an sd of each of the variables."""
        moments = self.meta.get("moments")
        for name in variables:
            pair = moments.get(name) if isinstance(moments, dict) else None
            if not _mean_and_sd(pair):
                raise refusal(f"it has no mean and standard deviation of {name}")

    def require_site(self, site: str) -> None:
        """Raises SiteRefusal unless the site is one of the first round."""
        sites = self.meta.get("sites")
        if not (isinstance(sites, list) and site_digest(site) in sites):
            raise refusal("this site is not among those of the task's first round")
        if type(self.meta.get("origin", 0.0)) is not float:
            raise refusal("its 'origin' is no number")

    def require_finite(self) -> None:
        """Raises NoEstimate where the sites' sums, each of which may be right, can't be computed with."""
        scalars = [value for value in self.meta.values() if isinstance(value, float)]
        if not (np.isfinite(scalars).all() and self.payload().finite()):
            raise NoEstimate("The sites' sums are too large or too small to compute with; look at the variables' units.", code="not-finite")

    def place(self, site: str) -> int:
        """Which of the sites this is."""
        return self.sites.index(site_digest(site))


def _mean_and_sd(pair: Any) -> bool:
    numbers = isinstance(pair, list) and len(pair) == 2 and all(type(value) is float and math.isfinite(value) for value in pair)
    return numbers and pair[1] > 0


def rows_digest(uid: str, n: float) -> str:
    """Holds a site to the number of rows that it announced; nobody who lacks its uid can tell the number from it."""
    return hashlib.sha256(f"starfish rows {uid} {n!r}".encode()).hexdigest()[:24]


def site_digest(uid: str) -> str:
    """By what a site finds its own intercept in a global model that all can read."""
    return hashlib.sha256(f"starfish site {uid}".encode()).hexdigest()[:24]
