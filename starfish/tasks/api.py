"""What every task is: a typed Config, and five pure steps.

    check     at each site, before anything is computed: may these rows take part?
    design    at each site, before anything is computed: what would leave of single patients?
    train     at each site, once a round: rows and the global model in, an update out
    aggregate at the coordinator, once a round: the updates in site order in, the next global model out
    report    anywhere, from the last global model alone

The state of a task between two rounds is its global model and nothing else: a crash repeats a step and gets the same bytes.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from starfish.tasks.disclosure import UNCHECKED, Design, Scrutiny
from starfish.tasks.payload import Payload
from starfish.tasks.study import Study


@dataclass(frozen=True, kw_only=True)
class Rows:
    """One site's rows, typed by the project's variables; every column has length `n`.

    number, integer, date: float64, NaN where missing (date: days since 1970-01-01).
    binary: float64, 1.0 for `positive`, 0.0 for the other value, NaN where missing.
    category: int64 codes into the variable's levels, -1 where missing. text, id: object (str), "" where missing.
    """

    n: int
    columns: Mapping[str, np.ndarray]

    def take(self, mask: np.ndarray) -> "Rows":
        """The rows where `mask` (bool, shape (n,)) holds, in their order."""
        return Rows(n=int(mask.sum()), columns={name: column[mask] for name, column in self.columns.items()})


class TaskConfig(BaseModel):
    """Parameters common to all tasks; a subclass adds its own, each with a description and a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total_round: int = Field(
        default=25, ge=1, le=1000, description="The most rounds that the task may take; it ends earlier on convergence."
    )
    current_round: int = Field(default=1, ge=1, description="Where to begin; kept for old controllers.", exclude=True)
    seed: int = Field(default=0, ge=0, description="From which all randomness of the task is derived.")
    alpha: float = Field(default=0.05, gt=0, lt=1, description="Intervals cover 1 - alpha.")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one round's aggregation yields. `done`: the task ends now, `model` is its last."""

    model: Payload
    done: bool


@dataclass(frozen=True, kw_only=True)
class Count:
    """What a report says of a site's part: rows used for this task, and events where the outcome has any."""

    used: int
    events: int | None = None


@dataclass(frozen=True, kw_only=True)
class TaskReport:
    """A task's part of the report; becomes JSON as it stands (interfaces.md). `failure` names an outcome without estimates."""

    converged: bool
    estimates: Sequence[Mapping[str, Any]] = ()
    fit: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Any] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    failure: Mapping[str, Any] | None = None
    methods: str = ""


class Task(ABC):
    """One task of a project. Construction validates everything that can be known without data; raises InvalidTask."""

    name: ClassVar[str]
    title: ClassVar[str]
    Config: ClassVar[type[TaskConfig]]
    leaves: ClassVar[Sequence[str]]
    """What leaves the site, one line for each kind of round."""
    complete_cases: ClassVar[bool] = True
    """Whether rows with a missing value in `variables` are left out before the task sees them."""

    def __init__(self, config: TaskConfig, study: Study) -> None:
        self.config = config
        self.study = study

    @property
    @abstractmethod
    def variables(self) -> tuple[str, ...]:
        """The project's variables that this task reads: rows are complete when these are."""

    @abstractmethod
    def count(self, rows: Rows) -> Count:
        """How many of the complete rows are used, and how many are events."""

    @abstractmethod
    def check(self, rows: Rows) -> None:
        """Whether these complete rows can take part at all. Raises SiteRefusal."""

    @abstractmethod
    def design(self, rows: Rows, *, site: str = "") -> Design:
        """What the task makes of these complete rows, for the site's policy to judge; `site` is the site's uid. Raises SiteRefusal."""

    def chosen(self, rows: Rows, *, site: str) -> np.ndarray:
        """Which of these complete rows (bool, shape (n,)) the estimates are of: all, unless some are held out."""
        return np.ones(rows.n, dtype=bool)

    @abstractmethod
    def train(self, rows: Rows, model: Payload | None, *, site: str, scrutiny: Scrutiny = UNCHECKED) -> Payload:
        """The update of this round. `model` is the last global model, None in round 1; `site` the site's uid.

        Raises SiteRefusal, also where the model asks for more than `scrutiny` lets be answered.
        """

    @abstractmethod
    def aggregate(self, updates: Iterable[tuple[str, Payload]], model: Payload | None) -> Outcome:
        """The next global model from `(site uid, update)` pairs, given in ascending order of uid, read once. Raises BadUpdate."""

    @abstractmethod
    def report(self, model: Payload, *, site_names: Mapping[str, str] | None = None) -> TaskReport:
        """The report of the last global model. `site_names` (uid to name) is the coordinator's; others see "site 1..k"."""
