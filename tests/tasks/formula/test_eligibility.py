"""Eligibility against Python's own comparisons, and its three truth values against SQL's."""

import sqlite3
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfish.tasks.api import Rows
from starfish.tasks.errors import InvalidTask
from starfish.tasks.formula.eligibility import parse_eligibility
from starfish.tasks.study import Study

STUDY = Study.from_definition(
    {
        "variables": {
            "age": {"type": "number"},
            "bp": {"type": "integer"},
            "sex": {"type": "category", "levels": ["f", "m"]},
            "dead": {"type": "binary", "positive": "yes"},
            "born": {"type": "date"},
            "note": {"type": "text"},
            "clinic": {"type": "id"},
        }
    }
)
TESTS = st.sampled_from(
    [
        *(f"{name} {sign} {value}" for name in ("age", "bp") for sign in ("==", "!=", "<", "<=", ">", ">=") for value in (1, 2.0, -1)),
        "age < bp",
        "bp >= age",
        "2 > age",
        "sex == 'm'",
        "sex != 'm'",
        "'f' == sex",
        "note == 'x'",
        "note != 'x'",
        "age is missing",
        "sex is not missing",
        "note is missing",
    ]
)
RULES = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        inner.map(lambda rule: f"not ({rule})"),
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join),
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map(lambda parts: f"({''.join(parts)})"),
    ),
    max_leaves=8,
)


def every_row() -> Iterable[tuple[float | None, int | None, str | None, str | None]]:
    return [
        (age, bp, sex, note) for age in (None, 1, 2, 3.5) for bp in (None, 1, 2) for sex in (None, "f", "m") for note in (None, "x", "z")
    ]


@settings(max_examples=200)
@given(rule=RULES)
def test_a_rule_admits_the_rows_that_sql_selects(rule: str) -> None:
    table = list(every_row())
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t (i INTEGER, age REAL, bp INTEGER, sex TEXT, note TEXT)")
    database.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [(i, *row) for i, row in enumerate(table)])
    sql = rule.replace("is missing", "is null").replace("is not missing", "is not null")
    expected = {i for (i,) in database.execute(f"SELECT i FROM t WHERE {sql}")}
    database.close()
    age, bp, sex, note = zip(*table, strict=True)
    rows = Rows(
        n=len(table),
        columns={
            "age": np.array([np.nan if value is None else value for value in age]),
            "bp": np.array([np.nan if value is None else value for value in bp]),
            "sex": np.array([-1 if value is None else "fm".index(value) for value in sex]),
            "note": np.array([value or "" for value in note], dtype=object),
        },
    )
    mask = parse_eligibility(rule, STUDY).mask(rows)
    assert mask.dtype == bool
    assert set(np.flatnonzero(mask)) == expected


def test_values_are_compared_as_the_project_codes_them() -> None:
    rows = Rows(n=3, columns={"dead": np.array([1.0, 0.0, np.nan]), "born": np.array([0.0, 365.0, np.nan])})
    for rule, admitted in {
        'dead == "yes"': [True, False, False],
        'dead != "No"': [True, False, False],
        'born >= "1970-01-02"': [False, True, False],
        '"1970-01-01" == born': [True, False, False],
        'NOT dead == "yes" OR born IS MISSING': [False, True, True],
    }.items():
        assert parse_eligibility(rule, STUDY).mask(rows).tolist() == admitted, rule


def test_what_it_reads_is_listed_once() -> None:
    assert parse_eligibility("age > 1 and (bp > 2 or age < 0)", STUDY).variables == ("age", "bp")


@pytest.mark.parametrize(
    "rule", ["", "age >", "(age > 1", "age > 1)", "age > 1 age", "not", "age is 3", "3 is missing", "dead == 1", "born > 2020", "age > inf"]
)
def test_what_is_not_a_rule_is_refused(rule: str) -> None:
    with pytest.raises(InvalidTask, match=r"^In the eligibility, at ") as caught:
        parse_eligibility(rule, STUDY)
    assert caught.value.code == "eligibility"
