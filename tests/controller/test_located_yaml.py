"""YAML with lines, and without what YAML 1.1 makes of plain words."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.controller.errors import FileError
from starfish.controller.located_yaml import parse, read_text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[no, yes, on, off, n, y]", ["no", "yes", "on", "off", "n", "y"]),
        ("[true, false, null, ~]", [True, False, None, None]),
        ("[1, -2, 007, 1_000, 1:30]", [1, -2, "007", "1_000", "1:30"]),
        ("[1.5, 1e-3, .5, -2.E+2, 1e, inf, .inf, nan, 1e999]", [1.5, 0.001, 0.5, -200.0, "1e", "inf", ".inf", "nan", "1e999"]),
        ("9" * 5000, "9" * 5000),
        ("['1', \"2\", 2020-01-01]", ["1", "2", "2020-01-01"]),
        ("{no: 1, 5: 2}", {"no": 1, "5": 2}),
        ("a: |\n  long\n  text\n", {"a": "long\ntext\n"}),
        ("", None),
    ],
)
def test_values(text: str, value: object) -> None:
    assert parse(text).value == value


def test_lines() -> None:
    document = parse("name: x\nvariables:\n  age: {type: number}\ntasks:\n  - model: A\n  - model: B\n    config:\n      alpha: 1\n")
    assert document.line("variables", "age", "type") == 3
    assert document.line("tasks", 1) == 6
    assert document.line("tasks", 1, "config", "alpha") == 8
    assert document.line("tasks", 1, "nothing", "there") == 6, "the nearest thing that is there"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n\tc: 2\n", "line 3: a tab stands where YAML wants spaces"),
        ("a: 1\nb: 2\na: 3\n", "line 3: 'a' stands here twice; it is at line 1 already"),
        ("a: [1, 2\nb: 3\n", "line 2:"),
        ("a: b: c\n", "line 1:"),
        ("? [1]\n: 2\n", "line 1: a name must be a word"),
        ("a: 1\n--- \nb: 2\n", "line 2: a second document begins"),
        ("a: &x [*x]\n", "nested too deeply"),
        ("[" * 30 + "]" * 30, "nested too deeply"),
        ("[" * 5000, "nested too deeply"),
        ("a: !!python/object/apply:os.system [ls]\n", None),
        ("a: 1\nb: \x00\n", "line 2: character 0 has no place in a text"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, message: str | None) -> None:
    if message is None:
        assert parse(text).value == {"a": ["ls"]}, "a tag makes nothing"
        return
    with pytest.raises(FileError, match=message):
        parse(text)


def test_aliases_cannot_make_a_small_file_endless() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(FileError, match="too much"):
        parse("\n".join(lines))


@given(st.text(alphabet=" \t\n:-[]{}\"'#&*!|>ab1.,?%@", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except FileError as error:
        assert str(error).endswith((".", ":"))


def test_a_device_without_an_end_is_too_large() -> None:
    with pytest.raises(FileError, match="too large"):
        read_text(Path("/dev/zero"))


def test_line_ends_of_any_kind_are_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: |\r  c\r  d\r")
    assert parse(read_text(tmp_path / "a.yaml")).value == {"a": 1, "b": "c\nd\n"}
