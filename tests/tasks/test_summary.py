"""Summary statistics against SciPy on the pooled rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from starfish.tasks.api import Rows
from starfish.tasks.errors import InvalidTask
from tests.tasks.federated import build, dealt, even, federated, rows, study

VARIABLES = study(
    x={"type": "number"},
    k={"type": "integer"},
    arm={"type": "category", "levels": ["a", "b", "c"]},
    ill={"type": "binary"},
    note={"type": "text"},
)
N = 400
SPLITS = [even(N, 2), even(N, 20), [1, 2, 397]]


def people(seed: int = 2) -> Rows:
    random = np.random.default_rng(seed)
    x = random.gamma(2.0, 30.0, N)
    x[random.random(N) < 0.1] = np.nan
    arm = random.integers(-1, 3, N)
    return rows(
        x=x + np.where(arm == 1, 12.0, 0.0),
        k=random.poisson(4, N).astype(float),
        arm=arm,
        ill=np.where(random.random(N) < 0.05, np.nan, (random.random(N) < 0.3).astype(float)),
        note=np.array([""] * N, dtype=object),
    )


@pytest.mark.parametrize("sizes", SPLITS, ids=["2", "20", "uneven"])
def test_moments_counts_and_quantiles(sizes: list[int]) -> None:
    pooled = people()
    report, rounds = federated(build("SummaryStatistics", VARIABLES), dealt(pooled, sizes))
    x, k = (row for row in report.tables["variables"])
    known = pooled.columns["x"][~np.isnan(pooled.columns["x"])]
    assert (x["n"], x["missing"]) == (len(known), N - len(known))
    assert x["mean"] == pytest.approx(known.mean(), rel=1e-12)
    assert x["sd"] == pytest.approx(known.std(ddof=1), rel=1e-12)
    for q in (0.25, 0.5, 0.75):
        exact = np.quantile(known, q, method="inverted_cdf")
        assert x[f"q{100 * q:g}_low"] <= exact <= x[f"q{100 * q:g}_high"]
        assert x[f"q{100 * q:g}_high"] - x[f"q{100 * q:g}_low"] <= 0.001 * known.std() * 1.01
        assert k[f"q{100 * q:g}"] == np.quantile(pooled.columns["k"], q, method="inverted_cdf")
    levels = {(row["variable"], row["level"]): row["count"] for row in report.tables["levels"]}
    assert levels["arm", "b"] == int((pooled.columns["arm"] == 1).sum())
    assert levels["ill", "1"] == int((pooled.columns["ill"] == 1).sum())
    assert "min" not in x
    assert report.converged
    assert rounds <= 4


@pytest.mark.parametrize("sizes", SPLITS, ids=["2", "20", "uneven"])
def test_table_one(sizes: list[int]) -> None:
    pooled = people()
    x, arm, ill = (pooled.columns[name] for name in ("x", "arm", "ill"))
    report, _ = federated(build("SummaryStatistics", VARIABLES, group="arm"), dealt(pooled, sizes))
    tests = {(row["variable"], row["test"]): row for row in report.tables["tests"]}
    groups = [x[(arm == code) & ~np.isnan(x)] for code in range(3)]
    expected = stats.f_oneway(*groups)
    assert tests["x", "ANOVA F"]["statistic"] == pytest.approx(expected.statistic, rel=1e-9)
    assert tests["x", "ANOVA F"]["p_value"] == pytest.approx(expected.pvalue, rel=1e-7)
    table = np.array([[((arm == code) & (ill == value)).sum() for value in (0, 1)] for code in range(3)])
    chi = stats.chi2_contingency(table, correction=False)
    assert tests["ill", "chi-square"]["statistic"] == pytest.approx(chi.statistic, rel=1e-9)
    assert tests["ill", "chi-square"]["p_value"] == pytest.approx(chi.pvalue, rel=1e-9)
    sd = [group.std(ddof=1) for group in groups]
    pairs = [(0, 1), (0, 2), (1, 2)]
    smd = max(abs(groups[i].mean() - groups[j].mean()) / np.sqrt((sd[i] ** 2 + sd[j] ** 2) / 2) for i, j in pairs)
    assert tests["x", "ANOVA F"]["smd"] == pytest.approx(smd, rel=1e-9)


def test_two_groups_have_t_tests() -> None:
    pooled = people()
    x, ill = pooled.columns["x"], pooled.columns["ill"]
    report, _ = federated(build("SummaryStatistics", VARIABLES, group="ill", variables=["x", "k"]), dealt(pooled, even(N, 5)))
    tests = {(row["variable"], row["test"]): row for row in report.tables["tests"]}
    zero, one = (x[(ill == value) & ~np.isnan(x)] for value in (0, 1))
    for name, equal in (("Welch t", False), ("pooled t", True)):
        expected = stats.ttest_ind(zero, one, equal_var=equal)
        assert tests["x", name]["statistic"] == pytest.approx(expected.statistic, rel=1e-9)
        assert tests["x", name]["p_value"] == pytest.approx(expected.pvalue, rel=1e-7)


def test_minimum_and_maximum_only_where_asked_for() -> None:
    pooled = people()
    report, _ = federated(build("SummaryStatistics", VARIABLES, min_max=True, variables=["x"]), dealt(pooled, [1, 399]))
    row = report.tables["variables"][0]
    assert (row["min"], row["max"]) == (np.nanmin(pooled.columns["x"]), np.nanmax(pooled.columns["x"]))


@given(
    values=st.lists(st.floats(-1e9, 1e9).map(lambda value: round(value, 6)), min_size=2, max_size=40),
    q=st.sampled_from([0.01, 0.1, 0.25, 0.5, 0.9, 0.99]),
    cut=st.integers(1, 39),
)
def test_every_bracket_holds_its_quantile(values: list[float], q: float, cut: int) -> None:
    pooled = rows(x=np.array(values))
    first = min(cut, len(values) - 1)
    task = build("SummaryStatistics", study(x={"type": "number"}), quantiles=[q])
    report, _ = federated(task, dealt(pooled, [first, len(values) - first]))
    row = report.tables["variables"][0]
    exact = float(np.quantile(np.array(values), q, method="inverted_cdf"))
    slack = 1e-12 * max(abs(exact), abs(row["mean"]))
    assert row[f"q{100 * q:g}_low"] - slack <= exact <= row[f"q{100 * q:g}_high"] + slack


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"variables": ["y"]}, "no variable 'y'"),
        ({"variables": ["note"]}, "type text"),
        ({"group": "x"}, "type number"),
        ({"quantiles": [1.5]}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_described_is_refused(config: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidTask, match=says):
        build("SummaryStatistics", VARIABLES, **config)


def test_groups_without_a_variance_are_no_equal_groups() -> None:
    """Groups of one value each differ without end, or not at all; rounding decides nothing."""
    group = np.arange(90) % 3
    pooled = rows(
        x=np.array([0.1, 0.7, 0.7])[group],
        k=np.full(90, 0.1),
        sex=(group == 1).astype(np.int64),
        g=group,
    )
    described = study(
        x={"type": "number"},
        k={"type": "number"},
        sex={"type": "category", "levels": ["f", "m"]},
        g={"type": "category", "levels": ["u", "v", "w"]},
    )
    report, _ = federated(build("SummaryStatistics", described, group="g"), dealt(pooled, [7, 40, 43], seed=3))
    tests = {row["variable"]: row for row in report.tables["tests"]}
    assert (tests["x"]["statistic"], tests["x"]["p_value"], tests["x"]["smd"]) == (None, None, None)
    assert (tests["k"]["statistic"], tests["k"]["p_value"], tests["k"]["smd"]) == (None, None, None)
    assert tests["sex"]["smd"] is None
    assert {row["sd"] for row in report.tables["variables"] if row["variable"] == "k"} == {0.0}


def test_the_largest_difference_is_that_of_the_groups_that_have_one() -> None:
    group = np.arange(90) % 3
    x = np.where(group == 2, np.arange(90.0), 5.0)
    described = study(x={"type": "number"}, g={"type": "category", "levels": ["u", "v", "w"]})
    report, _ = federated(build("SummaryStatistics", described, group="g"), dealt(rows(x=x, g=group), [30, 60]))
    third = x[group == 2]
    assert report.tables["tests"][0]["smd"] == pytest.approx(abs(third.mean() - 5.0) / np.sqrt(third.var(ddof=1) / 2))


def test_quantiles_that_differ_have_names_that_differ() -> None:
    described = study(x={"type": "number"})
    task = build("SummaryStatistics", described, quantiles=[0.07, 0.5, 0.50000001])
    report, _ = federated(task, dealt(rows(x=np.arange(30.0)), [30]))
    assert {"q7", "q50", "q50.000001"} <= set(report.tables["variables"][0])
