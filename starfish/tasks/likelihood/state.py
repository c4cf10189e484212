"""What a model has come to between two rounds: the global model, opened for writing."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from starfish.tasks.payload import Payload

Array = np.ndarray


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

    def payload(self) -> Payload:
        return Payload(meta=self.meta, arrays=self.arrays)

    @property
    def moments(self) -> dict[str, tuple[float, float]]:
        """Pooled mean and sd of the variables in center() and scale()."""
        return {name: (pair[0], pair[1]) for name, pair in self.meta.get("moments", {}).items()}

    @property
    def sites(self) -> list[str]:
        """Digests of the sites' uids, in order of uid: a site finds its own place, and no name but its own."""
        return list(self.meta["sites"])

    def place(self, site: str) -> int:
        """Which of the sites this is."""
        return self.sites.index(site_digest(site))


def rows_digest(uid: str, n: float) -> str:
    """Holds a site to the number of rows that it announced; nobody who lacks its uid can tell the number from it."""
    return hashlib.sha256(f"starfish rows {uid} {n!r}".encode()).hexdigest()[:24]


def site_digest(uid: str) -> str:
    """By what a site finds its own intercept in a global model that all can read."""
    return hashlib.sha256(f"starfish site {uid}".encode()).hexdigest()[:24]
