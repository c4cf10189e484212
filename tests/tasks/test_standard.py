"""Under the policy `standard`, on real patients: every task gives to the last bit what it gives under `open`."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from starfish.tasks import registry
from starfish.tasks.api import Rows, TaskReport
from starfish.tasks.disclosure import OPEN, Limits, Scrutiny, breaches
from starfish.tasks.errors import SiteRefusal
from tests.tasks.federated import build, federated
from tests.tasks.heart import HOSPITALS, PATIENTS, STANDARD, of

THREE, FOUR = ("cleveland", "hungary", "long_beach"), tuple(HOSPITALS)
ANALYSES: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "logistic": ("LogisticRegressionStats", FOUR, {"formula": "disease ~ age + thalch + oldpeak"}),
    "logistic, fixed": ("LogisticRegressionStats", THREE, {"formula": "disease ~ age + exang + oldpeak", "site": "fixed"}),
    "logistic, centred": ("LogisticRegressionStats", THREE, {"formula": "disease ~ scale(age) + I(center(age)^2) + exang"}),
    "logistic, HC3": ("LogisticRegressionStats", THREE, {"formula": "disease ~ age + exang + thalch", "se": "HC3"}),
    "Firth": ("LogisticRegressionStats", FOUR, {"formula": "disease ~ age + thalch", "penalty": "firth"}),
    "metrics": ("LogisticRegression", THREE, {"formula": "disease ~ age + exang + thalch"}),
    "held out": ("LogisticRegression", THREE, {"formula": "disease ~ age + exang", "test_fraction": 0.3, "seed": 2}),
    "linear": ("LinearRegression", FOUR, {"formula": "thalch ~ age + exang + trestbps"}),
    "linear, fixed, HC2": ("LinearRegression", FOUR, {"formula": "thalch ~ age + oldpeak", "site": "fixed", "se": "HC2"}),
    "linear, spline": ("LinearRegression", FOUR, {"formula": "trestbps ~ ns(age, knots=c(48, 60), bounds=c(35, 70)) + exang"}),
    "summary": ("SummaryStatistics", FOUR, {"variables": ["age", "sex", "thalch", "chol"]}),
    "Table 1": ("SummaryStatistics", THREE, {"group": "disease", "variables": ["age", "thalch", "exang", "oldpeak"], "quantiles": []}),
    "Echo": ("Echo", FOUR, {"total_round": 3}),
}


def analysed(name: str, limits: Limits) -> tuple[TaskReport, int]:
    wire_name, sites, config = ANALYSES[name]
    task = build(wire_name, PATIENTS, **config)
    return federated(task, {site: of(task, HOSPITALS[site]) for site in sites}, limits=limits)


def test_every_task_is_among_them() -> None:
    assert {wire_name for wire_name, _, _ in ANALYSES.values()} == set(registry.names())


@pytest.mark.parametrize("name", ANALYSES)
def test_the_answer_is_the_same_to_the_last_bit(name: str) -> None:
    held, rounds = analysed(name, STANDARD)
    open_, open_rounds = analysed(name, OPEN)
    assert held.converged
    if name == "summary":  # brackets that few of a site's values lie in stay wider
        for mine, theirs in zip(held.tables["variables"], open_.tables["variables"], strict=True):
            assert {key: mine[key] for key in ("n", "missing", "mean", "sd")} == {
                key: theirs[key] for key in ("n", "missing", "mean", "sd")
            }
            assert mine["q50_low"] <= theirs["q50_low"] <= theirs["q50_high"] <= mine["q50_high"]
        assert held.tables["levels"] == open_.tables["levels"]
        return
    assert (json.dumps(asdict(held)), rounds) == (json.dumps(asdict(open_)), open_rounds)


def test_a_hospital_with_one_patient_in_a_cell_says_so_and_no_more() -> None:
    """In Switzerland one patient has angina and no disease; the sentence that leaves has no number of patients in it."""
    task = build("LogisticRegressionStats", PATIENTS, formula="disease ~ age + exang")
    (breach,) = breaches(task.design(of(task, HOSPITALS["switzerland"])), STANDARD)
    assert (breach.code, breach.found, breach.limit) == ("min-cell", 1, 5)
    assert "exang = 1 and disease = 0: 1 rows" in breach.private
    assert "1" not in breach.public
    assert breach.public.startswith("exang, disease")


def test_two_sites_are_too_few_for_a_pooled_result() -> None:
    task = build("LogisticRegressionStats", PATIENTS, formula="disease ~ age")
    two = {site: of(task, HOSPITALS[site]) for site in ("cleveland", "hungary")}
    with pytest.raises(SiteRefusal, match="Too few sites") as caught:
        federated(task, two, limits=STANDARD)
    assert caught.value.code == "min-sites"
    summary = build("SummaryStatistics", PATIENTS, variables=["age"])
    with pytest.raises(SiteRefusal, match="Too few sites"):
        federated(summary, two, limits=STANDARD)


def test_so_is_one_that_is_the_same_but_in_few_and_one_that_one_patient_dominates() -> None:
    cleveland, task = HOSPITALS["cleveland"], build("SummaryStatistics", PATIENTS, variables=["age", "oldpeak", "thalch"], quantiles=[])
    few = np.where(np.arange(cleveland.n) < 4, cleveland.columns["age"], 50.0)
    one = np.where(np.arange(cleveland.n) == 9, 1e4, cleveland.columns["oldpeak"])
    rows = Rows(n=cleveland.n, columns={**cleveland.columns, "age": few, "oldpeak": one})
    assert list(task.train(rows, None, site="a", scrutiny=Scrutiny(limits=STANDARD)).arrays["withheld"]) == [1.0, 1.0, 0.0]
    assert not task.train(rows, None, site="a").arrays["withheld"].any()


def test_a_variable_with_few_values_in_a_group_is_withheld_and_marked() -> None:
    """In Long Beach three women have no disease: the table of sex by disease is incomplete, the others are whole."""
    task = build("SummaryStatistics", PATIENTS, group="disease", variables=["age", "sex", "thalch"])
    report, _ = federated(task, {site: HOSPITALS[site] for site in THREE}, limits=STANDARD)
    assert list(report.tables["levels"]) == [{"variable": "sex", "level": None, "group": None, "incomplete": "site withheld"}]
    assert {row["variable"] for row in report.tables["tests"]} == {"age", "thalch"}
    ages = np.concatenate([HOSPITALS[site].columns["age"] for site in THREE])
    assert report.tables["variables"][0]["mean"] == pytest.approx(ages.mean(), rel=1e-12)
    json.dumps(asdict(report), allow_nan=False)
