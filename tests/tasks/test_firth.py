"""Firth's penalty: finite where the likelihood has no maximum, and exact."""

import numpy as np
import pytest
from scipy import special

from starfish.tasks.api import Rows
from tests.tasks.federated import build, by_term, dealt, even, federated, rows, study

VARIABLES = study(
    y={"type": "binary", "role": "outcome"}, a={"type": "number"}, b={"type": "binary"}, w={"type": "number", "role": "weight"}
)
N = 90


def people(seed: int = 4) -> Rows:
    random = np.random.default_rng(seed)
    a, b = random.normal(50, 10, N), (random.random(N) < 0.3).astype(float)
    y = (random.random(N) < special.expit(0.1 * (a - 50))).astype(float)
    return rows(y=np.where(b == 1, 1.0, y), a=a, b=b, w=random.integers(1, 4, N).astype(float))


def modified_score(x: np.ndarray, y: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Firth's score and the information, as the paper writes them."""
    p = special.expit(x @ beta)
    information = x.T @ (x * (p * (1 - p))[:, None])
    hat = np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x) * p * (1 - p)
    return x.T @ (y - p + hat * (0.5 - p)), information


@pytest.mark.parametrize("sizes", [[N], [1, 89], even(N, 7)], ids=["1", "one row", "7"])
def test_a_separating_column_has_its_estimate(sizes: list[int]) -> None:
    """No event-free row has b = 1: without the penalty there is none."""
    pooled = people()
    report, rounds = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b", penalty="firth"), dealt(pooled, sizes))
    assert report.converged
    assert rounds <= 20
    found = by_term(report)
    beta = np.array([found[term]["estimate"] for term in ("(Intercept)", "a", "b")])
    x = np.column_stack([np.ones(N), pooled.columns["a"], pooled.columns["b"]])
    score, information = modified_score(x, pooled.columns["y"], beta)
    assert score @ np.linalg.solve(information, score) <= 1e-12
    for term, error in zip(("(Intercept)", "a", "b"), np.sqrt(np.diag(np.linalg.inv(information))), strict=True):
        assert found[term]["std_error"] == pytest.approx(error, rel=1e-6)
    p, y = special.expit(x @ beta), pooled.columns["y"]
    ll = float(np.log(np.where(y == 1, p, 1 - p)).sum())
    assert report.fit["log_likelihood"] == pytest.approx(ll, rel=1e-8)
    assert report.fit["penalised_log_likelihood"] == pytest.approx(ll + np.linalg.slogdet(information)[1] / 2, rel=1e-8)
    assert report.fit["aic"] is None


@pytest.mark.parametrize(("n", "most"), [(6, 18), (40, 28), (1000, 48)])
def test_a_column_that_orders_all_outcomes_has_its_estimate_within_the_default_rounds(n: int, most: int) -> None:
    """Complete separation: the maximum is far out, and Newton's steps without the leverages' change would take twice the rounds."""
    a = np.arange(float(n))
    y = (a >= n // 2).astype(float)
    report, rounds = federated(
        build("LogisticRegressionStats", VARIABLES, formula="y ~ a", penalty="firth"), dealt(rows(y=y, a=a), [n // 2, n - n // 2])
    )
    assert report.converged
    assert rounds <= most
    x = np.column_stack([np.ones(n), (a - a.mean()) / a.std()])
    slope = by_term(report)["a"]["estimate"]
    beta = np.array([by_term(report)["(Intercept)"]["estimate"] + slope * a.mean(), slope * a.std()])
    score, information = modified_score(x, y, beta)
    assert score @ np.linalg.solve(information, score) <= 1e-12


def test_a_two_by_two_table_gets_half_a_case_in_each_cell() -> None:
    """Of a saturated model Firth's penalty is known in closed form."""
    b = np.repeat([0.0, 1.0], [30, 12])
    y = np.concatenate([np.repeat([0.0, 1.0], [21, 9]), np.ones(12)])
    pooled = rows(y=y, a=np.zeros(42), b=b)
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ b", penalty="firth"), dealt(pooled, [5, 30, 7], seed=2))
    assert by_term(report)["(Intercept)"]["estimate"] == pytest.approx(np.log(9.5 / 21.5), rel=1e-6)
    assert by_term(report)["b"]["estimate"] == pytest.approx(np.log(12.5 / 0.5) - np.log(9.5 / 21.5), rel=1e-6)


def test_frequency_weights_are_so_many_rows() -> None:
    pooled = people()
    repeated = Rows(
        n=int(pooled.columns["w"].sum()), columns={k: np.repeat(v, pooled.columns["w"].astype(int)) for k, v in pooled.columns.items()}
    )
    weighted, _ = federated(
        build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b", penalty="firth", weights="frequency"), dealt(pooled, [40, 50])
    )
    plain, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b", penalty="firth"), dealt(repeated, [repeated.n]))
    for term, row in by_term(plain).items():
        assert by_term(weighted)[term]["estimate"] == pytest.approx(row["estimate"], rel=1e-6)
        assert by_term(weighted)[term]["std_error"] == pytest.approx(row["std_error"], rel=1e-6)


def test_a_site_without_events_has_its_term() -> None:
    pooled = people()
    none = Rows(n=N, columns={**pooled.columns, "y": np.where(np.arange(N) < 20, 0.0, pooled.columns["y"])})
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a", site="fixed", penalty="firth")
    report, _ = federated(task, dealt(none, [20, 30, 40]))
    place = np.repeat([0, 1, 2], [20, 30, 40])
    x = np.column_stack([np.ones(N), none.columns["a"], place == 1, place == 2]).astype(float)
    found = by_term(report)
    beta = np.array([found[term]["estimate"] for term in ("(Intercept)", "a", "site[site 2]", "site[site 3]")])
    score, information = modified_score(x, none.columns["y"], beta)
    assert score @ np.linalg.solve(information, score) <= 1e-12
