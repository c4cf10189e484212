"""The flow of rows: registered, eligible, complete, and a reason for every other row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.controller.data import complete_mask, eligible_mask, flow
from starfish.tasks.api import Rows
from starfish.tasks.errors import InvalidTask, SiteRefusal
from starfish.tasks.study import Study

VARIABLES = {"age": {"type": "number"}, "sex": {"type": "category", "levels": ["f", "m"]}, "note": {"type": "text"}}


def study(**keys: str) -> Study:
    return Study.from_definition({"variables": VARIABLES, **keys})


def rows_of(patients: list[tuple[float | None, int | None, str]]) -> Rows:
    return Rows(
        n=len(patients),
        columns={
            "age": np.array([np.nan if age is None else age for age, _, _ in patients], dtype=float),
            "sex": np.array([-1 if sex is None else sex for _, sex, _ in patients], dtype=np.int64),
            "note": np.array([note for _, _, note in patients], dtype=object),
        },
    )


PATIENTS = [(20.0, 0, "x"), (None, 1, "x"), (30.0, None, ""), (10.0, 1, "x"), (None, None, "x"), (40.0, 1, "")]


def test_each_row_counts_once_under_its_first_reason() -> None:
    rows = rows_of(PATIENTS)
    found = flow(rows, study(eligibility="age is missing or age >= 18"), ("age", "sex"))
    assert (found.registered, found.eligible, found.complete) == (6, 5, 2)
    assert found.excluded == {"not eligible": 1, "age missing": 2, "sex missing": 1}
    assert flow(rows, study(), ()).excluded == {}


@given(patients=st.lists(st.tuples(st.none() | st.floats(0, 90), st.none() | st.integers(0, 1), st.sampled_from(["", "x"]))))
def test_the_reasons_add_up(patients: list[tuple[float | None, int | None, str]]) -> None:
    rows, stated = rows_of(patients), study(eligibility="age > 40 or sex is missing")
    found = flow(rows, stated, ("note", "sex", "age"))
    mask = eligible_mask(rows, stated)
    assert found.eligible == mask.sum()
    assert found.complete == (mask & complete_mask(rows, ("note", "sex", "age"))).sum()
    assert sum(found.excluded.values()) == found.registered - found.complete


def test_refuse_means_that_no_eligible_row_may_lack_a_value() -> None:
    rows = rows_of(PATIENTS)
    with pytest.raises(SiteRefusal, match=r"^sex: 2 values are missing, and the project refuses missing values\.$") as caught:
        flow(rows, study(missing="refuse"), ("sex",))
    assert (caught.value.code, caught.value.variable) == ("missing-values", "sex")
    assert flow(rows, study(missing="refuse", eligibility="sex is not missing"), ("sex",)).complete == 4


def test_imputation_is_said_to_come_later() -> None:
    with pytest.raises(InvalidTask, match="MultipleImputation"):
        flow(rows_of(PATIENTS), study(missing="impute"), ())
