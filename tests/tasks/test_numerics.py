"""Where floating-point numbers end: large offsets, tiny weights, units far apart, fits that are exact, formulas with pooled means."""

from typing import Any

import numpy as np
import pytest
from scipy import special, stats

from starfish.tasks.errors import SiteRefusal
from tests.tasks.federated import build, by_term, dealt, even, failure, federated, rows, study

VARIABLES = study(
    y={"type": "binary", "role": "outcome"},
    z={"type": "number"},
    a={"type": "number"},
    b={"type": "number"},
    o={"type": "number"},
    w={"type": "number", "role": "weight"},
)
N = 300
random = np.random.default_rng(21)
A, B = random.normal(size=N), random.normal(size=N)
Y = (random.random(N) < special.expit(A - 0.5 * B)).astype(float)
E = random.normal(size=N)


@pytest.mark.parametrize("site", ["none", "fixed"])
@pytest.mark.parametrize("penalty", ["none", "firth"])
@pytest.mark.parametrize("far", [-50.0, 400.0])
def test_an_offset_far_from_0_moves_the_intercept_alone(far: float, penalty: str, site: str) -> None:
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + offset(o)", penalty=penalty, site=site)
    near, _ = federated(task, dealt(rows(y=Y, a=A, o=0.1 * B), even(N, 3)))
    moved, _ = federated(task, dealt(rows(y=Y, a=A, o=0.1 * B + far), even(N, 3)))
    assert moved.converged
    for one, other in zip(near.estimates, moved.estimates, strict=True):
        shift = far if one["term"] == "(Intercept)" else 0.0
        assert other["estimate"] + shift == pytest.approx(one["estimate"], abs=1e-7 * one["std_error"])
        assert other["std_error"] == pytest.approx(one["std_error"], rel=1e-6)


@pytest.mark.parametrize("scale", [1e-19, 1e-5, 1e12])
def test_sampling_weights_have_no_unit(scale: float) -> None:
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + b", weights="sampling")
    weights = random.uniform(1.0, 4.0, N)
    one, _ = federated(task, dealt(rows(y=Y, a=A, b=B, w=weights), even(N, 4)))
    other, _ = federated(task, dealt(rows(y=Y, a=A, b=B, w=weights * scale), even(N, 4)))
    for term, row in by_term(one).items():
        assert by_term(other)[term]["estimate"] == pytest.approx(row["estimate"], abs=1e-6 * row["std_error"])
        assert by_term(other)[term]["std_error"] == pytest.approx(row["std_error"], rel=1e-6)


@pytest.mark.parametrize("weight", [0.0, -1.0, 1e300, 1e-300])
def test_a_weight_that_can_not_be_added_is_refused(weight: float) -> None:
    task = build("LinearRegression", VARIABLES, formula="z ~ a", weights="precision")
    with pytest.raises(SiteRefusal, match="between 1e-20 and 1e20"):
        task.check(rows(z=E, a=A, w=np.full(N, weight)))


@pytest.mark.parametrize("mean", [1e3, 1e9, 1e12])
@pytest.mark.parametrize("site", ["none", "fixed"])
def test_an_outcome_far_from_0_has_the_estimate_of_one_near_it(mean: float, site: str) -> None:
    task = build("LinearRegression", VARIABLES, formula="z ~ a", site=site)
    z = np.round(mean + 20 * A + 50 * E)
    near, _ = federated(task, dealt(rows(z=z - mean, a=A), even(N, 3)))
    far, rounds = federated(task, dealt(rows(z=z, a=A), even(N, 3)))
    assert far.converged
    assert rounds <= 3
    for one, other in zip(near.estimates, far.estimates, strict=True):
        shift = mean if one["term"] == "(Intercept)" else 0.0
        assert other["estimate"] - shift == pytest.approx(one["estimate"], abs=1e-6 * one["std_error"] + 1e-15 * mean)
        assert other["std_error"] == pytest.approx(one["std_error"], rel=1e-6)


@pytest.mark.parametrize(("mean", "slope"), [(1e6, 0.1), (1e9, 0.1), (1e9, 1e3), (0.0, 1e-9)])
def test_a_perfect_line_is_told_from_rounding(mean: float, slope: float) -> None:
    error = failure(
        build("LinearRegression", VARIABLES, formula="z ~ a + b"), dealt(rows(a=A, b=B, z=mean + slope * A - slope * B), even(N, 3))
    )
    assert error.code == "perfect-fit"


def test_sites_that_fit_their_own_rows_exactly_have_no_test_of_homogeneity() -> None:
    report, _ = federated(build("LinearRegression", VARIABLES, formula="z ~ a"), dealt(rows(z=E[:6], a=A[:6]), [2, 2, 2]))
    assert report.converged
    assert report.tables["homogeneity"]["p_value"] is None
    assert not report.warnings


@pytest.mark.parametrize("unit", [1e-90, 1e-8, 1.0, 1e8])
def test_units_far_apart(unit: float) -> None:
    task = build("LinearRegression", VARIABLES, formula="z ~ a * b", se="HC1")
    one, _ = federated(task, dealt(rows(z=A + E, a=A, b=B), even(N, 3)))
    other, _ = federated(task, dealt(rows(z=(A + E) / unit, a=A * unit, b=B / unit), even(N, 3)))
    for row, scaled in zip(one.estimates, other.estimates, strict=True):
        assert scaled["statistic"] == pytest.approx(row["statistic"], rel=1e-6)


@pytest.mark.parametrize("name", ["LinearRegression", "SummaryStatistics"])
@pytest.mark.parametrize("unit", [1e-200, 1e-310, 1e150])
def test_values_whose_squares_are_no_numbers_are_refused(name: str, unit: float) -> None:
    config: dict[str, Any] = {"formula": "z ~ a"} if name == "LinearRegression" else {"variables": ["a"]}
    with pytest.raises(SiteRefusal, match="a: .*(too large|too small)"):
        build(name, VARIABLES, **config).check(rows(z=E, a=A * unit))


@pytest.mark.parametrize("term", ["bs(center(a), bounds=c(-60, 60))", "exp(scale(a))", "center(a):b", "a + offset(log(o))"])
def test_pooled_means_are_not_needed_to_check_rows(term: str) -> None:
    """A value is judged as center() and scale() make it, which no site knows before the first round."""
    pooled = rows(y=Y, a=900.0 + 10 * A, b=B, o=np.exp(B))
    task = build("LogisticRegressionStats", VARIABLES, formula=f"y ~ {term}")
    task.check(pooled)
    report, _ = federated(task, dealt(pooled, even(N, 3)))
    assert report.converged


def test_a_value_that_center_makes_impossible_is_refused_when_it_is_known() -> None:
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ sqrt(center(a))")
    pooled = rows(y=Y, a=900.0 + A)
    task.check(pooled)
    with pytest.raises(SiteRefusal, match=r"sqrt\(center\(a\)\) is no number"):
        federated(task, dealt(pooled, even(N, 3)))


@pytest.mark.parametrize("rounds", range(1, 7))
def test_firth_without_enough_rounds_says_so(rounds: int) -> None:
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a", penalty="firth", total_round=rounds)
    report, _ = federated(task, dealt(rows(y=Y, a=A), even(N, 3)))
    assert not report.converged
    assert "total_round" in report.warnings[0]


@pytest.mark.parametrize(("name", "formula", "config", "lacks"), [
    ("LinearRegression", "z ~ a", {"se": "HC3", "total_round": 2}, "those of the model, not HC3"),
    ("LogisticRegression", "y ~ a", {"total_round": 7}, "metrics are not complete"),
])  # fmt: skip
def test_what_the_last_round_did_not_bring_is_named(name: str, formula: str, config: dict[str, Any], lacks: str) -> None:
    report, rounds = federated(build(name, VARIABLES, formula=formula, **config), dealt(rows(y=Y, z=E, a=A), even(N, 3)))
    assert rounds == config["total_round"]
    assert report.converged
    assert lacks in report.warnings[0]
    assert "HC3" not in report.methods


def test_intervals_of_a_tiny_alpha() -> None:
    report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula="y ~ a", alpha=1e-30), dealt(rows(y=Y, a=A), even(N, 3)))
    row = by_term(report)["a"]
    assert (row["ci_high"] - row["estimate"]) / row["std_error"] == pytest.approx(-stats.norm.ppf(5e-31), rel=1e-12)


def test_powers_far_from_0_are_told_apart_when_centred() -> None:
    years = rows(y=Y, a=2014.0 + random.integers(0, 11, N))
    error = failure(build("LogisticRegressionStats", VARIABLES, formula="y ~ a + I(a^2) + I(a^3)"), dealt(years, even(N, 3)))
    assert error.code == "collinear"
    assert "I(center(x)^2)" in error.public
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ center(a) + I(center(a)^2) + I(center(a)^3)")
    assert federated(task, dealt(years, even(N, 3)))[0].converged
