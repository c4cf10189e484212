"""A site's policy: a file that no project can override. It names a preset, and may say single rules anew."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from starfish.controller.errors import FileError, HomeError
from starfish.controller.guard.presets import NAMES, RULES, Senseless, written
from starfish.controller.located_yaml import Located, parse, read_text
from starfish.tasks.disclosure import OPEN, Limits

Allowed = str | tuple[str, ...]
"""A word for a group ("all"), or the names themselves."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What holds at a site; `guard/presets.py` says what each rule is for. None: no limit."""

    preset: str
    tasks: Allowed
    datasets: Allowed
    by_name: bool
    approve: str
    min_rows: int
    min_cell: int
    min_events: int
    max_parameters: float
    min_sites: int
    oracle: bool
    max_share: float
    max_queries: int | None
    max_rounds: int | None
    not_isolated: Allowed
    keep_keys_days: int

    @property
    def limits(self) -> Limits:
        """The numbers that tasks judge their own designs and sums by."""
        return Limits(
            min_rows=self.min_rows,
            min_cell=self.min_cell,
            min_events=self.min_events,
            max_parameters=self.max_parameters,
            min_sites=self.min_sites,
            oracle=self.oracle,
            max_share=self.max_share,
        )

    @property
    def holds_back(self) -> bool:
        """Whether tasks are limited at all."""
        return self.limits != OPEN

    @property
    def digest(self) -> str:
        """By which the audit says what held when something left."""
        text = "\n".join(f"{rule.name}: {written(getattr(self, rule.name))}" for rule in RULES)
        return hashlib.sha256(text.encode()).hexdigest()


def preset(name: str) -> Policy:
    """Raises KeyError for a name that is none."""
    if name not in NAMES:
        raise KeyError(name)
    return Policy(preset=name, **{rule.name: rule.of(name) for rule in RULES})


def read_policy(path: Path) -> Policy:
    """Raises HomeError, which names the line and the rule."""
    try:
        return _policy(parse(read_text(path)))
    except FileError as error:
        raise HomeError(f"The policy {path}: {error}") from error


def _policy(found: Located) -> Policy:
    """Raises FileError."""
    raw = found.value
    if not isinstance(raw, dict) or "preset" not in raw:
        raise FileError(f"it must name a preset, as in 'preset: standard'; there are: {', '.join(NAMES)}.")
    if raw["preset"] not in NAMES:
        raise FileError(f"line {found.line('preset')}: there is no preset {raw['preset']!r}; there are: {', '.join(NAMES)}.")
    _refuse_unknown(raw, found)
    own = {rule.name: _read(rule.read, rule.name, raw, found) for rule in RULES if rule.name in raw}
    base = {rule.name: rule.of(raw["preset"]) for rule in RULES}
    return Policy(preset=raw["preset"], **base | own)


def _refuse_unknown(raw: Mapping[str, Any], found: Located) -> None:
    known = ["preset", *(rule.name for rule in RULES)]
    for name in raw:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(known)}."
            raise FileError(f"line {found.line(name)}: '{name}' is no rule of a policy. {hint}")


def _read(read: Any, name: str, raw: Mapping[str, Any], found: Located) -> Any:
    try:
        return read(raw[name])
    except Senseless as error:
        given = repr(raw[name])
        shown = given if len(given) <= 60 else f"{given[:59]}…"
        raise FileError(f"line {found.line(name)}: '{name}' must be {error}, not {shown}.") from None
