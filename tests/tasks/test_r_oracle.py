"""R's answers for the pooled patients of examples/heart_disease/data, kept in r_oracle/oracle.json, whose script made them."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from starfish.tasks.api import Rows, TaskReport
from starfish.tasks.formula import parse
from tests.tasks.federated import build, dealt, even, federated, rows, study

HERE = Path(__file__).parent
DATA = HERE.parents[1] / "examples" / "heart_disease" / "data"
R: Mapping[str, Any] = json.loads((HERE / "r_oracle" / "oracle.json").read_text())
VARIABLES = study(
    age={"type": "number"},
    sex={"type": "category", "levels": ["female", "male"]},
    trestbps={"type": "number"},
    thalch={"type": "number"},
    exang={"type": "binary"},
    disease={"type": "binary", "role": "outcome"},
    weight={"type": "number", "role": "weight"},
)
NATURAL = "ns(age, knots=c(50, 60), bounds=c(35, 70))"
CUBIC = "bs(trestbps, knots=c(120, 140), bounds=c(50, 210))"
QUADRATIC = "bs(trestbps, knots=130, degree=2, bounds=c(50, 210))"
LOGISTIC: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("disease ~ age + sex + trestbps + thalch + exang", {}),
    "sites": ("disease ~ age + sex + trestbps + thalch + exang", {"site": "fixed"}),
    "crossed": ("disease ~ age * sex + exang:sex", {}),
    "natural": (f"disease ~ {NATURAL} + sex", {}),
    "cubic": (f"disease ~ {CUBIC} * exang", {}),
    "transformed": ('disease ~ log(age) + I(trestbps^2) + scale(thalch) + C(sex, ref="male")', {}),
    "offset": ("disease ~ age + sex + offset(log(trestbps))", {}),
}
LINEAR: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("thalch ~ age + sex + exang", {}),
    "sites": ("thalch ~ age + sex + exang", {"site": "fixed"}),
    "crossed": ("thalch ~ age * sex", {}),
    "natural": (f"thalch ~ {NATURAL} * exang", {}),
    "quadratic": (f"log(thalch) ~ {QUADRATIC} + sex", {}),
    "no_intercept": ("thalch ~ sex + age - 1", {}),
    "weighted": ("thalch ~ age + sex", {"weights": "precision"}),
}


def hospital(name: str) -> Rows:
    """The complete rows of one hospital."""
    with (DATA / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        found = [row for row in csv.DictReader(file) if row["trestbps"] not in ("", "0") and row["thalch"] and row["exang"]]
    age = np.array([float(row["age"]) for row in found])
    return rows(
        age=age,
        sex=np.array([["female", "male"].index(row["sex"].lower()) for row in found]),
        trestbps=np.array([float(row["trestbps"]) for row in found]),
        thalch=np.array([float(row["thalch"]) for row in found]),
        exang=np.array([float(row["exang"].lower() in ("true", "1")) for row in found]),
        disease=np.array([float(row["disease"]) for row in found]),
        weight=1.0 + age % 4,
    )


HOSPITALS = {f"{place}": hospital(name) for place, name in enumerate(("cleveland", "hungary", "long_beach", "switzerland"))}
POOLED = rows(**{name: np.concatenate([part.columns[name] for part in HOSPITALS.values()]) for name in HOSPITALS["0"].columns})


def splits(config: Mapping[str, Any]) -> list[Mapping[str, Rows]]:
    return [HOSPITALS] if config.get("site") == "fixed" else [HOSPITALS, dealt(POOLED, even(POOLED.n, 50), seed=4)]


def close(report: TaskReport, estimates: Sequence[Mapping[str, float]]) -> None:
    assert len(report.estimates) == len(estimates)
    for row, said in zip(report.estimates, estimates, strict=True):
        least = 1e-6 * max(abs(said["estimate"]), said["std_error"])
        assert row["estimate"] == pytest.approx(said["estimate"], abs=least), row["term"]
        assert row["std_error"] == pytest.approx(said["std_error"], rel=1e-6), row["term"]
        assert np.log10(row["p_value"]) == pytest.approx(np.log10(said["p_value"]), abs=1e-5), row["term"]
        assert (row["ci_low"], row["ci_high"]) == pytest.approx((said["ci_low"], said["ci_high"]), abs=2 * least), row["term"]


@pytest.mark.parametrize("name", LOGISTIC)
def test_logistic_regression_is_rs(name: str) -> None:
    formula, config = LOGISTIC[name]
    for sites in splits(config):
        report, _ = federated(build("LogisticRegressionStats", VARIABLES, formula=formula, **config), sites)
        close(report, R["logistic"][name]["estimates"])
        for key, value in R["logistic"][name]["fit"].items():
            assert report.fit[key] == pytest.approx(value, rel=1e-8), key


@pytest.mark.parametrize("name", LINEAR)
def test_linear_regression_is_rs(name: str) -> None:
    formula, config = LINEAR[name]
    for sites in splits(config):
        report, _ = federated(build("LinearRegression", VARIABLES, formula=formula, **config), sites)
        close(report, R["linear"][name]["estimates"])
        said = dict(R["linear"][name]["fit"])
        assert report.fit["f_test"]["statistic"] == pytest.approx(said.pop("f"), rel=1e-8)
        p_value = said.pop("f_p")
        assert report.fit["f_test"]["p_value"] == pytest.approx(p_value, rel=1e-6, abs=1e-320)
        for key, value in said.items():
            assert report.fit[key] == pytest.approx(value, rel=1e-8), key


@pytest.mark.parametrize("sizes", [[16], [8, 8], [1] * 16], ids=str)
def test_longleys_columns_that_are_nearly_dependent(sizes: list[int]) -> None:
    columns = {name.replace(".", "_"): values for name, values in R["longley"]["columns"].items()}
    described = study(**{name: {"type": "number"} for name in columns})
    formula = "Employed ~ " + " + ".join(name for name in columns if name != "Employed")
    report, _ = federated(build("LinearRegression", described, formula=formula), dealt(rows(**columns), sizes))
    close(report, R["longley"]["estimates"])


@pytest.mark.parametrize(
    ("name", "term", "variable"), [("natural", NATURAL, "age"), ("cubic", CUBIC, "trestbps"), ("quadratic", QUADRATIC, "trestbps")]
)
def test_splines_are_rs_column_by_column(name: str, term: str, variable: str) -> None:
    x, columns = np.array(R["bases"][name]["x"]), np.array(R["bases"][name]["columns"]).T
    made = parse(f"~ {term} - 1", VARIABLES).design(rows(**{variable: x}))
    assert np.abs(made - columns).max() < 1e-12


def test_table_one_is_rs() -> None:
    config: dict[str, Any] = {"variables": ["trestbps", "sex"], "group": "disease", "quantiles": [0.1, 0.25, 0.5, 0.75, 0.9]}
    report, _ = federated(build("SummaryStatistics", VARIABLES, **config), HOSPITALS)
    whole = report.tables["variables"][0]
    for key, value in R["table_one"]["quantiles"].items():
        assert whole[f"{key}_low"] < value <= whole[f"{key}_high"], key
    tests = {row["test"]: row for row in report.tables["tests"]}
    for test, key in (("Welch t", "welch"), ("pooled t", "pooled"), ("chi-square", "chi_square")):
        for number, value in R["table_one"][key].items():
            assert tests[test][number] == pytest.approx(value, rel=1e-9), (test, number)
