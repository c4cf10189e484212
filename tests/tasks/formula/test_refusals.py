"""Whatever is written: a formula, or one sentence that names the place. Never anything run, never another exception."""

import re
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from starfish.tasks.api import Rows
from starfish.tasks.errors import InvalidTask, SiteRefusal
from starfish.tasks.formula import parse
from starfish.tasks.formula.eligibility import parse_eligibility
from starfish.tasks.study import Study
from tests.tasks.formula.conftest import DEFINITION

STUDY = Study.from_definition(DEFINITION)
PIECES = [*STUDY.variables, *"~+-*:()=,^|<>.'\"[]{}\\;@#%&\n", "==", "0", "1", "2.5", "log", "exp", "C", "I", "ns", "bs", "Surv", "offset"]
PIECES += [
    "strata",
    "c",
    "ref",
    "knots",
    "bounds",
    "degree",
    "center",
    "(1|",
    "'male'",
    " and ",
    " or ",
    " not ",
    " is missing",
    "__import__",
    "é",
]
SOUP = st.lists(st.sampled_from(PIECES), max_size=25).map("".join)


@given(text=st.one_of(SOUP, st.text(max_size=40), SOUP.map(lambda right: f"disease ~ {right}")))
@example(text="disease ~ " + "(" * 1000 + "age" + ")" * 1000)
@example(text="disease ~ " + "log(" * 300 + "age" + ")" * 300)
@example(text="disease ~ I(" * 100)
@example(text="disease ~ age\x00")
@example(text="disease ~ bs(age, knots=1e999, bounds=c(0, 1))")
@example(text="\ud800 ~ age")
def test_any_text_is_a_formula_or_one_sentence(text: str) -> None:
    for read in (parse, parse_eligibility):
        error = refusal(read, text)
        if error is not None:
            assert error.code in ("formula", "eligibility")
            assert re.fullmatch(r"In the (formula|eligibility), at .{1,600}[.?]", error.public)
            assert error.public.isprintable()


def refusal(read: Callable[[str, Study], object], text: str) -> InvalidTask | None:
    try:
        read(text, STUDY)
    except InvalidTask as error:
        return error
    return None


@pytest.mark.parametrize(
    "attempt",
    [
        "disease ~ __import__('os').system('touch /tmp/x')",
        "disease ~ age + (lambda: age)()",
        "disease ~ open(age)",
        "disease ~ `age`",
        "disease ~ age if age else bp",
        "disease ~ {age}",
        "disease ~ age; import os",
        "disease ~ I(__import__('os'))",
        "disease ~ C(sex, contr=age)",
        "disease ~ C(sex, ref=__name__)",
        "disease ~ np.log(age)",
        "disease ~ age @ bp",
        "disease ~ age == 50",
        "disease ~ log.__call__(age)",
        "disease ~ f'{age}'",
        "disease ~ I(age**2)",
        "exec ~ age",
        "disease ~ age ~ bp",
        "~ ~ age",
    ],
)
def test_code_is_refused_at_its_place(attempt: str) -> None:
    with pytest.raises(InvalidTask, match=r"^In the formula, at (character \d+ \('.+'\)|the end): .+[.?]$") as caught:
        parse(attempt, STUDY)
    assert caught.value.code == "formula"


def test_a_near_name_is_offered() -> None:
    with pytest.raises(InvalidTask, match=r"at character 11 \('agge'\): there is no variable 'agge' in the project. Did you mean 'age'\?$"):
        parse("disease ~ agge", STUDY)


def test_what_would_explode_is_refused_at_once() -> None:
    wide = Study.from_definition(
        {
            "variables": {f"v{i}": {"type": "category", "levels": [f"l{j}" for j in range(30)]} for i in range(12)}
            | {"y": {"type": "binary"}}
        }
    )
    started = time.process_time()
    for text, reason in {
        "y ~ " + "*".join(f"v{i}" for i in range(12)): "more than 6 variables",
        "y ~ v0:v1:v2:v3": "more than 1000 columns",
        "y ~ " + ":".join(f"({' + '.join(f'v{i}' for i in range(12))})" for _ in range(4)): "500 is the most",
        "y ~ " + "v0+" * 1000 + "v1": "2000 is the most",
    }.items():
        with pytest.raises(InvalidTask, match=reason):
            parse(text, wide)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("formula", "rule", "value"),
    [
        ("~ log(age)", "log(age) is no number", "row 2: 0"),
        ("~ sqrt(center(bp))", "sqrt(center(bp)) is no number", "row 2: -2"),
        ("~ I(age^-1)", "I(age^-1) is no number", "row 2: 0"),
        ("~ exp(I(bp^9))", "exp(I(bp^9)) is no number", "row 1: 262144, row 3"),
        ("~ bs(bp, bounds=c(3, 9))", "bp lies outside the spline's bounds 3 to 9", "row 2: 2"),
        ("~ offset(log(age))", "log(age) is no number", "row 2: 0"),
    ],
)
def test_a_row_without_a_value_is_told_by_count_in_public_and_by_row_in_private(formula: str, rule: str, value: str) -> None:
    parsed = parse(formula, STUDY)
    rows = Rows(n=3, columns={"age": np.array([5.0, 0.0, 1.0]), "bp": np.array([4.0, 2.0, 4.5])})
    moments = {"bp": (4.0, 1.0)}
    read = parsed.offset_values if parsed.offset else parsed.design
    with pytest.raises(SiteRefusal) as caught:
        read(rows, moments)
    refusal = caught.value
    assert rule in refusal.public
    assert re.search(r" in (1 row|2 rows)\.$", refusal.public)
    assert "row 2" not in refusal.public
    assert value in refusal.private
    assert refusal.variable == parsed.variables[0]
