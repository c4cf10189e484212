"""Whether too few rows make up the sums of a point: looked at by the site itself, whoever has chosen the point.

A steep enough vector leaves one row that is not fitted with certainty, and score and information are that patient's covariates. So
rows that are all but certain, few rows that count, and one that counts most, are refused. docs/explanation/disclosure.md has the
numbers and what remains possible.
"""

from typing import TYPE_CHECKING

import numpy as np

from starfish.tasks.counting import effective_number, largest_share
from starfish.tasks.disclosure import DOMINANT, Limits
from starfish.tasks.errors import SiteRefusal

if TYPE_CHECKING:
    from starfish.tasks.likelihood.local import Local
    from starfish.tasks.likelihood.task import LikelihoodTask, Pointwise

Array = np.ndarray
CERTAIN, MOST = 1e-4, 0.5
"""A probability within so much of 0 or 1 is certain; the part of the rows that may be."""
RANK = 1e-10
"""An eigenvalue below this part of the largest is rounding; what is nearer to dependent the design has shown."""


def judge(limits: Limits, task: "LikelihoodTask", local: "Local", point: "Pointwise") -> None:
    """Whether enough rows count at all. Raises SiteRefusal."""
    counted = effective_number(local.weights * point.curvature)
    if counted < limits.min_rows:
        raise _refusal(
            "effective-rows", "min_rows", "too few rows make up the sums", f"{counted:.1f} rows, and the policy wants {limits.min_rows}"
        )
    if not task.binary:
        return
    certain = float((point.curvature < CERTAIN * (1.0 - CERTAIN)).mean())
    if certain > MOST:
        raise _refusal("saturated", "oracle", "most fitted probabilities are 0 or 1", f"{certain:.0%} of the rows")
    loudest = largest_share((local.weights * point.slope) ** 2)
    if loudest > DOMINANT:
        raise _refusal("loudest-row", "oracle", "one row makes up most of the score", f"{loudest:.0%} of the squared residuals")


def judge_information(limits: Limits, z: Array, weights: Array, information: Array) -> None:
    """Whether one row makes up too much of a column of the information z' W z, or of any combination of columns. Raises SiteRefusal.

    Of many rows their largest numbers say so at once; each row is looked at only where these don't.
    """
    diagonal = np.diag(information)
    values, vectors = np.linalg.eigh(information)
    most = float(max(z.max(), -z.min())) ** 2 * float(weights.max())
    if most <= limits.max_share * diagonal.min() and len(diagonal) * most < DOMINANT * values[0]:
        return
    _judge_share(limits.max_share, z * z * weights[:, None], diagonal)
    kept = values > RANK * values[-1]
    axes = vectors[:, kept] / np.sqrt(values[kept])
    turned = z @ axes
    leverage = float((np.einsum("ij,ij->i", turned, turned) * weights).max())
    if leverage >= DOMINANT:
        raise _refusal("leverage", "oracle", "some combination of columns speaks of one row most", f"its leverage is {leverage:.2f}")


def judge_scores(scores: Array) -> None:
    """Whether one row makes up most of a column's squared scores (n, p), which are heavier in the tails. Raises SiteRefusal."""
    squares = scores * scores
    _judge_share(DOMINANT, squares, squares.sum(axis=0))


def _judge_share(most: float, parts: Array, sums: Array) -> None:
    share = float((parts.max(axis=0) / np.where(sums > 0, sums, np.inf)).max(initial=0.0))
    if share > most:
        raise _refusal("max-share", "max_share", "one row makes up too much of a sum of squares", f"{share:.0%}, and {most:.0%} is allowed")


def _refusal(code: str, rule: str, what: str, found: str) -> SiteRefusal:
    said = f"At the global model's parameters {what} at this site"
    return SiteRefusal(
        f"{said} (rule {rule}): it does not answer. Take terms out of the formula, or go on without this site.",
        code=code,
        private=f"{said}: {found} (rule {rule}).",
    )
