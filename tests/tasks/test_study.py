"""A project's variables: what is accepted, how values compare, and the sentence for everything else."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from starfish.tasks.errors import InvalidTask
from starfish.tasks.study import Study, Variable, value_key

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("age")
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3))


def variable(**keys: Any) -> Variable:
    return Study.from_definition({"variables": {"x": keys}}).variables["x"]


def refused(**keys: Any) -> InvalidTask:
    with pytest.raises(InvalidTask) as caught:
        variable(**keys)
    assert (caught.value.code, caught.value.variable) == ("definition", "x")
    return caught.value


def test_a_definition_as_a_project_file_writes_it() -> None:
    study = Study.from_definition(
        yaml.safe_load(
            """
            variables:
              age: {type: number, unit: years, min: 18, max: 120.5, missing_codes: [-9, 999.0]}
              sex: {type: category, levels: [female, male], label: Sex at birth}
              stage: {type: category, levels: [1, 2.0, 3], reference: 2}
              smokes: {type: binary, positive: yes, role: exposure}
            missing: refuse
            eligibility: age >= 18
            """
        )
    )
    assert study.variables["age"].missing_codes == ("-9", "999")
    assert study.variables["stage"].levels == ("1", "2", "3")
    assert study.variables["stage"].baseline == 1
    assert study.variables["smokes"].values == ("false", "true")
    assert (study.missing, study.eligibility) == ("refuse", "age >= 18")
    assert Study.from_definition(study.model_dump()) == study, "what is stored reads back as it was"
    assert Study.from_definition({}) == Study()


@pytest.mark.parametrize(
    ("positive", "levels", "values"),
    [
        (None, [], ("0", "1")),
        (1.0, [], ("0", "1")),
        ("1.0", [], ("0", "1.0")),
        (0, [], ("1", "0")),
        (True, [], ("false", "true")),
        ("Yes", [], ("no", "Yes")),
        ("N", [], ("y", "N")),
        ("T", [], ("f", "T")),
        ("present", ["present", "absent"], ("absent", "present")),
        (2, [1, "2.0"], ("1", "2")),
        (None, ["1", "2"], ("2", "1")),
    ],
)
def test_a_binary_variable_knows_its_other_value(positive: Any, levels: list[Any], values: tuple[str, str]) -> None:
    assert variable(type="binary", positive=positive, levels=levels).values == values


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({}, "x: 'type' is needed: number, integer, binary, category, date, text, id."),
        ({"type": "numeric"}, "x: 'type' must be one of 'number', 'integer', 'binary', 'category', 'date', 'text', 'id', not 'numeric'."),
        ({"type": "number", "units": "cm"}, "x: 'units' is unknown. Did you mean 'unit'?"),
        ({"type": "number", "min": "low"}, "x: 'min' must be a number, not 'low'."),
        ({"type": "number", "min": "nan"}, "x: 'min' must be a finite number."),
        ({"type": "number", "max": float("inf")}, "x: 'max' must be a number, not inf."),
        ({"type": "number", "min": True}, "x: 'min' must be a number, not True."),
        ({"type": "number", "min": 3, "max": 2}, "x: 'min' is 3 and 'max' 2: no value lies between them."),
        ({"type": "number", "resolution": 0}, "x: 'resolution' must be above 0."),
        ({"type": "number", "levels": ["a", "b"]}, "x: 'levels' has no meaning for a variable of type number."),
        ({"type": "date", "min": 3}, "x: 'min' has no meaning for a variable of type date."),
        ({"type": "category", "positive": 1, "levels": [1, 2]}, "x: 'positive' has no meaning for a variable of type category."),
        ({"type": "category"}, "x: 'levels' must list at least two levels, such as [female, male], for a category."),
        ({"type": "category", "levels": "ab"}, "x: 'levels' must be a list, such as [a, b], not 'ab'."),
        ({"type": "category", "levels": ["a", "b", "a"]}, "x: 'levels' names 'a' twice (1 and 1.0 are the same)."),
        ({"type": "category", "levels": [1, 2, "1.0"]}, "x: 'levels' names '1.0' twice (1 and 1.0 are the same)."),
        ({"type": "category", "levels": ["a", " "]}, "x: 'levels' holds an empty level or one with control characters."),
        ({"type": "category", "levels": ["a", None]}, "x: 'levels' must be a text, not ['a', None]."),
        ({"type": "category", "levels": ["a", "b"], "reference": "c"}, "x: 'reference' is 'c', which is not among the levels a, b."),
        ({"type": "category", "levels": [1, 2], "missing_codes": [9, "2.0"]}, "x: 'missing_codes' names '2', which is also a value"),
        ({"type": "binary", "positive": "present"}, "x: 'positive' is 'present': name the other value too, as 'levels: [other, present]'."),
        ({"type": "binary", "levels": ["a", "b"]}, "x: the levels are a and b, and 'positive' must say which of them counts as 1."),
        ({"type": "binary", "levels": ["a", "b"], "positive": "c"}, "x: the levels are a and b, and 'positive' is 'c'."),
        ({"type": "binary", "levels": [0, 1, 2]}, "x: 'levels' of a binary variable are two, not 3; use type category for more."),
        ({"type": "binary", "levels": ["Yes", "yes"], "positive": "yes"}, "x: 'levels' names 'yes' twice (1 and 1.0 are the same)."),
        ({"type": "binary", "reference": 1}, "x: 'reference' of a binary variable is the value that is not 'positive'"),
        ({"type": "binary", "missing_codes": ["NO"], "positive": "yes"}, "x: 'missing_codes' names 'no', which is also a value"),
    ],
)
def test_one_sentence_names_the_variable_and_the_key(keys: dict[str, Any], sentence: str) -> None:
    public = refused(**keys).public
    assert public.startswith(sentence)
    assert public.endswith(".") or sentence.endswith("?")


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        ({"variabels": {}}, "the project's definition: 'variabels' is unknown. Did you mean 'variables'?"),
        ({"variables": ["age"]}, "'variables' must name each variable and its type, such as age: {type: number}."),
        ({"variables": {"age": "number"}}, "age: say what it is, such as age: {type: number}, not 'number'."),
        ({"variables": {}, "missing": "drop"}, "'missing' must be refuse, complete-cases or impute, not 'drop'."),
        ({"variables": {}, "missing": ["refuse"]}, "'missing' must be refuse, complete-cases or impute, not ['refuse']."),
        ({"eligibility": 3}, "'eligibility' must be a text, such as \"age >= 18\", not 3."),
        ({"variables": {"Not": {"type": "number"}}}, "'Not' can't be a variable's name: it is a word of the eligibility language."),
        ({"variables": {"Age": {"type": "text"}, "age": {"type": "text"}}}, "'age' and 'Age' differ by case alone; rename one."),
    ],
)
def test_a_definition_that_is_none(definition: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        Study.from_definition(definition)
    assert caught.value.public == sentence


@pytest.mark.parametrize("name", ["", "1st", "a b", "a.b", "_x", "os.system('x')", "größe", "a" * 65, 5, None, "x\n"])
def test_a_name_is_letters_digits_and_underscores(name: Any) -> None:
    with pytest.raises(InvalidTask, match="can't be a variable's name"):
        Study.from_definition({"variables": {name: {"type": "number"}}})


@given(
    definition=st.dictionaries(st.sampled_from(["variables", "missing", "eligibility"]), ANYTHING)
    | st.fixed_dictionaries(
        {"variables": st.fixed_dictionaries({"x": st.dictionaries(st.sampled_from(sorted(Variable.model_fields)), ANYTHING, max_size=5)})}
    )
    | st.fixed_dictionaries(
        {
            "variables": st.fixed_dictionaries(
                {
                    "x": st.fixed_dictionaries(
                        {"type": st.sampled_from(["binary", "category", "number"])},
                        optional={
                            key: SCALARS | st.lists(SCALARS, max_size=3)
                            for key in ("levels", "positive", "reference", "min", "missing_codes")
                        },
                    )
                }
            )
        }
    )
)
def test_whatever_is_written_is_a_study_or_one_sentence(definition: dict[str, Any]) -> None:
    try:
        study = Study.from_definition(definition)
    except InvalidTask as error:
        assert error.public.count("\n") == 0
        assert len(error.public) < 2000
    else:
        for stated in study.variables.values():
            if stated.type in ("binary", "category"):
                assert [stated.code_of(value) for value in stated.values] == list(range(len(stated.values)))
                assert 0 <= stated.baseline < len(stated.values)


@pytest.mark.parametrize(
    "same", [("1", "1.0", "1e0", "+1", " 1 ", "01", "10e-1"), ("0", "-0", "0.0"), ("male",), ("Male",), ("1a",), ("inf",), ("nan",)]
)
def test_values_compare_as_numbers_where_both_are_numbers_else_as_text(same: tuple[str, ...]) -> None:
    assert len({value_key(text) for text in same}) == 1
    assert value_key(same[0]) not in {value_key(text) for text in ("2", "female", "1.0000000000000000001", "١")}
