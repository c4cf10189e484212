"""One content has one form: what is written reads back, and anything else that reads the same is refused."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.sealing import canonical
from tests.sealing.study import refused

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=5)


@given(OBJECTS)
def test_what_is_written_reads_back_and_is_ascii(value: dict[str, Any]) -> None:
    text = canonical.dumps(value, "It")
    assert text.isascii()
    assert text.isprintable()
    assert canonical.loads(text, "It") == value


@given(OBJECTS.filter(bool), st.sampled_from(["indent", "unicode", "order", "space", "line"]))
def test_every_other_form_is_refused(value: dict[str, Any], how: str) -> None:
    text = canonical.dumps(value, "It")
    other = {
        "indent": json.dumps(value, sort_keys=True, indent=1),
        "unicode": json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        "order": json.dumps(dict(sorted(value.items(), reverse=True)), separators=(",", ":")),
        "space": text.replace("{", "{ ", 1),
        "line": text + "\n",
    }[how]
    if other != text:
        refused(lambda: canonical.loads(other, "It"), "form")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "null",
        '"text"',
        '{"a":1,"a":1}',
        '{"a":1,"a":2}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":-Infinity}',
        '{"a":1e400}',
        '{"a":1E5}',
        '{"a":1e5}',
        '{"a":1.10}',
        '{"a":-0}',
        '{"a":01}',
        '{"a":9223372036854775808}',
        '{"a":-9223372036854775809}',
        '{"a":' + "9" * 5000 + "}",
        '{"a":"\\u0000"}',
        '{"\\u0000":1}',
        '{"a":"\\ud800"}',
        '{"a":"\\u00FC"}',
        '{"a":"\\u0041"}',
        '{"a":"\\/"}',
        '{"a":"\x00"}',
        '{"a":"\x7f"}',
        '{"a":1}\r',
        "\ufeff{}",
        "{}{}",
        "{'a':1}",
        '{"a":1,}',
    ],
)
def test_what_is_none(text: str) -> None:
    refused(lambda: canonical.loads(text, "It"), "form")


@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_bottomless_nesting_is_refused_by_name(opening: str) -> None:
    closing = {"[": "]"}.get(opening, "}")
    for depth in (64, 900, 100_000):
        text = '{"a":' + opening * depth + "1" + closing * depth + "}"
        assert "nested" in str(refused(lambda text=text: canonical.loads(text, "It"), "form"))
    assert canonical.loads('{"a":' + opening * 63 + "1" + closing * 63 + "}", "It")


@pytest.mark.parametrize("value", [math.nan, math.inf, b"bytes", {1, 2}, object(), "\0", "\ud800", 2**63])
def test_what_json_cannot_say_is_not_written(value: Any) -> None:
    refused(lambda: canonical.dumps({"a": value}, "It"), "value", "form")


def test_a_circle_is_not_written() -> None:
    circle: dict[str, Any] = {}
    circle["a"] = circle
    refused(lambda: canonical.dumps(circle, "It"), "value")
