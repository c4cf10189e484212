"""Logistic regression with metrics of prediction, on the rows that it was fitted to or on rows held out."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from pydantic import Field
from scipy import special

from starfish.tasks.api import Rows
from starfish.tasks.disclosure import Design, Limits
from starfish.tasks.library.logistic.model import LogisticConfig, LogisticRegressionStats
from starfish.tasks.likelihood import LikelihoodConfig, LikelihoodTask, State
from starfish.tasks.likelihood.contained import SLACK, Sums
from starfish.tasks.likelihood.judged import judge, judge_information
from starfish.tasks.likelihood.linalg import solve
from starfish.tasks.likelihood.newton import CONVERGED, embedded, own_theta
from starfish.tasks.likelihood.scaling import standardised
from starfish.tasks.likelihood.stages import AtParameters, Stage, Updates
from starfish.tasks.payload import Payload, number
from starfish.tasks.summation import CompensatedSum
from starfish.tasks.updates import Expected, Shape

Array = np.ndarray
BINS = 1000
CALIBRATION_ROUNDS, FAR = 12, 1.0


class MetricsConfig(LogisticConfig):
    """Adds a part of the rows to hold out."""

    test_fraction: float = Field(
        default=0.0,
        ge=0.0,
        le=0.9,
        description="Part of the rows held out from the fit; 0: metrics are apparent. Chosen by a hash of the variable with role id "
        "(or type id) if there is one, whatever site a row lies at; else of each outcome at each site just this part.",
    )


class LogisticRegression(LogisticRegressionStats):
    """The exact fit, then AUC from binned scores, Brier score and calibration as exact sums."""

    name = "LogisticRegression"
    title = "Logistic regression with metrics"
    Config: ClassVar[type[LikelihoodConfig]] = MetricsConfig
    config: MetricsConfig
    leaves: ClassVar[Sequence[str]] = (
        *LogisticRegressionStats.leaves,
        f"For the metrics, one round or more: events and non-events in {BINS} bins of predicted probability, the sum of squared errors, "
        "the log-likelihood, and score and information of the calibration line.",
    )

    def after(self) -> Sequence[Stage]:
        return (Metrics(),)

    def chosen(self, rows: Rows, *, site: str) -> Array:
        return ~self.held_out(rows, site) if self.config.test_fraction else super().chosen(rows, site=site)

    def training(self, rows: Rows, site: str) -> Rows:
        return rows.take(self.chosen(rows, site=site)) if self.config.test_fraction else rows

    def design(self, rows: Rows, *, site: str = "") -> Design:
        """Of the rows for the fit, and of those held out too."""
        design = super().design(rows, site=site)
        if not self.config.test_fraction:
            return design
        y = self.question.formula.response_values(self.evaluation(rows, site))
        held = {f"{self.question.formula.response} (held out)": (int((y == 0).sum()), int((y == 1).sum()))}
        return replace(design, parts={"rows held out": len(y)}, outcomes={**design.outcomes, **held})

    def evaluation(self, rows: Rows, site: str) -> Rows:
        """The rows that the metrics speak of."""
        return rows.take(self.held_out(rows, site)) if self.config.test_fraction else rows

    @property
    def variables(self) -> tuple[str, ...]:
        extra = self.row_id if self.config.test_fraction and self.row_id not in self.question.variables else None
        return (*self.question.variables, *((extra,) if extra else ()))

    @cached_property
    def row_id(self) -> str | None:
        """The variable by which a row is known wherever it lies: the one with role id, else the one of type id without a role."""
        stated = self.study.variables.items()
        by_role = [name for name, variable in stated if variable.role == "id"]
        found = by_role or [name for name, variable in stated if variable.type == "id" and variable.role is None]
        return found[0] if len(found) == 1 else None

    def held_out(self, rows: Rows, site: str) -> Array:
        """Which rows (bool, (n,)) are held out: those whose keyed hash is small, or of each outcome those that come first by it."""
        key = hashlib.sha256(f"{self.config.seed} {'' if self.row_id else site}".encode()).digest()
        if self.row_id:
            return _hashes(rows.columns[self.row_id].tolist(), key) < np.uint64(self.config.test_fraction * 2.0**64)
        y, rank = self.question.formula.response_values(rows), _hashes(range(rows.n), key)
        held = np.zeros(rows.n, dtype=bool)
        for value in (0.0, 1.0):
            of_outcome = np.flatnonzero(y == value)
            chosen = of_outcome[np.argsort(rank[of_outcome], kind="stable")]
            held[chosen[: int(len(chosen) * self.config.test_fraction + 0.5)]] = True
        return held

    def tables(self, state: State) -> Mapping[str, Any]:
        if "bins" not in state.arrays:
            return {}
        without, events = state.arrays["bins"]
        n = float(without.sum() + events.sum())
        label = "held-out" if self.config.test_fraction else "apparent"
        auc, bound = _auc(without, events)
        intercept, slope = state.arrays["calibration"] if state.meta.get("calibrated") else (np.nan, np.nan)
        return {
            "metrics": {
                "label": label,
                "n_train": int(state.meta["n"]),
                "n_test": int(state.meta["evaluated"]) if self.config.test_fraction else 0,
                "num_examples": int(state.meta["n"]),
                "auc": number(auc),
                "auc_bound": number(bound),
                "brier": number(state.meta["squared_error"] / n) if n else None,
                "log_loss": number(-state.meta["prediction_ll"] / n) if n else None,
                "calibration_intercept": number(intercept),
                "calibration_slope": number(slope),
            }
        }


def _hashes(names: Iterable[object], key: bytes) -> Array:
    """Uniform 64-bit numbers, one a name."""
    return np.array(
        [int.from_bytes(hashlib.blake2b(str(name).encode(), key=key, digest_size=8).digest()) for name in names], dtype=np.uint64
    )


class Metrics(AtParameters):
    """Binned scores, squared error, and the calibration line's sums until that has converged."""

    name = "metrics"

    def reads(self, task: LikelihoodTask, state: State) -> dict[str, Shape]:
        return super().reads(task, state) | ({"calibration": (2,)} if "calibration" in state.arrays else {})

    def local(self, task: LikelihoodTask, rows: Rows, state: State, site: str, limits: Limits) -> Mapping[str, Array]:
        assert isinstance(task, LogisticRegression)
        rows = task.evaluation(rows, site)
        local = task.question.local(rows, state.moments)
        layout = task.layout(state)
        eta = standardised(local.x, layout, state) @ own_theta(layout, state, site) + local.offset
        p, w = special.expit(eta), local.weights
        places = np.minimum((p * BINS).astype(np.int64), BINS - 1)
        bins = np.array([np.bincount(places, weights=w * (local.y == value), minlength=BINS) for value in (0, 1)])
        line = np.column_stack([np.ones(rows.n), eta])
        point = task.pointwise(line @ self._calibration(state), local.y)
        curvature = w * point.curvature
        found = {
            "bins": bins,
            "rows": np.array(float(rows.n)),
            "squared_error": np.array(float(w @ (local.y - p) ** 2)),
            "prediction_ll": np.array(float(w @ task.pointwise(eta, local.y).ll)),
            "score": line.T @ (w * point.slope),
            "information": line.T @ (line * curvature[:, None]),
        }
        if limits.oracle:
            judge(limits, task, local, point)
            judge_information(limits, line, curvature, found["information"])
        return found

    def shapes(self, task: LikelihoodTask, state: State) -> Mapping[str, Shape]:
        scalars: dict[str, Shape] = {"rows": (), "squared_error": (), "prediction_ll": ()}
        return scalars | {"bins": (2, BINS), "score": (2,), "information": (2, 2)}

    def expected(self, task: LikelihoodTask, state: State) -> Expected:
        return Expected(
            stage=self.name,
            shapes=self.shapes(task, state),
            information=("information",),
            counts=("bins", "rows", "squared_error"),
            sums=("prediction_ll",),
            whole=("rows",),
            faults=partial(_faults, weighted=task.config.weights != "none"),
        )

    def fold(self, task: LikelihoodTask, updates: Updates, state: State) -> Sums:
        assert isinstance(task, LogisticRegression)
        sums = {name: CompensatedSum() for name in self.shapes(task, state)}
        rows = None if task.config.test_fraction else "rows"
        for _, update in embedded(self.checked(task, updates, state), task.layout(state), state, rows=rows):
            for name, total in sums.items():
                total.add(update.arrays[name])
        return {name: total.total for name, total in sums.items()}

    def follow(self, task: LikelihoodTask, state: State, sums: Sums) -> bool:
        state.arrays["bins"] = sums["bins"]
        state.meta |= {name: float(sums[name]) for name in ("squared_error", "prediction_ll")}
        state.meta["evaluated"] = float(sums["rows"])
        return self._calibrate(task, state, sums["score"], sums["information"])

    def _calibration(self, state: State) -> Array:
        return state.arrays.get("calibration", np.array([0.0, 1.0]))

    def _calibrate(self, task: LikelihoodTask, state: State, score: Array, information: Array) -> bool:
        """One Newton step of the calibration line; True when it has converged, or has no answer.

        A line far from (0, 1), whence a step may lead anywhere, is looked for from (0, 0), whence Newton's method climbs.
        """
        state.meta["calibration_rounds"] = state.meta.get("calibration_rounds", 0) + 1
        line = self._calibration(state)
        if np.linalg.eigvalsh(information)[0] <= 1e-12 * information.trace() or state.meta["calibration_rounds"] > CALIBRATION_ROUNDS:
            return True
        step = solve(information, score)
        decrement = float(score @ step) / task.dispersion(state, state.meta["base_ll"])
        state.meta["calibrated"] = decrement <= CONVERGED
        far = state.meta["calibration_rounds"] == 1 and decrement > FAR
        state.arrays["calibration"] = np.zeros(2) if far else line if state.meta["calibrated"] else line + step
        return bool(state.meta["calibrated"])


def _faults(update: Payload, *, weighted: bool) -> str | None:
    """Every row is in one bin, with an error of at most 1 and a likelihood of at most 1."""
    arrays = update.arrays
    if not weighted and arrays["bins"].sum() != arrays["rows"]:
        return "'bins' does not add up to its rows"
    if arrays["squared_error"] > arrays["bins"].sum() * (1.0 + SLACK) or arrays["prediction_ll"] > 0:
        return "'squared_error' or 'prediction_ll' is more than any rows can make it"
    return None


def _auc(without: Array, events: Array) -> tuple[float, float]:
    """P(score of an event > score of a non-event), ties in a bin as half; the true value differs by at most the second number."""
    pairs = without.sum() * events.sum()
    if not pairs:
        return float("nan"), float("nan")
    below = np.concatenate([[0.0], np.cumsum(without)[:-1]])
    tied = 0.5 * float(events @ without)
    return (float(events @ below) + tied) / pairs, tied / pairs
