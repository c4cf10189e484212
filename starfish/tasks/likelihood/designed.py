"""What a likelihood model makes of one site's rows, as far as it bears on single patients."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import qr

from starfish.tasks.counting import Factor, Measured, cells_of, effective_number, exceptions, largest_share, two_valued
from starfish.tasks.disclosure import Cell, Design
from starfish.tasks.formula.factors import Category
from starfish.tasks.likelihood.local import Local

if TYPE_CHECKING:
    from starfish.tasks.api import Rows
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray
RANK = 1e-11
"""What is left of a column, relative to the largest, below which it is rounding."""


def design_of(task: "LikelihoodTask", rows: "Rows", local: Local) -> Design:
    """The design of the rows that the model is fitted to. `local` is these rows as the formula reads them."""
    formula = task.question.formula
    if not rows.n:
        return Design(rows=0, parameters=len(formula.columns))
    outcome = str(formula.response)
    columns = [
        Measured(term=column.term, name=column.name, values=local.x[:, place])
        for place, column in enumerate(formula.columns)
        if column.parts
    ]
    columns += [Measured(term=name, name=name, values=rows.columns[name].astype(np.float64)) for name in task.question.formula.moments]
    if formula.offset:
        columns.append(Measured(term="the offset", name="the offset", values=local.offset))
    levels = {column.name for column in formula.columns if len(column.parts) == 1 and isinstance(column.parts[0][0], Category)}
    others = [column for column in columns if column.name not in levels]
    measured = columns if task.binary else [*columns, Measured(term=outcome, name=outcome, values=local.y)]
    return Design(
        rows=rows.n,
        parameters=len(formula.columns),
        outcomes={outcome: (int((local.y == 0).sum()), int((local.y == 1).sum()))} if task.binary else {},
        cells=[*cells_of(_factors(task, rows, local, others)), *exceptions(others), *_clusters(task, local)],
        shares=_shares(measured, local.weights, centred=formula.intercept),
        effective=effective_number(local.weights),
        leverage=_largest_leverage(local.x, local.weights),
    )


def _factors(task: "LikelihoodTask", rows: "Rows", local: Local, columns: Sequence[Measured]) -> list[Factor]:
    parts = (factor for column in task.question.formula.columns for factor, _ in column.parts if isinstance(factor, Category))
    levels = {category.variable: category.levels for category in parts}
    factors = [Factor(term=name, name=name, codes=rows.columns[name], levels=named) for name, named in levels.items()]
    response = str(task.question.formula.response)
    outcome = [Factor(term=response, name=response, codes=local.y, levels=("0", "1"))] if task.binary else []
    return [*factors, *two_valued(columns), *outcome]


def _clusters(task: "LikelihoodTask", local: Local) -> list[Cell]:
    if local.cluster is None or not len(local.cluster):
        return []
    name = str(task.question.cluster)
    return [Cell(variables=name, name=f"the smallest cluster of {name}", rows=int(np.bincount(local.cluster).min()))]


def _shares(columns: Sequence[Measured], weights: Array, *, centred: bool) -> dict[str, float]:
    """Of each term the largest of its columns', and of the weights themselves."""
    shares = {"the weights": largest_share(weights)}
    for column in columns:
        values = column.values
        centre = values[0] + float(weights @ (values - values[0])) / float(weights.sum()) if centred else 0.0
        shares[column.term] = max(shares.get(column.term, 0.0), largest_share(weights * (values - centre) ** 2))
    return shares


def _largest_leverage(x: Array, weights: Array) -> float:
    """By an orthogonal basis of the columns: no more exact one can be had by whoever adds the columns up."""
    size = np.sqrt(np.einsum("ij,ij->j", x, x))
    scaled = (x / np.where(size > 0, size, 1.0)) * np.sqrt(weights / weights.max())[:, None]
    basis, triangle, _ = qr(scaled, mode="economic", pivoting=True, check_finite=False)
    left = np.abs(np.diag(triangle))
    kept = basis[:, : int((left > RANK * left.max(initial=0.0)).sum())]
    return float(np.einsum("ij,ij->i", kept, kept).max(initial=0.0))
