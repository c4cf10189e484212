"""Mappings: what they do to values, and the sentence for a wrong one."""

from typing import Any

import numpy as np
import pytest

from starfish.controller.data import DataError, Mapping, read_mapping
from starfish.tasks.errors import SiteRefusal
from starfish.tasks.study import Study
from tests.controller.data.conftest import Load, Read

STUDY = Study.from_definition(
    {
        "variables": {
            "age": {"type": "number"},
            "sex": {"type": "category", "levels": ["female", "male"]},
            "time": {"type": "integer"},
            "born": {"type": "date"},
        }
    }
)


def test_names_agree_exactly_or_but_for_case(read: Read) -> None:
    table = read("age,AGE,Sex,BORN,born \n1,2,male,x,y\n")
    columns = {name: mapping.column for name, mapping in Mapping.identity(STUDY, table).variables.items()}
    assert columns == {"age": "age", "sex": "Sex", "time": "time", "born": "born"}
    assert Mapping.identity(STUDY, read("AGE,Age\n1,2\n")).variables["age"].column == "age", "two that would do are none"


def test_recodes_units_codes_and_dates(load: Load) -> None:
    made = load(
        "Alter;Geschlecht;in;out;Geburt\n12,5;M;2020-01-01;2020-01-31;31.12.1969\n-9;w;2020-01-01;NA;\n999.0;x;;2020-01-01;02.01.1970\n",
        {name: variable.model_dump(exclude_defaults=True) for name, variable in STUDY.variables.items()},
        {
            "age": {"column": "Alter", "factor": 2, "missing": [-9, "999"]},
            "sex": {"column": "Geschlecht", "recode": {"M": "male", "w": "female", "x": None}},
            "time": {"from": "in", "to": "out"},
            "born": {"column": "Geburt", "format": "%d.%m.%Y"},
        },
    ).rows.columns
    np.testing.assert_array_equal(made["age"], [25, np.nan, np.nan])
    np.testing.assert_array_equal(made["sex"], [1, 0, -1])
    np.testing.assert_array_equal(made["time"], [30, np.nan, np.nan])
    np.testing.assert_array_equal(made["born"], [-1, np.nan, 1])


@pytest.mark.parametrize(("unit", "expected"), [("days", 731), ("weeks", 731 / 7), ("months", 731 / 30.4375), ("years", 731 / 365.25)])
def test_the_time_between_two_dates_in_units(unit: str, expected: float, load: Load) -> None:
    made = load("a,b\n2020-01-01,2022-01-01\n", {"t": {"type": "number"}}, {"t": {"from": "a", "to": "b", "unit": unit}})
    assert made.rows.columns["t"][0] == pytest.approx(expected, rel=1e-15)


def test_a_time_between_dates_is_checked_like_any_number(load: Load) -> None:
    content = "a,b\n2020-01-01,2019-01-01\n1.1.2020,2020-01-01\n"
    with pytest.raises(SiteRefusal) as caught:
        load(content, {"t": {"type": "number", "min": 0}}, {"t": {"from": "a", "to": "b"}})
    assert "t: 1 value is not a date written as year-month-day." in caught.value.public
    assert "t: 1 value is below the least that the project allows (0)." in caught.value.public


def test_a_mapping_reads_back_as_it_was_written(read: Read) -> None:
    raw = {
        "version": 1,
        "variables": {
            "age": {"column": "Alter", "factor": 2.0, "missing": ["-9"]},
            "sex": {"column": "Sex", "recode": {"M": "male"}},
            "time": {"from": "in", "to": "out", "unit": "weeks"},
            "born": {"column": "born", "format": "%d/%m/%y"},
        },
    }
    table = read("Sex\nM\n")
    assert read_mapping(raw, STUDY, table).as_json() == raw
    assert read_mapping(None, STUDY, table) == Mapping.identity(STUDY, table) == read_mapping({}, STUDY, table)
    assert read_mapping({"variables": {"age": "Alter"}}, STUDY, table).variables["age"].column == "Alter"


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"version": 2}, "'version' is 2; this Starfish reads version 1"),
        ({"columns": {}}, "'columns' is unknown"),
        ({"variables": ["age"]}, "'variables' must name variables and columns"),
        ({"variables": {"agee": "x"}}, "'agee' is not a variable of the project. Did you mean 'age'?"),
        ({"variables": {"age": 3}}, "age: give a column's name, or keys such as column and recode"),
        ({"variables": {"age": {"colum": "x"}}}, "age: 'colum' is unknown"),
        ({"variables": {"age": {"column": 3}}}, "age: 'column' must be a column's name"),
        ({"variables": {"age": {"factor": 0}}}, "age: 'factor' must be a number other than 0"),
        ({"variables": {"age": {"factor": float("nan")}}}, "age: 'factor' must be a number other than 0"),
        ({"variables": {"sex": {"factor": 2}}}, "sex: 'factor' has no meaning for type category"),
        ({"variables": {"age": {"missing": 9}}}, "age: 'missing' must be a list of codes"),
        ({"variables": {"age": {"missing": [[9]]}}}, "age: 'missing' holds [9], which is neither text nor number"),
        ({"variables": {"sex": {"recode": ["M"]}}}, "sex: 'recode' must say what becomes what"),
        ({"variables": {"sex": {"recode": {"M": "mann"}}}}, "sex: 'recode' makes 'mann' of 'M', and the values of sex are "),
        ({"variables": {"time": {"from": "a"}}}, "time: a time between two dates has 'from' and 'to'"),
        ({"variables": {"time": {"from": "a", "to": "b", "column": "c"}}}, "time: a time between two dates has 'from' and 'to'"),
        ({"variables": {"sex": {"from": "a", "to": "b"}}}, "sex: a time between two dates is a number"),
        ({"variables": {"time": {"from": "a", "to": "b", "unit": "hours"}}}, "time: 'unit' is one of days, weeks, months, years"),
        ({"variables": {"time": {"unit": "days"}}}, "time: 'unit' goes with 'from' and 'to'"),
        ({"variables": {"age": {"format": "%d.%m.%Y"}}}, "age: 'format' goes with dates"),
        ({"variables": {"born": {"format": "%d.%m"}}}, "born: 'format' is made of %d, %m, %Y"),
        ({"variables": {"born": {"format": "%d.%m.%Y %c"}}}, "born: 'format' is made of %d, %m, %Y"),
    ],
)
def test_a_wrong_mapping_is_told_inside_and_only_named_outside(raw: dict[str, Any], sentence: str, read: Read) -> None:
    table = read("age\n1\nx\n")
    with pytest.raises(DataError) as caught:
        read_mapping(raw, STUDY, table)
    assert caught.value.private.startswith(f"In the mapping: {sentence}")
    assert caught.value.public == "The dataset's mapping for this project is wrong."
    assert caught.value.code == "mapping"
