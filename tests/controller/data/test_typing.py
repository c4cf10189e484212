"""Typed rows: what each type accepts, what is missing, and what a refusal says inside and outside the site."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.controller.data import Mapping, Table, typed_rows
from starfish.controller.data.values import parse_numbers
from starfish.tasks.errors import SiteRefusal
from starfish.tasks.formula.eligibility import missing
from starfish.tasks.study import Study
from tests.controller.data.conftest import Load

NAN = math.nan
MISSING = ["", "NA", "n/a", "#N/A", "NaN", "nan", "NULL", "null", ".", "#NULL!"]


def column(cells: list[str], *, separator: str = ",") -> str:
    return "".join(f'{number}{separator}"{cell}"\n' for number, cell in enumerate(["x", *cells])).replace("0", "row", 1)


def refusal(load: Load, content: str, *arguments: Any) -> SiteRefusal:
    with pytest.raises(SiteRefusal) as caught:
        load(content, *arguments)
    return caught.value


@pytest.mark.parametrize("type_", ["number", "integer", "binary", "category", "date", "text", "id"])
def test_what_is_missing_in_every_type(type_: str, load: Load) -> None:
    stated = {"type": type_, "levels": ["a", "b"]} if type_ == "category" else {"type": type_}
    assert missing(load(column(MISSING), {"x": stated}).rows.columns["x"]).all()


def test_a_level_that_looks_missing_is_a_level(load: Load) -> None:
    made = load(column(["NA", "", "EU", "N/A"]), {"x": {"type": "category", "levels": ["EU", "NA"]}})
    assert made.rows.columns["x"].tolist() == [1, -1, 0, -1]


def test_numbers(load: Load) -> None:
    cells = ["1", "-2.5", "+3", ".5", "4.", "1e3", "2.5E-1", "007", "27.0"]
    assert load(column(cells), {"x": {"type": "number"}}).rows.columns["x"].tolist() == [1, -2.5, 3, 0.5, 4, 1000, 0.25, 7, 27]
    made = load(column(["27", "27.0", "2.7e1", "NA"]), {"x": {"type": "integer"}}).rows.columns["x"]
    np.testing.assert_array_equal(made, [27, 27, 27, NAN])
    assert made.dtype == np.float64


NO_NUMBERS = [
    "abc",
    "1e400",
    "inf",
    "-Infinity",
    "1_000",
    "0x10",
    "1 000",
    "1,5",
    "12%",
    "<5",
    "TRUE",
    "1.2.3",
    "--1",
    "e5",
    "١٢",
    "²",
    "1e",
    "5 mg",
]


@pytest.mark.parametrize("cell", NO_NUMBERS)
def test_a_text_in_a_number(cell: str, load: Load) -> None:
    refused = refusal(load, column(["1", cell, "2", cell]), {"x": {"type": "number"}})
    assert refused.public == "x: 2 values are not numbers."
    assert f"line 3: '{cell}', line 5: '{cell}'" in refused.private
    assert "In column 'x'" in refused.private
    assert (refused.code, refused.variable) == ("not-a-number", "x")


@given(
    texts=st.lists(
        st.sampled_from([*NO_NUMBERS, "1", "2.5", "1,5", "1.234", "1.234,5", "-3"]) | st.text(max_size=5) | st.floats().map(repr)
    )
)
def test_the_quick_and_the_careful_way_to_numbers_agree(texts: list[str]) -> None:
    strict = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
    expected = [float(text) if strict.fullmatch(text) and math.isfinite(float(text)) else NAN for text in texts]
    np.testing.assert_array_equal(parse_numbers(texts, False), expected)
    one_by_one = [parse_numbers([text], True)[0] for text in texts]
    np.testing.assert_array_equal(parse_numbers(texts, True), one_by_one)


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_a_float_written_in_full_is_read_to_the_last_bit(values: list[float]) -> None:
    np.testing.assert_array_equal(parse_numbers([repr(value) for value in values], False), values)
    np.testing.assert_array_equal(parse_numbers([repr(value).replace(".", ",") for value in values], True), values)


def test_decimal_commas_and_thousands(load: Load) -> None:
    number = {"x": {"type": "number"}}
    assert load(column(["1,5", "2", "1,234", "27.5"], separator=";"), number).rows.columns["x"].tolist() == [1.5, 2, 1.234, 27.5]
    assert load(column(["1,5", "0.370", "-0.001"], separator=";"), number).rows.columns["x"].tolist() == [1.5, 0.37, -0.001]
    assert load(column(["1.234", "2"], separator=";"), number).rows.columns["x"].tolist() == [1.234, 2]
    for cells, separator, wrong in [
        (["1,5", "1.234"], ";", "1.234"),
        (["1,5", "1.234,5"], ";", "1.234,5"),
        (["1.5", "1,234"], ",", "1,234"),
        (["2", "1,234"], "\t", "1,234"),
        (["1'234"], ",", "1'234"),
        (["1 234.5"], ",", "1 234.5"),
    ]:
        refused = refusal(load, column(cells, separator=separator), number)
        assert refused.public == "x: 1 value is not a number."
        assert repr(wrong) in refused.private
        assert "A thousands separator can't be told from a decimal sign" in refused.private


def test_integers_are_whole_and_ranges_hold(load: Load) -> None:
    stated = {"x": {"type": "integer", "min": 0, "max": 120}}
    assert load(column(["0", "120"]), stated).rows.n == 2
    refused = refusal(load, column(["1.5", "-1", "200", "130", "NA"]), stated)
    assert refused.public == (
        "x: 1 value is not a whole number. x: 1 value is below the least that the project allows (0). "
        "x: 2 values are above the greatest that the project allows (120)."
    )
    assert "line 4: '200', line 5: '130'" in refused.private


@pytest.mark.parametrize(
    ("stated", "cells", "values"),
    [
        ({}, ["1", "0", "1.0", "0.00", "+1"], [1, 0, 1, 0, 1]),
        ({"positive": True}, ["TRUE", "False", "true"], [1, 0, 1]),
        ({"positive": "no"}, ["No", "YES"], [1, 0]),
        ({"positive": "present", "levels": ["absent", "present"]}, ["absent", "present"], [0, 1]),
        ({"positive": 2, "levels": [1, 2]}, ["1.0", "2"], [0, 1]),
        ({"missing_codes": [9]}, ["9.0", "1"], [NAN, 1]),
    ],
)
def test_binary_variables(stated: dict[str, Any], cells: list[str], values: list[float], load: Load) -> None:
    np.testing.assert_array_equal(load(column(cells), {"x": {"type": "binary", **stated}}).rows.columns["x"], values)


@pytest.mark.parametrize("cells", [["0", "1", "2", "3", "4"], ["0", "2", "0", "2"], ["0", "4"], ["2"], ["yes", "no"], ["TRUE", "FALSE"]])
def test_an_outcome_of_several_values_is_refused_not_fitted(cells: list[str], load: Load) -> None:
    refused = refusal(load, column(cells), {"x": {"type": "binary", "role": "outcome"}})
    assert refused.code == "not-binary"
    assert "neither 0 nor 1, which are the two values of this binary variable" in refused.public
    assert "recode in the mapping what counts as 1" in refused.public
    assert "line" not in refused.public
    assert "'2'" in refused.private or "'yes'" in refused.private or "'4'" in refused.private or "'TRUE'" in refused.private


def test_several_values_become_two_by_a_recode(load: Load) -> None:
    recodes = {"x": {"recode": {"2": 1, 3.0: 1, 4: "1"}}}
    made = load(column(["0", "1", "2.0", "3", "4", "NA"]), {"x": {"type": "binary"}}, recodes)
    np.testing.assert_array_equal(made.rows.columns["x"], [0, 1, 1, 1, 1, NAN])


def test_categories(load: Load) -> None:
    stated = {"x": {"type": "category", "levels": [3, "low", 1], "missing_codes": ["unknown", 9]}}
    made = load(column(["1.0", "low", "3", "unknown", "9.00"]), stated).rows.columns["x"]
    assert made.tolist() == [2, 1, 0, -1, -1]
    assert made.dtype == np.int64
    refused = refusal(load, column(["Low", "low", "7"]), stated)
    assert refused.public == "x: 2 values are none of the levels 3, low, 1."
    assert "line 2: 'Low', line 4: '7'" in refused.private
    assert refused.code == "unknown-level"


def test_dates(load: Load) -> None:
    stated = {"x": {"type": "date"}}
    made = load(column(["1970-01-02", "2020-02-29 13:45", "2020-02-29T13:45:00Z", "NA"]), stated)
    np.testing.assert_array_equal(made.rows.columns["x"], [1, 18321, 18321, NAN])
    german = load(column(["29.02.2020"]), stated, {"x": {"format": "%d.%m.%Y"}})
    assert german.rows.columns["x"].tolist() == [18321]
    refused = refusal(load, column(["2019-02-29", "1.2.2020", "20200101"]), stated)
    assert refused.public == "x: 3 values are not dates written as year-month-day."
    assert "format: '%d.%m.%Y'" in refused.private


def test_texts_and_ids_are_kept_as_they_are(load: Load) -> None:
    made = load(column(["007", "a, b", "NA"]), {"x": {"type": "id"}}).rows.columns["x"]
    assert made.dtype == object
    assert made.tolist() == ["007", "a, b", ""]


def test_a_missing_column_is_told_with_the_columns_that_there_are(load: Load) -> None:
    refused = refusal(load, "age,Sex\n1,2\n", {"age": {"type": "number"}, "bmi": {"type": "number"}})
    assert refused.public == "bmi: the dataset has no column for it."
    assert "The columns are age, Sex." in refused.private
    assert (refused.code, refused.variable) == ("missing-column", "bmi")


def test_all_broken_rules_are_told_and_other_columns_are_ignored(load: Load) -> None:
    variables = {"a": {"type": "number"}, "b": {"type": "binary"}, "c": {"type": "text"}}
    refused = refusal(load, "a,b,c,d\nx,5,y,\n", variables)
    assert refused.public.startswith("a: 1 value is not a number. b: 1 value is neither 0 nor 1")
    assert refused.variable == "a"
    assert load("a,b,c,d\n1,1,y,z\n", variables).rows.columns.keys() == {"a", "b", "c"}


def test_rows_keep_their_lines(load: Load) -> None:
    made = load('a,b\n1,"x\ny"\n\n2,z\n', {"a": {"type": "number"}})
    assert made.row_numbers.tolist() == [2, 5]
    assert made.rows.n == 2


@given(
    cells=st.lists(
        st.sampled_from(["1", "2", "NA", "x", "1e999", "2020-01-01", "male", "Müller", "1,5", ""]) | st.text("0123456789.,-e ", max_size=6),
        min_size=1,
        max_size=8,
    ),
    type_=st.sampled_from(["number", "integer", "binary", "category", "date", "text", "id"]),
)
def test_no_value_of_a_row_ever_stands_in_public(cells: list[str], type_: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    marked = [f"{cell}§secret" for cell in cells]
    stated: dict[str, Any] = {"type": type_, "levels": ["male", "female"]} if type_ == "category" else {"type": type_}
    study = Study.from_definition({"variables": {"v": stated}})
    table = Table(columns={"v": marked}, n=len(marked), source="here", lines=np.arange(len(marked)) + 2)
    if type_ in ("text", "id"):
        assert typed_rows(table, study, Mapping.identity(study, table)).rows.columns["v"].tolist() == marked
        return
    with pytest.raises(SiteRefusal) as caught:
        typed_rows(table, study, Mapping.identity(study, table))
    assert "secret" not in caught.value.public
    assert "secret" in caught.value.private
