"""The rules of a policy: what each holds back and why, what may be said for it, and its value in each preset."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

NAMES = ("open", "standard", "strict")
PURPOSE = {
    "open": "For public data: nothing is held back.",
    "standard": "For patients' data: what is known to give single rows away is refused.",
    "strict": "For patients' data that need more: larger groups, fewer questions, and a person who approves each batch.",
}
MOST = 10**9


class Senseless(ValueError):
    """A value that a rule can't have; the text completes "'min_rows' must be …"."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of a policy file. `read` makes its value of what YAML says. Raises Senseless."""

    name: str
    why: str
    read: Callable[[Any], Any]
    open: Any
    standard: Any
    strict: Any

    def of(self, preset: str) -> Any:
        return getattr(self, preset)


def _count(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= MOST:
            raise Senseless(f"a whole number from {least} to {MOST}")
        return value

    return read


def _limit(value: Any) -> int | None:
    """A number of times; None: no limit."""
    if value == "none":
        return None
    if type(value) is not int or not 1 <= value <= MOST:
        raise Senseless(f"a whole number from 1 to {MOST}, or none")
    return value


def _ratio(value: Any) -> float:
    if value == "none":
        return math.inf
    if type(value) not in (int, float) or not 0 < value <= 100:
        raise Senseless("a number above 0, such as 0.33, or none")
    return float(value)


def _share(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value <= 1:
        raise Senseless("a number above 0 and up to 1, such as 0.2")
    return float(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise Senseless("true or false")
    return value


def _names(*words: str) -> Callable[[Any], str | tuple[str, ...]]:
    """One of the words, or a list of names."""

    def read(value: Any) -> str | tuple[str, ...]:
        if value in words:
            return str(value)
        if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value) or len(set(value)) < len(value):
            raise Senseless(f"{' or '.join(words)}, or a list of different names, such as [one, another]")
        return tuple(value)

    return read


def _one_of(*words: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in words:
            raise Senseless(f"{', '.join(words[:-1])} or {words[-1]}")
        return str(value)

    return read


RULES = (
    Rule(
        name="tasks",
        why="Which tasks may read this site's data: all that are installed, or a list of their names.",
        read=_names("all"),
        open="all",
        standard="all",
        strict="all",
    ),
    Rule(
        name="datasets",
        why="Which datasets may take part: all, or a list of their names.",
        read=_names("all"),
        open="all",
        standard="all",
        strict="all",
    ),
    Rule(
        name="by_name",
        why="Whether projects that are joined by name are allowed. They are unverified and not sealed: the Routing Server "
        "can read and change what is sent.",
        read=_flag,
        open=True,
        standard=False,
        strict=False,
    ),
    Rule(
        name="approve",
        why="When a person must approve a batch (starfish run approve): never; close-rows: where its rows are nearly those "
        "of a batch before (min_rows says how nearly); each-batch.",
        read=_one_of("never", "close-rows", "each-batch"),
        open="never",
        standard="close-rows",
        strict="each-batch",
    ),
    Rule(
        name="min_rows",
        why="The fewest rows that a task may use here. Sums over fewer come too near to single patients; so does the "
        "difference of two sums over rows that differ by fewer.",
        read=_count(1),
        open=1,
        standard=10,
        strict=30,
    ),
    Rule(
        name="min_cell",
        why="The fewest rows in a cell of a table, in a level of a category, and with a 1 (or a 0) in a column of a model. "
        "An indicator of one patient would make every sum about that patient.",
        read=_count(0),
        open=0,
        standard=5,
        strict=10,
    ),
    Rule(
        name="min_events",
        why="The fewest events, and the fewest rows without the event, that a model may use.",
        read=_count(0),
        open=0,
        standard=5,
        strict=10,
    ),
    Rule(
        name="max_parameters",
        why="The most parameters for each row. A model with nearly as many parameters as rows repeats the rows.",
        read=_ratio,
        open=math.inf,
        standard=0.33,
        strict=0.1,
    ),
    Rule(
        name="min_sites",
        why="The fewest sites in a pooled result that participants see. With two, each finds the other's part by taking away its own.",
        read=_count(1),
        open=1,
        standard=3,
        strict=4,
    ),
    Rule(
        name="oracle",
        why="Whether sums of a likelihood are given only at the points where the pooled fit itself leads. At points of the "
        "asker's choice they give away single rows.",
        read=_flag,
        open=False,
        standard=True,
        strict=True,
    ),
    Rule(
        name="max_share",
        why="The largest part of any of a model's diagonal information that one row may supply (where oracle is true).",
        read=_share,
        open=1.0,
        standard=0.2,
        strict=0.1,
    ),
    Rule(
        name="max_queries",
        why="The most different answers about the same rows and variables, over all batches and projects. A logistic "
        "regression takes about ten.",
        read=_limit,
        open=None,
        standard=500,
        strict=100,
    ),
    Rule(
        name="max_rounds",
        why="The most different answers about one dataset, whatever the rows and variables, over all batches and projects. "
        "Raise it once you have looked at what left (starfish site audit).",
        read=_limit,
        open=None,
        standard=5000,
        strict=1000,
    ),
    Rule(
        name="not_isolated",
        why="Which tasks may run where this system can't keep task code from the site's keys (starfish site doctor says "
        "so): all, own (those that come with Starfish), none, or a list of names.",
        read=_names("all", "own", "none"),
        open="all",
        standard="own",
        strict="none",
    ),
    Rule(
        name="keep_keys_days",
        why="For how many days a decryption key is kept after a new one has taken its place.",
        read=_count(0),
        open=90,
        standard=90,
        strict=30,
    ),
)


def written(value: Any) -> str:
    """A value as a policy file writes it."""
    if value is None or value == math.inf:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)


def preset_text(name: str) -> bytes:
    """The policy file of a preset, with every rule and its reason. Raises KeyError for a name that is none."""
    lines = [
        f"# What this site allows, whatever a project says. {PURPOSE[name]}",
        "# A changed file holds from the next batch on. 'starfish site policy' shows what holds, and where it differs from the preset.",
        f"preset: {name}",
    ]
    for rule in RULES:
        lines += ["", *_comment(rule.why), f"{rule.name}: {written(rule.of(name))}"]
    return ("\n".join(lines) + "\n").encode()


def _comment(text: str, width: int = 118) -> list[str]:
    lines = ["#"]
    for word in text.split():
        if len(lines[-1]) + 1 + len(word) > width:
            lines.append("#")
        lines[-1] += f" {word}"
    return lines
