"""The task: one round of counts and moments, then rounds of counts that close in on the quantiles."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from starfish.tasks.api import Count, Outcome, Rows, Task, TaskReport
from starfish.tasks.counting import Factor, cells_of
from starfish.tasks.disclosure import UNCHECKED, Design, Limits, Scrutiny
from starfish.tasks.errors import InvalidTask, NoEstimate, SiteRefusal
from starfish.tasks.library.summary.cells import Cell, local_cells, merged
from starfish.tasks.library.summary.config import SummaryConfig
from starfish.tasks.library.summary.faults import cell_faults, count_faults
from starfish.tasks.library.summary.quantiles import CUTS, counts_below, cuts, first_bracket, narrowed, rank_of
from starfish.tasks.library.summary.report import summary_report
from starfish.tasks.library.summary.withheld import few, numeric_withheld, refuse_chosen, within
from starfish.tasks.payload import Payload
from starfish.tasks.received import refusal, require
from starfish.tasks.study import Study
from starfish.tasks.summation import CompensatedSum, size_fault
from starfish.tasks.updates import Expected, Shape, checked

Array = np.ndarray
NUMERIC, LEVELLED = ("number", "integer"), ("binary", "category")


class SummaryStatistics(Task):
    """Counts, missing values, means, standard deviations, quantiles; by group with tests and standardised differences."""

    name = "SummaryStatistics"
    title = "Summary statistics"
    Config = SummaryConfig
    config: SummaryConfig
    complete_cases = False
    leaves: ClassVar[Sequence[str]] = (
        "Round 1: for each variable (and group) the number of values and of missing ones, mean and sum of squares; rows by level. "
        "With min_max also the smallest and the largest value.",
        "Each further round: how many values lie at or below each of 63 points inside a quantile's bracket.",
        "Under limits: which variables, and which brackets, the site withholds because few of its values are in them.",
    )

    def __init__(self, config: SummaryConfig, study: Study) -> None:
        super().__init__(config, study)
        chosen = config.variables or tuple(
            name for name, v in study.variables.items() if v.type in NUMERIC + LEVELLED and name != config.group
        )
        for name in (*chosen, *((config.group,) if config.group else ())):
            self._require(name, NUMERIC + LEVELLED)
        if config.group:
            self._require(config.group, LEVELLED)
        described = [name for name in dict.fromkeys(chosen) if name != config.group]
        self.numeric = [name for name in described if study.variables[name].type in NUMERIC]
        self.levelled = [name for name in described if study.variables[name].type in LEVELLED]
        if not described:
            raise InvalidTask("SummaryStatistics: there is no variable to describe.", code="variables")

    @property
    def variables(self) -> tuple[str, ...]:
        return (*self.numeric, *self.levelled, *((self.config.group,) if self.config.group else ()))

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups' levels; one nameless group where none is asked for."""
        return self.study.variables[self.config.group].values if self.config.group else ("",)

    def count(self, rows: Rows) -> Count:
        return Count(used=rows.n)

    def check(self, rows: Rows) -> None:
        for name in self.numeric:
            if fault := size_fault(rows.columns[name]):
                raise SiteRefusal(f"{name}: {fault}.", code="size", variable=name)

    def design(self, rows: Rows, *, site: str = "") -> Design:
        """Groups are all or nothing; a variable with few values in one is withheld as a whole, and the task goes on."""
        group = self.config.group
        factors = [Factor(term=group, name=group, codes=self.codes(rows), levels=self.groups)] if group else []
        extremes = [f"the smallest and the largest {name}" for name in self.numeric if self.config.min_max]
        return Design(rows=rows.n, cells=list(cells_of(factors)), single=extremes)

    def train(self, rows: Rows, model: Payload | None, *, site: str, scrutiny: Scrutiny = UNCHECKED) -> Payload:
        limits = scrutiny.limits
        if model is None:
            return Payload(meta={"stage": "moments"}, arrays=self._moments(rows, limits))
        if model.meta.get("stage") != "quantiles":
            raise refusal("it is of no stage of this task")
        brackets = (len(self.numeric), self._cells, len(self.config.quantiles))
        require(model.arrays, {"low": brackets, "high": brackets, "closed": brackets})
        if limits.oracle:
            refuse_chosen(self, model, scrutiny)
        return Payload(meta={"stage": "quantiles"}, arrays=self._counts(rows, model, limits))

    def aggregate(self, updates: Iterable[tuple[str, Payload]], model: Payload | None) -> Outcome:
        if model is None:
            arrays, sites = self._pool_moments(checked(updates, self._expected_moments()))
            meta: dict[str, Any] = {"sites": sites}
        else:
            arrays = self._pool_counts(checked(updates, self._expected_counts(model)), model)
            meta = dict(model.meta)
        done = self._narrow_enough(arrays)
        meta["stage"] = "done" if done else "quantiles"
        return Outcome(model=Payload(meta=meta, arrays=arrays), done=done)

    def report(self, model: Payload, *, site_names: Mapping[str, str] | None = None) -> TaskReport:
        return summary_report(self, model)

    def codes(self, rows: Rows) -> Array:
        """The group's code of each row (n,); the code after the last is for rows whose group is missing."""
        if not self.config.group:
            return np.zeros(rows.n, dtype=np.int64)
        return _codes(rows.columns[self.config.group], len(self.groups))

    def cell(self, arrays: Mapping[str, Array], place: int, group: int | None) -> Cell:
        """Of the numeric variable at `place`, in one group or in all."""
        cells = arrays["cells"][place]
        return merged(cells if group is None else cells[group : group + 1])

    def width(self, place: int, cell: Cell) -> float:
        """How narrow this variable's brackets must be."""
        stated = self.study.variables[self.numeric[place]].resolution
        if stated is not None:
            return stated
        if self.study.variables[self.numeric[place]].type == "integer":
            return 0.999
        return self.config.resolution * float(np.sqrt(cell.squares / cell.n)) if cell.n else np.inf

    def _require(self, name: str, types: tuple[str, ...]) -> None:
        variable = self.study.variables.get(name)
        if variable is None:
            raise InvalidTask(f"SummaryStatistics: there is no variable '{name}'. {self.study.near(name)}", code="variables", variable=name)
        if variable.type not in types:
            raise InvalidTask(
                f"SummaryStatistics: '{name}' is of type {variable.type}; here type {' or '.join(types)} is needed.",
                code="variables",
                variable=name,
            )

    @property
    def _cells(self) -> int:
        return len(self.groups) + 1

    def _moments(self, rows: Rows, limits: Limits) -> dict[str, Array]:
        group = self.codes(rows)
        columns = [rows.columns[name] for name in self.numeric]
        arrays = {
            "rows": np.bincount(group, minlength=self._cells).astype(np.float64),
            "cells": np.array([local_cells(column, group, self._cells) for column in columns]).reshape(-1, self._cells, 3),
        }
        if self.config.min_max:
            ends = [(np.nanmin(c), np.nanmax(c)) if (~np.isnan(c)).any() else (0.0, 0.0) for c in columns]
            arrays["extremes"] = np.array(ends).reshape(-1, 2)
        for name in self.levelled:
            levels = len(self.study.variables[name].values)
            flat = group * (levels + 1) + _codes(rows.columns[name], levels)
            counted = np.bincount(flat, minlength=self._cells * (levels + 1)).astype(np.float64)
            arrays[f"levels:{name}"] = counted.reshape(self._cells, levels + 1)
        numeric = [numeric_withheld(column, group, arrays["cells"][place], limits) for place, column in enumerate(columns)]
        levelled = [bool(few(arrays[f"levels:{name}"][:, :-1], limits).any()) for name in self.levelled]
        arrays["withheld"] = np.array([*numeric, *levelled], dtype=np.float64)
        self._blank(arrays, 0.0)
        return arrays

    def _blank(self, arrays: dict[str, Array], extreme: float) -> None:
        """Take out of the arrays what is withheld of them."""
        numeric = ~self.numeric_known(arrays)
        arrays["cells"][numeric] = 0.0
        if self.config.min_max:
            arrays["extremes"][numeric] = extreme
        for name, withheld in zip(self.levelled, arrays["withheld"][len(self.numeric) :], strict=True):
            if withheld:
                arrays[f"levels:{name}"] = np.zeros_like(arrays[f"levels:{name}"])

    def numeric_known(self, arrays: Mapping[str, Array]) -> Array:
        """Of which numeric variables (bool) nothing is withheld."""
        return np.asarray(arrays["withheld"][: len(self.numeric)] == 0)

    def _expected_moments(self) -> Expected:
        described = (len(self.numeric) + len(self.levelled),)
        shapes: dict[str, Shape] = {"rows": (self._cells,), "cells": (len(self.numeric), self._cells, 3), "withheld": described}
        shapes |= {f"levels:{name}": (self._cells, len(self.study.variables[name].values) + 1) for name in self.levelled}
        if self.config.min_max:
            shapes["extremes"] = (len(self.numeric), 2)
        return Expected(
            stage="moments",
            shapes=shapes,
            counts=tuple(name for name in shapes if name not in ("cells", "extremes")),
            sums=("cells",),
            faults=partial(cell_faults, levelled=self.levelled),
        )

    def _pool_moments(self, updates: Iterable[tuple[str, Payload]]) -> tuple[dict[str, Array], int]:
        sums: dict[str, CompensatedSum] = {}
        cells, extremes = [], []
        for _, update in updates:
            for name, array in update.arrays.items():
                if name not in ("cells", "extremes"):
                    sums.setdefault(name, CompensatedSum()).add(array)
            cells.append(update.arrays["cells"])
            if self.config.min_max:
                extremes.append((update.arrays["cells"][:, :, 0].sum(axis=1) > 0, update.arrays["extremes"]))
        if not cells:
            raise NoEstimate("No site sent an update.", code="no-updates")
        arrays = {name: total.total for name, total in sums.items()}
        stacked = np.array(cells)
        arrays["cells"] = np.zeros(stacked.shape[1:])
        for place in range(len(self.numeric)):
            for group in range(self._cells):
                cell = merged(stacked[:, place, group])
                arrays["cells"][place, group] = (cell.n, cell.mean, cell.squares) if cell.n else 0.0
        if self.config.min_max:
            arrays["extremes"] = _pooled_extremes(extremes, len(self.numeric))
        self._blank(arrays, np.nan)
        arrays["low"], arrays["high"] = self.first_brackets(arrays)
        arrays["closed"] = np.zeros(arrays["low"].shape)
        return arrays, len(cells)

    def _places(self, arrays: Mapping[str, Array]) -> Iterator[tuple[int, int, int, Cell, float]]:
        """Every bracket: variable, cell (the last stands for all rows), quantile; with its moments and its q."""
        for place in range(len(self.numeric)):
            for group in range(self._cells):
                cell = self.cell(arrays, place, None if group == len(self.groups) else group)
                for number, q in enumerate(self.config.quantiles):
                    yield place, group, number, cell, q

    def first_brackets(self, arrays: Mapping[str, Array]) -> tuple[Array, Array]:
        """What the pooled moments say of the quantiles."""
        shape = (len(self.numeric), self._cells, len(self.config.quantiles))
        low, high = np.zeros(shape), np.zeros(shape)
        for place, group, number, cell, q in self._places(arrays):
            low[place, group, number], high[place, group, number] = first_bracket(cell, q)
        return low, high

    def _narrow_enough(self, arrays: Mapping[str, Array]) -> bool:
        return all(
            arrays["closed"][place, group, number]
            or arrays["high"][place, group, number] - arrays["low"][place, group, number] <= self._goal(place, cell)
            for place, group, number, cell, _ in self._places(arrays)
        )

    def _goal(self, place: int, cell: Cell) -> float:
        """The width asked for, but never below what floating-point numbers of this size can tell apart."""
        return max(self.width(place, cell), 1e-12 * abs(cell.mean) if cell.n else 0.0, 1e-300) if cell.squares else np.inf

    def _counts(self, rows: Rows, model: Payload, limits: Limits) -> dict[str, Array]:
        low, high, group = model.arrays["low"], model.arrays["high"], self.codes(rows)
        points = cuts(low, high)
        below, withheld = np.zeros(points.shape), model.arrays["closed"].copy()
        for place, name in enumerate(self.numeric):
            for code in range(self._cells):
                values = rows.columns[name][group == code] if code < len(self.groups) else rows.columns[name]
                below[place, code] = counts_below(values, points[place, code])
                withheld[place, code][few(within(values, low[place, code], high[place, code]), limits)] = 1.0
        return {"below": np.where(withheld[..., None] > 0, 0.0, below), "withheld": withheld}

    def _expected_counts(self, model: Payload) -> Expected:
        brackets = model.arrays["low"].shape
        shapes: dict[str, Shape] = {"below": (*brackets, CUTS), "withheld": brackets}
        return Expected(stage="quantiles", shapes=shapes, counts=("below", "withheld"), faults=count_faults)

    def _pool_counts(self, updates: Iterable[tuple[str, Payload]], model: Payload) -> dict[str, Array]:
        sums = {name: CompensatedSum() for name in ("below", "withheld")}
        sites = 0
        for _, update in updates:
            sites += 1
            for name, total in sums.items():
                total.add(update.arrays[name])
        if sites != model.meta["sites"]:
            raise NoEstimate(
                f"{model.meta['sites']} sites took part in the task's first round and {sites} in this one; their counts don't belong "
                "together.",
                code="sites-changed",
            )
        pooled = {name: total.total for name, total in sums.items()}
        return {**self.narrow(model.arrays, pooled), **{f"sum:{name}": array for name, array in pooled.items()}}

    def narrow(self, before: Mapping[str, Array], sums: Mapping[str, Array]) -> dict[str, Array]:
        """What follows from the brackets and the pooled counts; a bracket that a site withholds stays as it is."""
        arrays = {name: array for name, array in before.items() if not name.startswith("sum:")}
        rank = np.ones(arrays["low"].shape)
        for place, group, number, cell, q in self._places(arrays):
            rank[place, group, number] = rank_of(q, cell.n)
        low, high = narrowed(arrays["low"], arrays["high"], sums["below"], rank)
        closed = sums["withheld"] > 0
        arrays["low"], arrays["high"] = np.where(closed, arrays["low"], low), np.where(closed, arrays["high"], high)
        arrays["closed"] = closed.astype(np.float64)
        return arrays


def _codes(column: Array, levels: int) -> Array:
    """Codes of a category or binary column (n,); missing values get the code after the last."""
    codes = np.where(np.isnan(column), levels, column).astype(np.int64) if column.dtype.kind == "f" else column.astype(np.int64)
    return np.where(codes < 0, levels, codes)


def _pooled_extremes(sites: Sequence[tuple[Array, Array]], variables: int) -> Array:
    pooled = np.full((variables, 2), np.nan)
    for present, ends in sites:
        pooled[present, 0] = np.fmin(pooled[present, 0], ends[present, 0])
        pooled[present, 1] = np.fmax(pooled[present, 1], ends[present, 1])
    return pooled
