"""YAML with the line of every value, without YAML 1.1's surprises.

`no`, `yes`, `on` stay words (they are levels of a variable, and names), dates stay text, `1e-3` is a number, `007` is text,
a key that stands twice is an error, and nothing but plain values is ever made.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from starfish.controller.errors import FileError

Place = tuple[str | int, ...]

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_VALUES = 100_000

_PLAIN: list[tuple[re.Pattern[str], Callable[[str], Any]]] = [
    (re.compile(r"(?:~|null|)$"), lambda text: None),
    (re.compile(r"(?:true|false)$"), lambda text: text == "true"),
    (re.compile(r"[-+]?(?:0|[1-9][0-9]{0,300})$"), int),
    (re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"), float),
]


@dataclass(frozen=True, kw_only=True)
class Located:
    """A document's value, and the line (from 1) at which the value of each path begins."""

    value: Any
    lines: dict[Place, int] = field(repr=False)

    def line(self, *path: str | int) -> int:
        """The line of the nearest thing that is there."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def read_text(path: Path) -> str:
    """A file that a person wrote. Raises FileError, whose text doesn't name it."""
    if path.is_dir():
        raise FileError("this is a folder; name the file in it.")
    try:
        with path.open("rb") as file:  # no more than that: a device has no end
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise FileError("this is too large for a file of its kind; data are given with --dataset or --site.")
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except FileNotFoundError:
        raise FileError("there is no such file.") from None
    except UnicodeDecodeError:
        raise FileError("this is not a text file in UTF-8.") from None
    except OSError as error:
        raise FileError(f"it can't be read: {error.strerror or error}.") from error


def parse(text: str) -> Located:
    """Raises FileError with the line."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise FileError(_syntax(error, text)) from error
    except RecursionError:
        raise FileError("it is nested too deeply.") from None
    lines: dict[Place, int] = {(): 1}
    return Located(value=None if node is None else _value(node, (), lines), lines=lines)


def _value(node: yaml.Node, path: Place, lines: dict[Place, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if len(path) > MAX_DEPTH or len(lines) > MAX_VALUES:  # aliases can make a few lines endless
        raise FileError(f"line {lines[path]}: nested too deeply, or too much for a project file.")
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*path, number), lines) for number, child in enumerate(node.value)]
    result: dict[str, Any] = {}
    for key_node, child in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise FileError(f"line {line}: a name must be a word, not a list or a mapping.")
        key = key_node.value
        if key in result:
            raise FileError(f"line {line}: '{key}' stands here twice; it is at line {lines[(*path, key)]} already.")
        lines[(*path, key)] = line
        result[key] = _value(child, (*path, key), lines)
    return result


def _scalar(node: yaml.ScalarNode) -> Any:
    if node.style is None:  # plain, not quoted
        for pattern, make in _PLAIN:
            if pattern.match(node.value):
                value = make(node.value)
                return node.value if value in (math.inf, -math.inf) else value
    return node.value


def _syntax(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return f"line {line}: character {ord(text[error.position])} has no place in a text. Save the file as plain text in UTF-8."
    if mark is None:
        return f"this is not YAML: {error}."
    line = mark.line + 1
    source = text.splitlines()[mark.line] if mark.line < len(text.splitlines()) else ""
    if "\t" in source[: len(source) - len(source.lstrip())] or "'\\t'" in str(getattr(error, "problem", "")):
        return f"line {line}: a tab stands where YAML wants spaces. Indent with spaces."
    if "another document" in str(getattr(error, "problem", "")):
        return f"line {line}: a second document begins ('---'); a file holds one."
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or "this is not YAML"
    return f"line {line}: {problem}. Quote texts that hold ': ', '#' or begin with a sign, and check the indentation."
