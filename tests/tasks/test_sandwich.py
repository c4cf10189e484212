"""Robust standard errors: every kind, with every kind of weight, against the formulas and statsmodels on pooled rows."""

from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import special, stats

from starfish.tasks.api import Rows
from starfish.tasks.errors import SiteRefusal
from tests.tasks.federated import build, by_term, dealt, failure, federated, rows, study

VARIABLES = study(
    y={"type": "binary", "role": "outcome"},
    z={"type": "number"},
    a={"type": "number"},
    b={"type": "number"},
    w={"type": "number", "role": "weight"},
    c={"type": "id", "role": "cluster"},
)
N = 240
TERMS = ["(Intercept)", "a", "b"]


def people(seed: int = 9) -> Rows:
    random = np.random.default_rng(seed)
    a, b = random.normal(0, 1, N), random.exponential(2.0, N)
    y = (random.random(N) < special.expit(-0.5 + a - 0.2 * b)).astype(float)
    c = np.array([f"ward {i // 8}" for i in range(N)], dtype=object)
    return rows(y=y, z=1 + a - b + random.normal(0, 1 + b, N), a=a, b=b, w=random.integers(1, 4, N).astype(float), c=c)


def x_of(pooled: Rows) -> np.ndarray:
    return np.column_stack([np.ones(pooled.n), pooled.columns["a"], pooled.columns["b"]])


def sandwich(x: np.ndarray, y: np.ndarray, beta: np.ndarray, se: str) -> np.ndarray:
    """Standard errors of a logistic fit as R's sandwich::vcovHC defines them."""
    p = special.expit(x @ beta)
    weight = p * (1 - p)
    bread = np.linalg.inv(x.T @ (x * weight[:, None]))
    hat = np.einsum("ij,jk,ik->i", x, bread, x) * weight
    power = {"HC0": 0.0, "HC1": 0.0, "HC2": 1.0, "HC3": 2.0}[se]
    omega = (y - p) ** 2 / (1 - hat) ** power * (len(x) / (len(x) - x.shape[1]) if se == "HC1" else 1.0)
    return np.sqrt(np.diag(bread @ (x.T @ (x * omega[:, None])) @ bread))


@pytest.mark.parametrize("se", ["HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("sizes", [[N], [1, 2, 237], [80, 80, 80]], ids=["1", "uneven", "3"])
def test_logistic(se: str, sizes: list[int]) -> None:
    pooled = people()
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b", se=se), dealt(pooled, sizes))
    found = by_term(report)
    expected = sandwich(x_of(pooled), pooled.columns["y"], np.array([found[term]["estimate"] for term in TERMS]), se)
    for term, error in zip(TERMS, expected, strict=True):
        assert found[term]["std_error"] == pytest.approx(error, rel=1e-6)
    assert report.fit["se_type"] == se


@pytest.mark.parametrize("name", ["LogisticRegressionStats", "LinearRegression"])
@pytest.mark.parametrize("se", ["HC0", "HC1", "HC2", "HC3", "cluster"])
def test_a_frequency_weight_is_so_many_rows(name: str, se: str) -> None:
    pooled = people()
    times = pooled.columns["w"].astype(int)
    repeated = Rows(n=int(times.sum()), columns={key: np.repeat(column, times) for key, column in pooled.columns.items()})
    config = {"formula": f"{'y' if name.startswith('Logistic') else 'z'} ~ a + b", "se": se}
    weighted, _ = federated(build(name, VARIABLES, **config, weights="frequency"), dealt(pooled, [80, 160]))
    plain, _ = federated(build(name, VARIABLES, **config), dealt(repeated, [repeated.n]))
    for term, row in by_term(plain).items():
        assert by_term(weighted)[term]["std_error"] == pytest.approx(row["std_error"], rel=1e-9), term
        assert by_term(weighted)[term]["p_value"] == pytest.approx(row["p_value"], rel=1e-6), term
    assert weighted.fit["aic"] == pytest.approx(plain.fit["aic"], rel=1e-9)


@pytest.mark.parametrize("se", ["HC0", "HC2", "HC3"])
def test_precision_weights(se: str) -> None:
    pooled = people()
    report, _ = federated(build("LinearRegression", VARIABLES, formula="z ~ a + b", weights="precision", se=se), dealt(pooled, [80, 160]))
    fit = sm.WLS(pooled.columns["z"], x_of(pooled), weights=pooled.columns["w"]).fit(cov_type=se)
    for term, error in zip(TERMS, fit.bse, strict=True):
        assert by_term(report)[term]["std_error"] == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("name", ["LogisticRegressionStats", "LinearRegression"])
def test_sampling_weights_are_those_of_a_survey(name: str) -> None:
    """As R's survey::svyglm for one stratum without clusters: HC0 times n / (n - 1)."""
    pooled = people()
    y = pooled.columns["y" if name.startswith("Logistic") else "z"]
    formula = f"{'y' if name.startswith('Logistic') else 'z'} ~ a + b"
    report, _ = federated(build(name, VARIABLES, formula=formula, weights="sampling"), dealt(pooled, [80, 160]))
    x, w = x_of(pooled), pooled.columns["w"]
    beta = np.array([by_term(report)[term]["estimate"] for term in TERMS])
    mean = special.expit(x @ beta) if name.startswith("Logistic") else x @ beta
    bread = np.linalg.inv(x.T @ (x * (w * (mean * (1 - mean) if name.startswith("Logistic") else 1.0))[:, None]))
    scores = x * (w * (y - mean))[:, None]
    assert scores.sum(axis=0) == pytest.approx(np.zeros(3), abs=1e-7)
    for term, error in zip(TERMS, np.sqrt(np.diag(bread @ scores.T @ scores @ bread) * N / (N - 1)), strict=True):
        assert by_term(report)[term]["std_error"] == pytest.approx(error, rel=1e-6)
    assert report.fit["se_type"] == "sampling"
    assert report.fit["aic"] is None
    assert "homogeneity" not in report.tables


@pytest.mark.parametrize("said", ["z ~ a + b + cluster(c)", "z ~ a + b"], ids=["in the formula", "by role"])
def test_clusters_have_t_tests_on_their_number(said: str) -> None:
    pooled = people()
    report, _ = federated(build("LinearRegression", VARIABLES, formula=said, se="cluster"), dealt(pooled, [80, 160]))
    groups = np.unique(pooled.columns["c"], return_inverse=True)[1]
    fit = sm.OLS(pooled.columns["z"], x_of(pooled)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    for place, term in enumerate(TERMS):
        row = by_term(report)[term]
        assert row["std_error"] == pytest.approx(fit.bse[place], rel=1e-6)
        assert row["p_value"] == pytest.approx(2 * stats.t.sf(abs(row["statistic"]), groups.max()), rel=1e-9)
        assert row["p_value"] == pytest.approx(fit.pvalues[place], rel=1e-4)


def test_one_cluster_has_no_variance_between_clusters() -> None:
    pooled = people()
    one = Rows(n=N, columns={**pooled.columns, "c": np.array(["all"] * N, dtype=object)})
    error = failure(build("LinearRegression", VARIABLES, formula="z ~ a", se="cluster"), {"0": one})
    assert (error.code, error.variable) == ("too-few-clusters", "c")


def test_a_row_that_a_term_fits_by_itself() -> None:
    """Its leverage is 1 and its residual 0: HC3 leaves it out instead of dividing by nothing."""
    pooled = people()
    task = build("LinearRegression", VARIABLES, formula="z ~ a + b", se="HC3", site="fixed")
    report, _ = federated(task, dealt(pooled, [1, 100, 139]))
    errors = [row["std_error"] for row in report.estimates if row["term"] in ("a", "b")]
    alone = sm.OLS(pooled.columns["z"][1:], np.column_stack([x_of(pooled), np.arange(N) > 100])[1:].astype(float)).fit(cov_type="HC3")
    assert errors == pytest.approx(list(alone.bse[1:3]), rel=1e-6)


@pytest.mark.parametrize(("weights", "value", "says"), [("frequency", 1.5, "whole number"), ("sampling", 0.0, "above 0")])
def test_a_weight_that_is_none_is_refused_without_saying_whose(weights: str, value: float, says: str) -> None:
    pooled = people()
    wrong = Rows(n=N, columns={**pooled.columns, "w": np.where(np.arange(N) == 3, value, pooled.columns["w"])})
    with pytest.raises(SiteRefusal, match=says) as caught:
        build("LinearRegression", VARIABLES, formula="z ~ a", weights=weights).check(wrong)
    assert str(value) not in caught.value.public
    assert "1 are not" in caught.value.private
    assert caught.value.variable == "w"


def test_the_test_of_homogeneity_of_a_linear_model_is_chows() -> None:
    pooled, sizes = people(), [80, 70, 90]
    report, _ = federated(build("LinearRegression", VARIABLES, formula="z ~ a + b"), dealt(pooled, sizes))
    x, z, cuts = x_of(pooled), pooled.columns["z"], np.cumsum(sizes)[:-1]
    together = sm.OLS(z, x).fit().ssr
    apart = sum(sm.OLS(part_z, part_x).fit().ssr for part_z, part_x in zip(np.split(z, cuts), np.split(x, cuts), strict=True))
    found: Any = report.tables["homogeneity"]
    assert found["df"] == [6, N - 9]
    assert found["statistic"] == pytest.approx(((together - apart) / 6) / (apart / (N - 9)), rel=1e-8)
    assert found["p_value"] == pytest.approx(stats.f.sf(found["statistic"], 6, N - 9), rel=1e-9)
