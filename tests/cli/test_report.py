"""A report as people see it: every number that matters, at any width, and nothing wrapped in a pipe."""

from typing import Any

import pytest
from rich.console import Console

from starfish.cli import report
from starfish.controller.api.tables import as_rows, write_tables

ROW = {
    "term": "sex[male]",
    "estimate": 1.4009531160,
    "std_error": 0.1813,
    "statistic": 7.727,
    "p_value": 1.1e-14,
    "ci_low": 1.0456,
    "ci_high": 1.7563,
    "exp_estimate": 4.0591,
    "exp_ci_low": 2.845,
    "exp_ci_high": 5.791,
    "scale": "OR",
    "reference": "female",
}
REPORT: dict[str, Any] = {
    "project": "heart-disease",
    "batch": 2,
    "sites": [
        {"site": "Cleveland", "rows": 303, "used": 303, "events": 139, "excluded": {}},
        {"site": "Long Beach", "rows": 200, "used": 143, "events": None, "excluded": {"missing: thalch": 57}},
    ],
    "tasks": [
        {
            "seq": 1,
            "model": "LogisticRegressionStats",
            "rounds": 6,
            "converged": True,
            "estimates": [ROW],
            "fit": {"n": 860, "log_likelihood": -429.0840469541, "se_type": "model"},
            "tables": {"roc": {"columns": ["cut", "sensitivity"], "rows": [[0.5, 0.81]]}},
            "warnings": ["The sites differ (p = 0.001)."],
            "failure": None,
        },
        {"seq": 2, "model": "LogisticRegression", "rounds": 1, "converged": False, "failure": {"message": "thalch separates the outcome."}},
    ],
}


def drawn(width: int, value: dict[str, Any] = REPORT) -> str:
    console = Console(width=width, highlight=False, markup=False, force_terminal=False)
    with console.capture() as capture:
        console.print(report.view(value, width=width))
    return capture.get()


@pytest.mark.parametrize("width", [80, 120, 10_000])
def test_what_matters_is_there_on_one_line(width: int) -> None:
    text = drawn(width)
    (line,) = [line for line in text.splitlines() if line.startswith("sex[male]")]
    for cell in ("1.4010", "0.1813", "7.73", "<0.001", "4.059", "2.845 to 5.791"):
        assert cell in line
    assert ("1.0456 to 1.7563" in line) == (width >= 100)
    assert max(len(line) for line in text.splitlines()) <= max(width, 130)


def test_excluded_rows_warnings_and_failures_are_said() -> None:
    text = drawn(80)
    assert "57 missing: thalch" in text
    assert "Warning: The sites differ (p = 0.001)." in text
    assert "No estimate: thalch separates the outcome." in text
    assert "(1 round, not converged)" in text


def test_a_test_with_two_degrees_of_freedom_is_one_line() -> None:
    task = {**REPORT["tasks"][0], "tables": {"homogeneity": {"statistic": 0.4557, "df": [5, 77], "p_value": 0.8079}}}
    assert "Homogeneity: statistic 0.4557, df 5, 77, p value 0.808" in drawn(80, {**REPORT, "tasks": [task]})


def test_a_linear_model_has_no_ratio() -> None:
    row = {**ROW, "scale": None, "exp_estimate": None, "exp_ci_low": None, "exp_ci_high": None}
    text = drawn(80, {**REPORT, "tasks": [{**REPORT["tasks"][0], "estimates": [row]}]})
    assert "1.0456 to 1.7563" in text
    assert "OR" not in text


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (0.0, "0.0000"), (0.00001234, "1.234e-05"), (-429.08404, "-429.0840"), (1e12, "1e+12")]
)
def test_numbers(value: float | None, text: str) -> None:
    assert report.number(value) == text


def test_tables_of_any_form_become_rows() -> None:
    assert as_rows([{"a": 1}]) == [{"a": 1}]
    assert as_rows({"columns": ["a", "b"], "rows": [[1, 2]]}) == [{"a": 1, "b": 2}]
    assert as_rows({"age": {"mean": 54.0}, "n": 3}) == [{"name": "age", "mean": 54.0}, {"name": "n", "value": 3}]


def test_csv_files_hold_full_precision(tmp_path: Any) -> None:
    names = [path.name for path in write_tables(REPORT, tmp_path)]
    assert names == [
        "sites.csv",
        "task1-LogisticRegressionStats-estimates.csv",
        "task1-LogisticRegressionStats-fit.csv",
        "task1-LogisticRegressionStats-roc.csv",
    ]
    assert "1.400953116,0.1813" in (tmp_path / names[1]).read_text()
    assert (tmp_path / names[3]).read_text() == "cut,sensitivity\n0.5,0.81\n"
    assert "missing: thalch=57" in (tmp_path / "sites.csv").read_text()
