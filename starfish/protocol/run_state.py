"""The run's state machine: one table, from which the router, the sites and the documents take it."""

from enum import IntEnum


class RunStatus(IntEnum):
    """Where a run is; the numbers are the wire's."""

    FAILED = 0
    PENDING_FAILED = 1
    STANDBY = 2
    PREPARING = 3
    RUNNING = 4
    PENDING_SUCCESS = 5
    PENDING_AGGREGATING = 6
    AGGREGATING = 7
    SUCCESS = 8

    @property
    def word(self) -> str:
        """As JSON shows it: "Pending Success"."""
        return self.name.replace("_", " ").title()

    @classmethod
    def from_word(cls, word: str) -> "RunStatus":
        """Raises KeyError."""
        return cls[word.replace(" ", "_").upper()]

    @property
    def live(self) -> bool:
        return self not in (RunStatus.FAILED, RunStatus.SUCCESS)
