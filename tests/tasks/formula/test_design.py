"""Design matrices against formulaic and patsy: the same columns, or the same space where names may differ."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd
import patsy
import pytest
from formulaic import model_matrix
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from starfish.tasks.api import Rows
from starfish.tasks.formula import parse
from starfish.tasks.study import Study

CATEGORIES = {"sex": ["female", "male"], "race": ["a", "b", "c"], "arm": ["2", "1", "3"]}
FACTORS = ["age", "bp", "exang", "log(age)", *CATEGORIES]
FIXTURES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)


@pytest.fixture(scope="session")
def frame(rows: Rows, study: Study) -> pd.DataFrame:
    data: dict[str, object] = {name: rows.columns[name] for name in ("disease", "age", "bp", "exang")}
    for name, levels in CATEGORIES.items():
        texts = [study.variables[name].levels[code] for code in rows.columns[name]]
        data[name] = pd.Categorical(texts, categories=levels)
    return pd.DataFrame(data)


def products(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    joined = st.tuples(inner, st.sampled_from(["*", ":"]), inner).map("".join)
    return joined | st.lists(inner, min_size=2, max_size=3).map(lambda terms: f"({' + '.join(terms)})")


TERMS = st.recursive(st.sampled_from(FACTORS), products, max_leaves=4)
SUMS = st.lists(TERMS, min_size=1, max_size=4).map(" + ".join)
RIGHT = st.tuples(SUMS, st.sampled_from(["", "", " - 1", " + 0"])).map("".join)


@FIXTURES
@given(right=RIGHT)
def test_a_design_spans_what_formulaic_spans_with_as_many_columns(right: str, study: Study, rows: Rows, frame: pd.DataFrame) -> None:
    ours = parse(f"disease ~ {right}", study)
    theirs = model_matrix(right, frame, ensure_full_rank=True)
    design, oracle = ours.design(rows), np.asarray(theirs, dtype=float)
    assert design.shape == oracle.shape
    np.testing.assert_allclose(projected(oracle, onto=design), oracle, rtol=1e-6, atol=1e-8 * np.abs(oracle).max())
    by_name = {spelled(name): oracle[:, place] for place, name in enumerate(theirs.columns)}
    for place, column in enumerate(ours.columns):
        if spelled(column.name) in by_name:
            np.testing.assert_allclose(design[:, place], by_name[spelled(column.name)], rtol=1e-14)


@FIXTURES
@given(right=RIGHT)
def test_a_design_of_crossed_categories_has_full_rank(right: str, study: Study, rows: Rows) -> None:
    without_numbers = parse(f"disease ~ {re.sub('age|bp|exang|log.age.', 'sex', right)}", study)
    design = without_numbers.design(rows)
    assert np.linalg.matrix_rank(design) == design.shape[1]


def projected(columns: np.ndarray, *, onto: np.ndarray) -> np.ndarray:
    unit = onto / np.linalg.norm(onto, axis=0)
    return unit @ np.linalg.lstsq(unit, columns, rcond=1e-13)[0]


@pytest.mark.parametrize(
    "right",
    [
        "sex*race*arm",
        "age*sex*race - 1",
        "sex:race",
        "race:sex",
        "sex + sex:race:arm",
        "age + age:sex:race",
        "0 + exang + sex:arm",
        "(age + bp + sex)*(race + exang)",
        "age:sex:race + arm",
    ],
)
def test_columns_are_named_as_formulaic_names_them(right: str, study: Study, frame: pd.DataFrame) -> None:
    theirs = model_matrix(right, frame, ensure_full_rank=True)
    assert sorted(map(sorted, map(spelled, theirs.columns))) == sorted(
        sorted(spelled(column.name)) for column in parse(f"disease ~ {right}", study).columns
    )


def spelled(name: str) -> frozenset[str]:
    """A column's name as the set of its factors; formulaic writes race[T.b] for race[b]."""
    return frozenset(name.replace("[T.", "[").replace("Intercept", "(Intercept)").replace("((", "(").replace("))", ")").split(":"))


def test_columns_come_in_rs_order_with_rs_reference_levels(study: Study) -> None:
    made = parse("disease ~ sex*arm + age", study).columns
    assert [column.name for column in made] == [
        "(Intercept)",
        "sex[male]",
        "arm[1]",
        "arm[3]",
        "age",
        "sex[male]:arm[1]",
        "sex[male]:arm[3]",
    ]
    assert [column.reference for column in made] == [None, "female", "2", "2", None, None, None]
    assert [column.term for column in made] == ["(Intercept)", "sex", "arm", "arm", "age", "sex:arm", "sex:arm"]


def test_a_lone_category_in_an_interaction_tells_its_reference(study: Study) -> None:
    assert [(column.name, column.reference) for column in parse("disease ~ age*sex", study).columns][2:] == [
        ("sex[male]", "female"),
        ("age:sex[male]", "female"),
    ]


def test_without_an_intercept_the_first_category_has_all_its_levels(study: Study) -> None:
    made = parse("disease ~ sex + arm - 1", study).columns
    assert [(column.name, column.reference) for column in made] == [
        ("sex[female]", None),
        ("sex[male]", None),
        ("arm[1]", "2"),
        ("arm[3]", "2"),
    ]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ('C(sex, ref="male")', ["sex[female]"]),
        ("C(arm, ref=3)", ["arm[1]", "arm[2]"]),
        ("C(arm, ref='3.0')", ["arm[1]", "arm[2]"]),
        ("C(exang)", ["exang[1]"]),
        ("C(exang, ref=1)", ["exang[0]"]),
        ("exang", ["exang"]),
        ("I(age ^ 2.0)", ["I(age^2)"]),
        ("I( log(age)^-0.5 )", ["I(log(age)^-0.5)"]),
        ("age:age", ["age"]),
        ("race:race + race", ["race[b]", "race[c]"]),
    ],
)
def test_names_are_canonical(written: str, names: list[str], study: Study) -> None:
    assert [column.name for column in parse(f"~ {written}", study).columns[1:]] == names


def test_another_reference_moves_the_columns_and_nothing_else(study: Study, rows: Rows) -> None:
    design = parse('~ C(arm, ref="1") + age', study).design(rows)
    np.testing.assert_array_equal(design[:, 1], rows.columns["arm"] == 1)
    np.testing.assert_array_equal(design[:, 2], rows.columns["arm"] == 2)


def test_transforms_and_pooled_moments(study: Study, rows: Rows) -> None:
    formula = parse("disease ~ sqrt(age) + exp(I(age^-1)) + center(age) + scale(bp) + offset(log(bp)) + offset(age)", study)
    age, bp = rows.columns["age"], rows.columns["bp"]
    assert formula.moments == ("age", "bp")
    design = formula.design(rows, {"age": (50.0, 9.0), "bp": (120.0, 20.0)})
    np.testing.assert_array_equal(design[:, 1:].T, [np.sqrt(age), np.exp(age**-1.0), age - 50, (bp - 120) / 20])
    np.testing.assert_array_equal(formula.offset_values(rows), np.log(bp) + age)
    assert formula.offset == ("log(bp)", "age")
    with pytest.raises(ValueError, match="pooled mean and sd of age"):
        formula.design(rows)


def test_the_outcome(study: Study, rows: Rows) -> None:
    np.testing.assert_array_equal(parse("log(bp) ~ age", study).response_values(rows), np.log(rows.columns["bp"]))
    np.testing.assert_array_equal(parse("race ~ age", study).response_values(rows), rows.columns["race"].astype(float))
    survival = parse("Surv(age, disease) ~ sex + strata(race, arm) + cluster(clinic)", study)
    assert (survival.response, survival.survival) == (None, ("age", "disease"))
    assert (survival.strata, survival.cluster) == (("race", "arm"), ("clinic",))
    assert survival.variables == ("age", "disease", "sex", "race", "arm", "clinic")
    for made, name in zip(survival.survival_values(rows), ("age", "disease"), strict=True):
        np.testing.assert_array_equal(made, rows.columns[name])
    assert parse("~ age + (1 | clinic)", study).random == ("clinic",)


def natural_cubic(x: np.ndarray, knots: Iterable[float]) -> np.ndarray:
    """A natural cubic spline's truncated powers (Hastie, Tibshirani, Friedman 2009, 5.2.1)."""
    all_knots = list(knots)

    def d(k: int) -> np.ndarray:
        last = all_knots[-1]
        return (np.maximum(x - all_knots[k], 0) ** 3 - np.maximum(x - last, 0) ** 3) / (last - all_knots[k])

    columns = [np.ones_like(x), x, *(d(k) - d(len(all_knots) - 2) for k in range(len(all_knots) - 2))]
    return np.column_stack(columns)


@settings(max_examples=40)
@given(inner=st.lists(st.integers(31, 79), max_size=4, unique=True).map(sorted), seed=st.integers(0, 99))
def test_natural_splines_are_those_of_the_textbook_also_beyond_the_bounds(inner: list[int], seed: int) -> None:
    study = Study.from_definition({"variables": {"x": {"type": "number"}}})
    x = np.random.default_rng(seed).uniform(10, 100, 60)
    knots = f"knots=c({', '.join(map(str, inner))}), " if inner else ""
    formula = parse(f"~ ns(x, {knots}bounds=c(30, 80))", study)
    design = formula.design(Rows(n=60, columns={"x": x}))
    oracle = natural_cubic((x - 50) / 20, [(knot - 50) / 20 for knot in (30, *inner, 80)])
    assert design.shape == oracle.shape
    fitted, *_ = np.linalg.lstsq(oracle, design, rcond=None)
    np.testing.assert_allclose(oracle @ fitted, design, atol=1e-8)
    assert np.linalg.matrix_rank(design) == design.shape[1]


@settings(max_examples=40)
@given(inner=st.lists(st.integers(31, 79), max_size=4, unique=True).map(sorted), degree=st.integers(1, 5))
def test_b_splines_are_patsys(inner: list[int], degree: int) -> None:
    study = Study.from_definition({"variables": {"x": {"type": "number"}}})
    x = np.linspace(30, 80, 41)
    knots = f"knots=c({', '.join(map(str, inner))}), " if inner else ""
    formula = parse(f"~ bs(x, {knots}degree={degree}, bounds=c(30, 80))", study)
    design = formula.design(Rows(n=41, columns={"x": x}))
    oracle = patsy.bs(x, knots=inner, degree=degree, lower_bound=30, upper_bound=80)
    np.testing.assert_allclose(design[:, 1:], oracle, atol=1e-12)


def test_a_spline_interacts_and_is_named_by_its_canonical_text(study: Study, rows: Rows) -> None:
    formula = parse("~ sex*bs(age, degree=2, bounds=c(30,80.0))", study)
    text = "bs(age, degree=2, bounds=c(30, 80))"
    assert [column.name for column in formula.columns[2:]] == [
        f"{text}[1]",
        f"{text}[2]",
        f"sex[male]:{text}[1]",
        f"sex[male]:{text}[2]",
    ]
    design = formula.design(rows)
    np.testing.assert_array_equal(design[:, 4], design[:, 2] * rows.columns["sex"])


def test_rows_must_be_complete(study: Study) -> None:
    gaps = Rows(n=2, columns={"age": np.array([1.0, np.nan]), "sex": np.array([0, -1])})
    for text in ("~ age", "~ sex", "~ log(age)"):
        with pytest.raises(ValueError, match="complete rows"):
            parse(text, study).design(gaps)


def test_no_rows_make_an_empty_design(study: Study) -> None:
    nothing = Rows(n=0, columns={"age": np.zeros(0), "sex": np.zeros(0, dtype=np.int64)})
    assert parse("~ age*sex + ns(age, bounds=c(0, 1))", study).design(nothing).shape == (0, 5)
