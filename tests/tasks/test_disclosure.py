"""Designs that would speak of single patients: each is refused by a rule, in public without its numbers."""

import re
from typing import Any

import numpy as np
import pytest

from starfish.tasks import registry
from starfish.tasks.api import Rows, Task
from starfish.tasks.disclosure import OPEN, Breach, Cell, Design, breaches, refuse
from starfish.tasks.errors import SiteRefusal
from starfish.tasks.study import Study
from tests.tasks.federated import build, study
from tests.tasks.heart import HOSPITALS, PATIENTS, STANDARD

N = 303
CLEVELAND = HOSPITALS["cleveland"]
MORE: dict[str, dict[str, Any]] = {
    "one": {"type": "binary"},
    "few": {"type": "number"},
    "twin": {"type": "number"},
    "weight": {"type": "number", "role": "weight"},
    "ward": {"type": "text", "role": "cluster"},
    "place": {"type": "category", "levels": ["here", "there", "elsewhere"]},
}
random = np.random.default_rng(3)
ONE = np.where(np.arange(N) == 7, 1.0, 0.0)


def described(**more: dict[str, Any]) -> Study:
    known = {name: variable.model_dump(exclude_defaults=True) for name, variable in PATIENTS.variables.items()}
    return study(**known, **more)


VARIABLES = described(**MORE)


def patients(**columns: np.ndarray) -> Rows:
    made = {
        "one": ONE,
        "few": np.where(np.arange(N) < 3, random.normal(size=N), 0.0),
        "twin": CLEVELAND.columns["age"] + ONE,
        "weight": np.where(np.arange(N) == 7, 1e4, 1.0),
        "ward": np.array([f"w{number // 30}" for number in range(N)], dtype=object),
        "place": np.where(np.arange(N) < 2, 1, 0),
    }
    return Rows(n=N, columns={**CLEVELAND.columns, **made, **columns})


def task(formula: str, name: str = "LogisticRegressionStats", **config: Any) -> Task:
    return build(name, VARIABLES, formula=formula, **config)


def broken(asked: Task, rows: Rows) -> list[Breach]:
    assert not breaches(asked.design(rows), OPEN), "open holds nothing back"
    return breaches(asked.design(rows), STANDARD)


ATTACKS: dict[str, tuple[Task, str, str]] = {
    "a saturated formula": (task("disease ~ cp * exang * age * thalch * oldpeak * trestbps"), "max-parameters", ""),
    "an indicator of one patient": (task("disease ~ age + one"), "min-cell", "one"),
    "all but one": (task('disease ~ C(one, ref="0")'), "min-cell", "one"),
    "a product with an indicator": (task("disease ~ age:one"), "min-cell", "age:one"),
    "an interaction of two levels": (task("disease ~ cp:exang"), "min-cell", "cp:exang"),
    "a category's level with two patients": (task("disease ~ place"), "min-cell", "place"),
    "a number that is 0 in all but three": (task("disease ~ few"), "min-cell", "few"),
    "a power that one patient dominates": (task("disease ~ I(chol^9)"), "max-share", "I(chol^9)"),
    "an exponential that one patient dominates": (task("disease ~ exp(age)"), "max-share", "exp(age)"),
    "a pole": (task("disease ~ I(few^2):oldpeak"), "min-cell", "I(few^2):oldpeak"),
    "a spline with few patients under its last piece": (
        task("disease ~ bs(age, knots=c(40, 75), degree=1, bounds=c(20, 80))"),
        "min-cell",
        "bs(age, knots=c(40, 75), degree=1, bounds=c(20, 80))",
    ),
    "a mean of three patients": (task("disease ~ center(few) + age"), "min-cell", "few"),
    "an offset of one patient": (task("disease ~ age + offset(few)"), "min-cell", "the offset"),
    "an offset that one patient dominates": (task("disease ~ age + offset(exp(age))"), "max-share", "the offset"),
    "two columns that differ in one patient": (task("disease ~ age + twin"), "leverage", ""),
    "the same, in an outcome of numbers": (task("thalch ~ age + twin", "LinearRegression"), "leverage", ""),
    "a weight that leaves one patient": (task("disease ~ age", weights="sampling"), "max-share", "the weights"),
    "an outcome that one patient dominates": (
        build("LinearRegression", described(v={"type": "number"}), formula="v ~ age"),
        "max-share",
        "v",
    ),
    "the smallest and the largest": (build("SummaryStatistics", VARIABLES, min_max=True), "single-values", ""),
    "a group of two": (build("SummaryStatistics", VARIABLES, group="place"), "min-cell", "place"),
    "clusters of few patients": (task("disease ~ age + cluster(ward)", se="cluster"), "min-cell", "ward"),
    "few patients held out": (build("LogisticRegression", VARIABLES, formula="disease ~ age", test_fraction=0.02), "min-rows", ""),
}


@pytest.mark.parametrize(("asked", "rule", "variable"), ATTACKS.values(), ids=ATTACKS)
def test_what_speaks_of_single_patients_is_refused(asked: Task, rule: str, variable: str) -> None:
    outlier = np.where(np.arange(N) == 7, 1e4, CLEVELAND.columns["age"])
    rules = {(breach.code, breach.variable or "") for breach in broken(asked, patients(v=outlier))}
    assert (rule, variable) in rules


@pytest.mark.parametrize(("asked", "rule", "variable"), ATTACKS.values(), ids=ATTACKS)
def test_what_leaves_of_a_refusal_is_the_rule_and_not_the_value(asked: Task, rule: str, variable: str) -> None:
    found = broken(asked, patients(v=np.where(np.arange(N) == 7, 1e4, 0.0)))
    with pytest.raises(SiteRefusal) as caught:
        refuse(found, "Task 0")
    assert caught.value.code == found[0].code
    assert f"(rule {found[0].rule})" in caught.value.public
    for breach in found:
        named = breach.public.replace(breach.variable or "\0", "")
        assert not re.search(r"\d", named), named
        assert breach.private != breach.public


@pytest.mark.parametrize("name", registry.names())
def test_every_task_has_a_design(name: str) -> None:
    formula = {"formula": "thalch ~ age"} if name == "LinearRegression" else {"formula": "disease ~ age"}
    asked = build(name, VARIABLES, **(formula if "Regression" in name else {}))
    design = asked.design(patients())
    assert (design.rows is None) == (name == "Echo")
    if "Regression" in name:
        assert (design.rows, design.parameters) == (N, 2)
        assert 0 < design.leverage < 0.1
        assert design.effective == pytest.approx(N)
    few = patients().take(np.arange(N) < 9)
    assert [breach.code for breach in breaches(asked.design(few), STANDARD)][:1] == ([] if name == "Echo" else ["min-rows"])


def test_events_and_parameters_are_counted() -> None:
    rare = patients(disease=np.where(np.arange(N) < 4, 1.0, 0.0))
    breach = breaches(task("disease ~ age").design(rare), STANDARD)[0]
    assert (breach.code, breach.found, breach.limit) == ("min-events", 4, 5)
    wide = task("thalch ~ age + trestbps + chol + oldpeak", "LinearRegression").design(patients().take(np.arange(N) < 12))
    assert "max-parameters" in {breach.code for breach in breaches(wide, STANDARD)}


def test_a_level_that_nobody_has_is_no_cell() -> None:
    assert not broken(task("disease ~ place"), patients(place=np.zeros(N, dtype=np.int64)))


def test_ordinary_weights_and_clusters_pass() -> None:
    weights = random.uniform(1, 5, N)
    wards = np.array([f"w{number // 31}" for number in range(N)], dtype=object)
    ordinary = patients(weight=weights, ward=wards)
    assert not broken(task("disease ~ age + thalch + cluster(ward)", se="cluster", weights="sampling"), ordinary)


def test_breaches_are_a_function_of_the_numbers_alone() -> None:
    design = Design(
        rows=40,
        parameters=4,
        outcomes={"y": (20, 20)},
        cells=[Cell(variables="g", name="g = a", rows=5)],
        shares={"x": 0.2},
        effective=10.0,
        leverage=0.4999,
    )
    assert breaches(design, STANDARD) == []
    hurt = Design(
        rows=9,
        parameters=4,
        outcomes={"y": (5, 4)},
        cells=[Cell(variables="g", name="g = a", rows=4)],
        shares={"x": 0.21},
        effective=9.9,
        leverage=0.5,
    )
    assert [breach.code for breach in breaches(hurt, STANDARD)] == [
        "min-rows",
        "max-parameters",
        "min-events",
        "min-cell",
        "max-share",
        "effective-rows",
        "leverage",
    ]
