"""What `dataset check` points out, and what it leaves in peace."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from starfish.controller.data import Finding, Mapping, check
from starfish.tasks.study import Study
from tests.controller.data.conftest import Read


def findings(read: Read, cells: list[Any], **stated: Any) -> list[Finding]:
    study = Study.from_definition({"variables": {"x": stated}})
    table = read("id,x\n" + "".join(f"{number},{cell}\n" for number, cell in enumerate(cells)))
    return check(table, study, Mapping.identity(study, table))


NORMAL = [float(value) for value in np.round(np.random.default_rng(3).normal(130, 15, 200), 1)]


@pytest.mark.parametrize("code", [0, -1, 999, -9, 9])
def test_a_code_far_from_all_values_is_pointed_out(code: int, read: Read) -> None:
    (found,) = findings(read, [*NORMAL, code, code], type="number")
    assert (found.severity, found.variable, found.code) == ("hint", "x", "spike")
    assert f"x: 2 values are {code}, far from all others" in found.text
    assert f"missing: [{code}]" in found.text


@pytest.mark.parametrize(
    "cells",
    [NORMAL, [0, 0, 0, 1, 2, 3, 5, 8], list(range(100)), [*range(60, 99), 99, 99], [-1, 0, 1, 0, -1], [0, 0, 1], [5.0] * 3 + [6.0]],
)
def test_ordinary_values_raise_no_hint(cells: list[float], read: Read) -> None:
    assert findings(read, cells, type="number") == []


def test_values_in_another_unit(read: Read) -> None:
    heights = np.random.default_rng(4).normal(1.7, 0.1, 100).round(2)
    (found,) = findings(read, [*(heights * 100).round(), *heights[:20]], type="number")
    assert found.code == "unit"
    assert "about 100 apart: centimetres and metres" in found.text
    *problems, hint = findings_in_range = findings(read, list(heights), type="number", min=100, max=250)
    assert [one.severity for one in findings_in_range] == ["problem", "hint"]
    assert problems[0].code == "out-of-range"
    assert hint.code == "unit"
    assert "factor: 100?" in hint.text


def test_dates_of_another_time(read: Read) -> None:
    tomorrow = date.today() + timedelta(days=1)
    found = findings(read, [tomorrow, "1899-12-31", "2020-01-01"], type="date")
    assert [(one.code, one.text) for one in found] == [("future", "x: 1 dated in the future."), ("early", "x: 1 dated before 1900.")]
    assert findings(read, [date.today(), "2020-01-01"], type="date") == []


def test_columns_that_say_nothing(read: Read) -> None:
    assert [one.code for one in findings(read, ["NA", ""], type="number")] == ["all-missing"]
    assert [one.code for one in findings(read, ["1", "1", ""], type="binary")] == ["constant"]


def test_all_problems_come_first_with_lines_and_values(read: Read) -> None:
    study = Study.from_definition({"variables": {name: {"type": "number"} for name in "abc"}})
    table = read("a,b\n1,x\n1,2\n")
    found = check(table, study, Mapping.identity(study, table))
    assert [(one.severity, one.variable, one.code) for one in found] == [
        ("problem", "b", "not-a-number"),
        ("problem", "c", "missing-column"),
        ("hint", "a", "constant"),
    ]
    assert "line 2: 'x'" in found[0].text
