"""Logistic and linear regression: the federated answer is the pooled answer, whatever the split."""

from collections.abc import Mapping
from typing import Any

import mpmath
import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, special, stats

from starfish.tasks.api import Rows, TaskReport
from starfish.tasks.errors import BadUpdate, InvalidTask
from starfish.tasks.payload import Payload
from tests.tasks.federated import build, by_term, dealt, even, failure, federated, rows, study

VARIABLES = study(
    y={"type": "binary", "role": "outcome"},
    z={"type": "number"},
    a={"type": "number"},
    b={"type": "number"},
    w={"type": "number", "role": "weight"},
    g={"type": "category", "levels": ["low", "mid", "high"], "reference": "mid"},
    c={"type": "id", "role": "cluster"},
)
N = 600
FORMULA = "a * b + g"
SPLITS = {
    "2 equal": even(N, 2),
    "3, one of one row": [1, 299, 300],
    "7": even(N, 7),
    "20": even(N, 20),
    "20, very unequal": [1, 1, 2, 3, 5, *even(N - 12, 15)],
    "50": even(N, 50),
}


def patients(seed: int = 5) -> Rows:
    """Badly scaled on purpose: a has a mean of a million times its effect's size, b is tiny."""
    random = np.random.default_rng(seed)
    a, b = random.normal(1e6, 1e3, N), random.normal(0, 1e-4, N)
    g = random.integers(0, 3, N)
    eta = -0.4 + (a - 1e6) * 8e-4 + b * 5e3 + 0.6 * (g == 2)
    y = (random.random(N) < special.expit(eta)).astype(float)
    z = 3 + (a - 1e6) * 2e-3 - 2e3 * b + (g == 0) + random.normal(0, 1.5, N)
    c = np.array([f"cluster {i // 12}" for i in range(N)], dtype=object)
    return rows(y=y, z=z, a=a, b=b, g=g, w=random.integers(1, 5, N).astype(float), c=c)


def design(pooled: Rows) -> np.ndarray:
    a, b, g = (pooled.columns[name] for name in "abg")
    return np.column_stack([np.ones(pooled.n), a, b, g == 0, g == 2, a * b]).astype(float)


TERMS = ["(Intercept)", "a", "b", "g[low]", "g[high]", "a:b"]


def oracle(pooled: Rows, x: np.ndarray, *, y: str = "y", **options: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """statsmodels' logistic fit, on columns that it can bear: standardised, then mapped back."""
    mean, sd = x[:, 1:].mean(axis=0), x[:, 1:].std(axis=0)
    z = np.column_stack([np.ones(len(x)), (x[:, 1:] - mean) / sd])
    fit = sm.GLM(pooled.columns[y], z, family=sm.families.Binomial(), **options).fit(tol=1e-15, maxiter=200)
    back = np.diag(np.concatenate([[1.0], 1.0 / sd]))
    back[0, 1:] = -mean / sd
    covariance = back @ fit.cov_params() @ back.T
    return back @ fit.params, np.sqrt(np.diag(covariance)), fit.llf


def close(report: TaskReport, beta: np.ndarray, error: np.ndarray, *, terms: list[str] = TERMS) -> None:
    """Within the tolerance that the library promises."""
    found = by_term(report)
    assert set(found) == set(terms)
    for term, expected, se in zip(terms, beta, error, strict=True):
        assert abs(found[term]["estimate"] - expected) <= 1e-6 * max(abs(expected), se), term
        assert found[term]["std_error"] == pytest.approx(se, rel=1e-6), term


@pytest.mark.parametrize("sizes", SPLITS.values(), ids=SPLITS)
def test_logistic_is_the_pooled_fit(sizes: list[int]) -> None:
    pooled = patients()
    report, rounds = federated(build("LogisticRegressionStats", VARIABLES, formula=f"y ~ {FORMULA}"), dealt(pooled, sizes))
    beta, error, ll = oracle(pooled, design(pooled))
    close(report, beta, error)
    assert report.converged
    assert rounds <= 9
    assert report.fit["log_likelihood"] == pytest.approx(ll, rel=1e-8)
    assert report.fit["decrement"] <= 1e-12
    assert report.fit["aic"] == pytest.approx(-2 * ll + 12, rel=1e-8)


def test_the_pooled_score_vanishes_at_our_estimate() -> None:
    """By an independent likelihood, in 50 digits."""
    pooled = patients()
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula=f"y ~ {FORMULA}"), dealt(pooled, even(N, 7)))
    found = by_term(report)
    with mpmath.workdps(50):
        beta = mpmath.matrix([mpmath.mpf(found[term]["estimate"]) for term in TERMS])
        score, information = mpmath.matrix(6, 1), mpmath.matrix(6, 6)
        for x, y in zip(design(pooled).tolist(), pooled.columns["y"].tolist(), strict=True):
            row = mpmath.matrix(x)
            p = 1 / (1 + mpmath.exp(-(row.T * beta)[0]))
            score += row * (y - p)
            information += row * row.T * (p * (1 - p))
        decrement = (score.T * mpmath.lu_solve(information, score))[0]
    # Our estimate has 53 bits: with a mean of 1e6 and a product of two columns this alone costs about 1e-13.
    assert decrement <= 1e-12


def test_dealing_rows_otherwise_changes_nothing() -> None:
    pooled = patients()
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b + g")
    reports = [federated(task, dealt(pooled, sizes, seed=seed))[0] for seed, sizes in enumerate([even(N, 2), even(N, 20), [1, 599]])]
    for other in reports[1:]:
        for term, row in by_term(other).items():
            assert row["estimate"] == pytest.approx(by_term(reports[0])[term]["estimate"], rel=1e-9)
            assert row["std_error"] == pytest.approx(by_term(reports[0])[term]["std_error"], rel=1e-9)


def test_the_same_rows_give_the_same_bytes() -> None:
    sites = dealt(patients(), even(N, 3))
    task = build("LogisticRegression", VARIABLES, formula="y ~ a + b")
    model = None
    for _ in range(3):
        once, again = ([(uid, task.train(part, model, site=uid)) for uid, part in sites.items()] for _ in range(2))
        assert [update.to_bytes() for _, update in once] == [update.to_bytes() for _, update in again]
        following = task.aggregate(once, model).model
        assert following.to_bytes() == task.aggregate(again, model).model.to_bytes()
        model = following


def test_a_term_for_each_site() -> None:
    pooled, sizes = patients(), [150, 200, 250]
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + g", site="fixed")
    sites = dealt(pooled, sizes)
    report, _ = federated(task, sites, names={"0000": "Zeta", "0001": "Alpha", "0002": "Mu"})
    place = np.repeat([0, 1, 2], sizes)
    x = np.column_stack([design(pooled)[:, [0, 1, 3, 4]], place == 2, place == 0]).astype(float)
    beta, error, ll = oracle(pooled, x)
    close(report, beta, error, terms=["(Intercept)", "a", "g[low]", "g[high]", "site[Mu]", "site[Zeta]"])
    assert report.fit["log_likelihood"] == pytest.approx(ll, rel=1e-8)
    anonymous, _ = federated(task, sites)
    assert {"site[site 2]", "site[site 3]"} <= set(by_term(anonymous))


def test_the_test_of_homogeneity_finds_a_site_that_differs() -> None:
    pooled = patients()
    different = Rows(n=N, columns={**pooled.columns, "y": np.where(np.arange(N) < 200, 1.0 - pooled.columns["y"], pooled.columns["y"])})
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b")
    same, _ = federated(task, dealt(pooled, even(N, 3)))
    other, _ = federated(task, dealt(different, even(N, 3)))
    assert same.tables["homogeneity"]["df"] == 6
    assert other.tables["homogeneity"]["p_value"] < 1e-6
    assert any("site: fixed" in warning for warning in other.warnings)


@pytest.mark.parametrize("se", ["HC0", "HC1", "HC2", "HC3", "cluster"])
def test_robust_errors_of_linear_regression(se: str) -> None:
    pooled = patients()
    formula = "z ~ a + b + g" + (" + cluster(c)" if se == "cluster" else "")
    sites = dealt(pooled, [120, 240, 240])
    report, _ = federated(build("LinearRegression", VARIABLES, formula=formula, se=se), sites)
    x = design(pooled)[:, :5]
    x[:, 1] -= 1e6  # statsmodels inverts X'X as it is; the slopes and their errors don't change
    groups = np.unique(pooled.columns["c"], return_inverse=True)[1]
    options = {"cov_type": se} if se != "cluster" else {"cov_type": "cluster", "cov_kwds": {"groups": groups}}
    fit = sm.OLS(pooled.columns["z"], x).fit(**options)
    found = by_term(report)
    for place, term in enumerate(TERMS[:5]):
        if place:
            assert found[term]["std_error"] == pytest.approx(fit.bse[place], rel=1e-6), term


@pytest.mark.parametrize("se", ["HC0", "HC1", "cluster"])
def test_robust_errors_of_logistic_regression(se: str) -> None:
    pooled = patients()
    formula = "y ~ b + g" + (" + cluster(c)" if se == "cluster" else "")
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula=formula, se=se), dealt(pooled, [120, 240, 240]))
    x = design(pooled)[:, [0, 2, 3, 4]]
    groups = np.unique(pooled.columns["c"], return_inverse=True)[1]
    options = {"cov_type": se} if se != "cluster" else {"cov_type": "cluster", "cov_kwds": {"groups": groups}}
    fit = sm.GLM(pooled.columns["y"], x, family=sm.families.Binomial()).fit(tol=1e-15, **options)
    n, p = x.shape
    factor = np.sqrt(n / (n - p)) if se == "HC1" and np.isclose(fit.bse[0], _hc0(pooled, x)[0]) else 1.0
    for place, term in enumerate(["(Intercept)", "b", "g[low]", "g[high]"]):
        assert by_term(report)[term]["std_error"] == pytest.approx(fit.bse[place] * factor, rel=1e-6), term


def _hc0(pooled: Rows, x: np.ndarray) -> np.ndarray:
    fit = sm.GLM(pooled.columns["y"], x, family=sm.families.Binomial()).fit(tol=1e-15, cov_type="HC0")
    return np.asarray(fit.bse)


@pytest.mark.parametrize("sizes", SPLITS.values(), ids=SPLITS)
def test_linear_is_the_pooled_fit_in_two_rounds(sizes: list[int]) -> None:
    pooled = patients()
    report, rounds = federated(build("LinearRegression", VARIABLES, formula=f"z ~ {FORMULA}"), dealt(pooled, sizes))
    x, z = design(pooled), pooled.columns["z"]
    mean, sd = x[:, 1:].mean(axis=0), x[:, 1:].std(axis=0)
    back = np.diag(np.concatenate([[1.0], 1.0 / sd]))
    back[0, 1:] = -mean / sd
    fit = sm.OLS(z, np.column_stack([np.ones(N), (x[:, 1:] - mean) / sd])).fit()
    close(report, back @ fit.params, np.sqrt(np.diag(back @ fit.cov_params() @ back.T)))
    assert rounds == 2
    assert report.fit["log_likelihood"] == pytest.approx(fit.llf, rel=1e-8)
    assert report.fit["r_squared"] == pytest.approx(fit.rsquared, rel=1e-8)
    assert report.fit["adjusted_r_squared"] == pytest.approx(fit.rsquared_adj, rel=1e-8)
    assert report.fit["f_test"]["statistic"] == pytest.approx(fit.fvalue, rel=1e-7)
    assert report.fit["sigma"] == pytest.approx(np.sqrt(fit.scale), rel=1e-8)
    slope = by_term(report)["b"]
    assert slope["p_value"] == pytest.approx(2 * stats.t.sf(abs(slope["statistic"]), N - 6), rel=1e-9)
    low, high = stats.t.interval(0.95, N - 6, slope["estimate"], slope["std_error"])
    assert (slope["ci_low"], slope["ci_high"]) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))
    assert report.fit["aic"] == pytest.approx(fit.aic + 2, rel=1e-8)  # the variance counts, as in R


def test_linear_with_a_term_for_each_site_and_without_an_intercept() -> None:
    pooled, sizes = patients(), [150, 200, 250]
    report, _ = federated(build("LinearRegression", VARIABLES, formula="z ~ b + g", site="fixed"), dealt(pooled, sizes))
    place = np.repeat([0, 1, 2], sizes)
    x = np.column_stack([design(pooled)[:, [0, 2, 3, 4]], place == 1, place == 2]).astype(float)
    fit = sm.OLS(pooled.columns["z"], x).fit()
    close(report, fit.params, fit.bse, terms=["(Intercept)", "b", "g[low]", "g[high]", "site[site 2]", "site[site 3]"])
    through, _ = federated(build("LinearRegression", VARIABLES, formula="z ~ b + g - 1"), dealt(pooled, sizes))
    g = pooled.columns["g"]
    fit = sm.OLS(pooled.columns["z"], np.column_stack([pooled.columns["b"], g == 0, g == 1, g == 2]).astype(float)).fit()
    found = by_term(through)
    assert found["b"]["estimate"] == pytest.approx(fit.params[0], rel=1e-6)
    assert found["g[high]"]["std_error"] == pytest.approx(fit.bse[3], rel=1e-6)


def test_weights() -> None:
    pooled = patients()
    sites, w = dealt(pooled, [100, 500]), pooled.columns["w"]
    x = design(pooled)[:, [0, 2, 3, 4]]
    terms = ["(Intercept)", "b", "g[low]", "g[high]"]
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ b + g", weights="frequency"), sites)
    repeated = np.repeat(np.arange(N), w.astype(int))
    fit = sm.GLM(pooled.columns["y"][repeated], x[repeated], family=sm.families.Binomial()).fit(tol=1e-15)
    close(report, fit.params, fit.bse, terms=terms)
    assert report.fit["n"] == len(repeated)
    report, _ = federated(build("LinearRegression", VARIABLES, formula="z ~ b + g", weights="precision"), sites)
    fit = sm.WLS(pooled.columns["z"], x, weights=w).fit()
    close(report, fit.params, fit.bse, terms=terms)
    assert report.fit["log_likelihood"] == pytest.approx(fit.llf, rel=1e-8)


def test_offset_and_pooled_scaling() -> None:
    pooled = patients()
    sites = dealt(pooled, [10, 290, 300])
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ scale(a) + offset(b)"), sites)
    scaled = (pooled.columns["a"] - pooled.columns["a"].mean()) / pooled.columns["a"].std(ddof=1)
    x = np.column_stack([np.ones(N), scaled])
    fit = sm.GLM(pooled.columns["y"], x, family=sm.families.Binomial(), offset=pooled.columns["b"]).fit(tol=1e-15)
    close(report, fit.params, fit.bse, terms=["(Intercept)", "scale(a)"])


def test_metrics_are_those_of_the_pooled_scores() -> None:
    pooled = patients()
    report, _ = federated(build("LogisticRegression", VARIABLES, formula="y ~ a + b + g"), dealt(pooled, even(N, 4)))
    metrics = report.tables["metrics"]
    x = design(pooled)[:, :5]
    beta, _, ll = oracle(pooled, x)
    p, y = special.expit(x @ beta), pooled.columns["y"]
    ranks = stats.rankdata(p)
    n1 = y.sum()
    auc = (ranks[y == 1].sum() - n1 * (n1 + 1) / 2) / (n1 * (N - n1))
    assert abs(metrics["auc"] - auc) <= metrics["auc_bound"] < 0.01
    assert metrics["brier"] == pytest.approx(((y - p) ** 2).mean(), rel=1e-6)
    assert metrics["log_loss"] == pytest.approx(-ll / N, rel=1e-8)
    assert metrics["calibration_slope"] == pytest.approx(1, abs=1e-6)
    assert metrics["label"] == "apparent"


@pytest.mark.parametrize("spread", [3.0, 40.0])
def test_predictions_that_are_far_off_have_their_calibration_line(spread: float) -> None:
    """An offset that has nothing to do with the outcome: the slope is far from 1."""
    random = np.random.default_rng(7)
    x, y = random.normal(size=N), (random.random(N) < 0.45).astype(float)
    offset = random.normal(0, spread, N) + x
    task = build("LogisticRegression", VARIABLES, formula="y ~ a + offset(b)")
    report, _ = federated(task, dealt(rows(y=y, a=x, b=offset), even(N, 4)))
    found, metrics = by_term(report), report.tables["metrics"]
    eta = found["(Intercept)"]["estimate"] + found["a"]["estimate"] * x + offset
    line = sm.GLM(y, sm.add_constant(eta), family=sm.families.Binomial()).fit(tol=1e-14)
    assert (metrics["calibration_intercept"], metrics["calibration_slope"]) == pytest.approx(tuple(line.params), abs=1e-6)


def test_rows_held_out_are_not_fitted() -> None:
    pooled = patients()
    report, _ = federated(build("LogisticRegression", VARIABLES, formula="y ~ a", test_fraction=0.25, seed=3), dealt(pooled, [1, 99, 500]))
    metrics = report.tables["metrics"]
    assert metrics["label"] == "held-out"
    assert metrics["n_train"] + metrics["n_test"] == N
    assert abs(metrics["n_test"] - N / 4) <= 4
    assert report.fit["n"] == metrics["n_train"] == metrics["num_examples"]


def test_rows_with_an_id_are_held_out_wherever_they_lie() -> None:
    known = study(**{name: variable.model_dump(exclude_defaults=True) for name, variable in VARIABLES.variables.items()}, i={"type": "id"})
    pooled = Rows(n=N, columns={**patients().columns, "i": np.array([f"patient {i}" for i in range(N)], dtype=object)})
    task = build("LogisticRegression", known, formula="y ~ a + g", test_fraction=0.3)
    assert "i" in task.variables
    one, _ = federated(task, dealt(pooled, [N]))
    other, _ = federated(task, dealt(pooled, even(N, 7), seed=4))
    assert other.tables["metrics"]["n_test"] == one.tables["metrics"]["n_test"]
    assert 130 < one.tables["metrics"]["n_test"] < 230
    assert other.tables["metrics"]["auc"] == pytest.approx(one.tables["metrics"]["auc"], rel=1e-9)
    for term, row in by_term(one).items():
        assert by_term(other)[term]["estimate"] == pytest.approx(row["estimate"], rel=1e-9)


def test_a_site_without_events_has_no_term_of_its_own() -> None:
    pooled = patients()
    none = Rows(n=N, columns={**pooled.columns, "y": np.where(np.arange(N) < 100, 0.0, pooled.columns["y"])})
    error = failure(build("LogisticRegressionStats", VARIABLES, formula="y ~ a", site="fixed"), dealt(none, [100, 500]))
    assert (error.code, error.variable) == ("separation", "site 1")
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ a"), dealt(none, [100, 500]))
    assert report.converged


def test_a_task_that_ran_out_of_rounds_says_so() -> None:
    sites = dealt(patients(), even(N, 3))
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b", total_round=3, se="HC0"), sites)
    assert not report.converged
    assert "total_round" in report.warnings[0]
    assert report.fit["se_type"] == "model"
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b", total_round=1), sites)
    assert not report.converged
    assert not report.estimates


def separated(**changes: Any) -> Rows:
    columns = dict(patients().columns) | changes
    return Rows(n=N, columns=columns)


FAILURES: Mapping[str, tuple[str, Rows, str, str]] = {
    "complete separation": ("y ~ b", separated(b=patients().columns["y"] * 2.0 - 1.0), "separation", "b"),
    "quasi-separation by a level": (
        "y ~ g + a",
        separated(y=np.where(patients().columns["g"] == 2, 1.0, patients().columns["y"])),
        "separation",
        "g[high]",
    ),
    "a constant column": ("y ~ a + b", separated(b=np.full(N, 0.1)), "constant", "b"),
    "an empty level": ("y ~ g", separated(g=np.minimum(patients().columns["g"], 1)), "empty-level", "g"),
    "no event": ("y ~ a", separated(y=np.zeros(N)), "no-events", "y"),
    "only events": ("y ~ a", separated(y=np.ones(N)), "no-events", "y"),
    "collinear": ("y ~ a + b", separated(b=3.0 * patients().columns["a"] - 7.0), "collinear", "b"),
    "fewer rows than terms": ("z ~ a * b * g", separated().take(np.arange(N) < 9), "too-few-rows", ""),
    "a perfect line": ("z ~ a", separated(z=2.0 * patients().columns["a"]), "perfect-fit", "z"),
    "a constant outcome": ("z ~ a", separated(z=np.full(N, 4.2)), "constant", "z"),
}


@pytest.mark.parametrize(("formula", "pooled", "code", "term"), FAILURES.values(), ids=FAILURES)
def test_a_question_without_an_answer_is_named(formula: str, pooled: Rows, code: str, term: str) -> None:
    name = "LinearRegression" if formula.startswith("z") else "LogisticRegressionStats"
    error = failure(
        build(name, VARIABLES, formula=formula),
        dealt(pooled, [pooled.n // 6, pooled.n // 3, pooled.n - pooled.n // 6 - pooled.n // 3], seed=1),
    )
    assert (error.code, error.variable or "") == (code, term)
    assert error.public.endswith(".")


def test_a_site_that_is_separated_by_itself_is_no_separation() -> None:
    pooled = patients()
    order = np.argsort(pooled.columns["y"], kind="stable")
    sorted_rows = Rows(n=N, columns={name: column[order] for name, column in pooled.columns.items()})
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula=f"y ~ {FORMULA}"), dealt(sorted_rows, even(N, 6)))
    beta, error, _ = oracle(pooled, design(pooled))
    close(report, beta, error)


def test_nearly_separated_data_have_their_estimate() -> None:
    """A finite maximum far out is found, not called separation."""
    y = np.concatenate([np.zeros(300), np.ones(300)])
    a = np.concatenate([np.arange(300.0), 298.0 + np.arange(300)])
    pooled = separated(y=y, a=a)
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ a", total_round=60), dealt(pooled, even(N, 3)))
    assert report.converged


@pytest.mark.parametrize(
    "change",
    [
        {"information": np.full((3, 3), np.nan)},
        {"information": -np.eye(3)},
        {"information": np.array([[1.0, 5, 0], [0, 1, 0], [0, 0, 1]])},
        {"score": np.zeros(4)},
        {"score": np.zeros(3, dtype=np.float32)},
        {"ll": np.array(np.inf)},
        {"n": np.array(299.0)},
    ],
    ids=["not finite", "negative", "not symmetric", "shape", "type", "infinite", "other rows"],
)
def test_an_update_that_does_not_count_names_its_site(change: dict[str, np.ndarray]) -> None:
    sites = dealt(patients(), [300, 300])
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b")
    model = task.aggregate([(uid, task.train(part, None, site=uid)) for uid, part in sites.items()], None).model
    updates = {uid: task.train(part, model, site=uid) for uid, part in sites.items()}
    updates["0001"] = Payload(meta=updates["0001"].meta, arrays={**updates["0001"].arrays, **change})
    with pytest.raises(BadUpdate) as caught:
        task.aggregate(updates.items(), model)
    assert caught.value.site == "0001"


@pytest.mark.parametrize(
    ("name", "config", "says"),
    [
        ("LogisticRegressionStats", {"formula": "z ~ a"}, "type binary"),
        ("LinearRegression", {"formula": "y ~ a"}, "type number or integer"),
        ("LogisticRegressionStats", {"formula": "y ~ a", "site": "random"}, "MixedEffectsLogisticRegression"),
        ("LogisticRegressionStats", {"formula": "y ~ a + cluster(c) + cluster(g)", "se": "cluster"}, "cluster"),
        ("LogisticRegressionStats", {"formula": "y ~ a + cluster(c)"}, "se: cluster"),
        ("LogisticRegressionStats", {"formula": "y ~ a", "weights": "precision"}, "residual variance"),
        ("LogisticRegressionStats", {"formula": "y ~ a", "ci": "profile"}, "not here yet"),
        ("LogisticRegressionStats", {"formula": "y ~ a", "site": "stratified"}, "Cox"),
        ("LogisticRegressionStats", {"formula": "y ~ a", "alpha": 2}, "'alpha'"),
        ("LogisticRegressionStats", {"formula": "y ~ a", "fromula": 1}, "formula"),
        ("LogisticRegresion", {}, "LogisticRegression"),
        ("LogisticRegressionStats", {"formula": "y ~ __import__('os')"}, "formula"),
    ],
)
def test_a_wrong_question_is_refused_with_a_sentence(name: str, config: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        build(name, VARIABLES, **config)
    assert says.lower() in caught.value.public.lower()


def test_the_default_formula_takes_the_roles() -> None:
    variables = study(y={"type": "binary", "role": "outcome"}, a={"type": "number", "role": "exposure"}, b={"type": "number"})
    task = build("LogisticRegressionStats", variables)
    assert task.variables == ("y", "a")


def firth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Firth's estimate on the pooled rows: the root of his modified score (Heinze and Schemper 2002, equation 2).

    Steps by the information alone creep towards it under separation (40 rounds and more); Newton's method on the penalised
    likelihood needs, in a second round at each point with the pooled information I in hand, q = z'I^-1 z, the sums of c' q z / 2,
    of c'' q z z' / 2 and T of c' z x z x z; minus its Hessian is I - sum(c'' q z z') / 2 + tr(I^-1 T_r I^-1 T_s) / 2.
    """

    def modified_score(beta: np.ndarray) -> np.ndarray:
        p = special.expit(x @ beta)
        information = x.T @ (x * (p * (1 - p))[:, None])
        hat = np.einsum("ij,jk,ik->i", x, np.linalg.inv(information), x) * p * (1 - p)
        return np.asarray(x.T @ (y - p + hat * (0.5 - p)))

    found = optimize.root(modified_score, np.zeros(x.shape[1]), method="hybr", tol=1e-13)
    assert np.abs(found.fun).max() < 1e-9
    return np.asarray(found.x)


@pytest.mark.parametrize("outcome", ["separated", "as it is"])
@pytest.mark.parametrize("site", ["none", "fixed"])
def test_firth_has_an_estimate_where_likelihood_has_none(outcome: str, site: str) -> None:
    pooled, sizes = patients(), [1, 199, 400]
    g = pooled.columns["g"]
    y = np.where(g == 2, 1.0, pooled.columns["y"]) if outcome == "separated" else pooled.columns["y"]
    scaled = (pooled.columns["a"] - 1e6) / 1e3
    pooled = separated(y=y, a=scaled)
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + g", penalty="firth", site=site)
    report, rounds = federated(task, dealt(pooled, sizes))
    place = np.repeat([0, 1, 2], sizes)
    extra = [place == 1, place == 2] if site == "fixed" else []
    x = np.column_stack([np.ones(N), scaled, g == 0, g == 2, *extra]).astype(float)
    beta = firth(x, y)
    terms = ["(Intercept)", "a", "g[low]", "g[high]", *(["site[site 2]", "site[site 3]"] if extra else [])]
    p = special.expit(x @ beta)
    information = x.T @ (x * (p * (1 - p))[:, None])
    close(report, beta, np.sqrt(np.diag(np.linalg.inv(information))), terms=terms)
    penalised = np.log(np.where(y == 1, p, 1 - p)).sum() + 0.5 * np.linalg.slogdet(information)[1]
    assert report.fit["penalised_log_likelihood"] == pytest.approx(penalised, rel=1e-8)
    assert report.converged
    assert rounds <= 25
