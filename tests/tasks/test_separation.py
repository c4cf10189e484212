"""Separation is told from a maximum far out, and told when it is there: against linear programming on the pooled rows."""

import numpy as np
import pytest
from scipy import optimize, special

from starfish.tasks.api import Rows
from starfish.tasks.errors import NoEstimate
from tests.tasks.federated import build, dealt, federated, rows, study

VARIABLES = study(
    y={"type": "binary", "role": "outcome"},
    a={"type": "number"},
    b={"type": "number"},
    g={"type": "category", "levels": ["u", "v", "w"]},
)


def people(seed: int) -> Rows:
    """Few or many rows, with weak or very strong effects: about half of these samples are separated."""
    random = np.random.default_rng(seed)
    n, strength = int(random.choice([12, 20, 40, 80, 300])), float(random.choice([1, 3, 10, 100]))
    a, b = random.normal(size=n), random.normal(size=n)
    g = np.concatenate([[0, 1, 2], random.integers(0, 3, n - 3)])
    y = (random.random(n) < special.expit(strength * (a - 0.5 * b))).astype(float)
    y[:2] = 0.0, 1.0
    return rows(y=y, a=a, b=b, g=g)


def separable(pooled: Rows) -> bool:
    """Whether some direction never lowers the likelihood and raises it somewhere (Albert and Anderson 1984)."""
    g = pooled.columns["g"]
    x = np.column_stack([np.ones(pooled.n), pooled.columns["a"], pooled.columns["b"], g == 1, g == 2]).astype(float)
    signed = (2.0 * pooled.columns["y"] - 1.0)[:, None] * x
    found = optimize.linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(pooled.n), bounds=[(-1.0, 1.0)] * 5)
    return bool(-found.fun > 1e-7)


@pytest.mark.parametrize("first", range(0, 60, 12))
def test_separation_is_found_where_it_is_and_nowhere_else(first: int) -> None:
    for seed in range(first, first + 12):
        pooled = people(seed)
        task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b + g")
        try:
            report, _ = federated(task, dealt(pooled, [pooled.n // 3, pooled.n - pooled.n // 3]))
        except NoEstimate as error:
            assert error.code == "separation"
            assert separable(pooled), seed
        else:
            assert report.converged, seed
            assert not separable(pooled), seed
