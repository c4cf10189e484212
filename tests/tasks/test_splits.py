"""However rows are dealt to sites, the answer is the same: any number of sites of any size, in any order."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from starfish.tasks.api import Rows, TaskReport
from tests.tasks.federated import build, by_term, dealt, federated, rows, study

VARIABLES = study(
    y={"type": "binary", "role": "outcome"},
    z={"type": "number"},
    a={"type": "number"},
    b={"type": "number"},
    g={"type": "category", "levels": ["u", "v"]},
    c={"type": "id", "role": "cluster"},
    w={"type": "number", "role": "weight"},
)
N = 160
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "logistic": ("LogisticRegressionStats", {"formula": "y ~ scale(a) + b + g"}),
    "logistic, HC3, sampling": ("LogisticRegressionStats", {"formula": "y ~ a + g", "se": "HC3", "weights": "sampling"}),
    "logistic, Firth": ("LogisticRegressionStats", {"formula": "y ~ a + g", "penalty": "firth"}),
    "metrics": ("LogisticRegression", {"formula": "y ~ a + b + g"}),
    "linear": ("LinearRegression", {"formula": "z ~ a * b + g"}),
    "linear, HC2, precision": ("LinearRegression", {"formula": "z ~ a + b + g", "se": "HC2", "weights": "precision"}),
    "linear through 0": ("LinearRegression", {"formula": "z ~ a + b - 1"}),
}


def people() -> Rows:
    random = np.random.default_rng(12)
    a, b, g = random.normal(3e5, 2e3, N), random.normal(0, 1e-3, N), random.integers(0, 2, N)
    y = (random.random(N) < special.expit((a - 3e5) / 2e3 + 0.5 * g)).astype(float)
    z = 5 + (a - 3e5) / 1e3 + 300 * b + random.normal(0, 1, N)
    return rows(y=y, z=z, a=a, b=b, g=g, w=random.uniform(0.5, 3, N), c=np.array([str(i) for i in range(N)], dtype=object))


def answer(name: str, sizes: list[int], seed: int | None) -> TaskReport:
    task, config = TASKS[name]
    return federated(build(task, VARIABLES, **config), dealt(people(), sizes, seed=seed))[0]


@pytest.mark.parametrize("name", TASKS)
def test_no_deal_changes_the_answer(name: str) -> None:
    one = answer(name, [N], None)

    @settings(max_examples=8, deadline=None)
    @given(cuts=st.sets(st.integers(1, N - 1), max_size=25), seed=st.integers(0, 1000))
    def same(cuts: set[int], seed: int) -> None:
        edges = [0, *sorted(cuts), N]
        other = answer(name, [high - low for low, high in pairwise(edges)], seed)
        for term, row in by_term(one).items():
            error = row["std_error"]
            assert abs(by_term(other)[term]["estimate"] - row["estimate"]) <= 1e-9 * max(abs(row["estimate"]), error), term
            assert by_term(other)[term]["std_error"] == pytest.approx(error, rel=1e-9), term
        assert other.fit["log_likelihood"] == pytest.approx(one.fit["log_likelihood"], rel=1e-9)
        for key, value in one.tables.get("metrics", {}).items():
            if isinstance(value, float):
                assert other.tables["metrics"][key] == pytest.approx(value, rel=1e-9, abs=1e-9), key

    same()
