"""Who is left: registered, eligible, complete; with a reason for every row that is not."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from starfish.tasks.api import Rows
from starfish.tasks.errors import InvalidTask, SiteRefusal
from starfish.tasks.formula.eligibility import missing, parse_eligibility
from starfish.tasks.study import Study


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Numbers of rows; `excluded` adds up to registered - complete: a row counts under its first reason."""

    registered: int
    eligible: int
    complete: int
    excluded: dict[str, int]


def eligible_mask(rows: Rows, study: Study) -> np.ndarray:
    """The rows (bool, shape (n,)) that the project's eligibility admits."""
    if study.eligibility is None:
        return np.ones(rows.n, dtype=bool)
    return parse_eligibility(study.eligibility, study).mask(rows)


def complete_mask(rows: Rows, variables: Sequence[str]) -> np.ndarray:
    """The rows (bool, shape (n,)) in which none of the variables is missing."""
    mask = np.ones(rows.n, dtype=bool)
    for variable in variables:
        mask &= ~missing(rows.columns[variable])
    return mask


def flow(rows: Rows, study: Study, task_variables: Sequence[str]) -> Flow:
    """How the rows thin out for one task. Raises SiteRefusal where the project refuses missing values and there are some."""
    if study.missing == "impute":
        raise InvalidTask("Imputation arrives with the task MultipleImputation; choose complete-cases or refuse.", code="impute")
    left = eligible_mask(rows, study)
    eligible = int(left.sum())
    reasons = {"not eligible": rows.n - eligible}
    for variable in task_variables:
        gone = left & missing(rows.columns[variable])
        reasons[f"{variable} missing"] = int(gone.sum())
        left &= ~gone
    excluded = {reason: count for reason, count in reasons.items() if count}
    if study.missing == "refuse":
        _refuse_missing({variable: reasons[f"{variable} missing"] for variable in task_variables})
    return Flow(registered=rows.n, eligible=eligible, complete=int(left.sum()), excluded=excluded)


def _refuse_missing(counts: dict[str, int]) -> None:
    for variable, count in counts.items():
        if count:
            raise SiteRefusal(
                f"{variable}: {count} value{'s are' if count > 1 else ' is'} missing, and the project refuses missing values.",
                code="missing-values",
                variable=variable,
            )
