"""Changes to a mapping: what a person says of single variables, or a whole file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starfish.controller.errors import FileError
from starfish.controller.located_yaml import parse, read_text

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class MappingChange:
    """What becomes different. `entries` are laid over what holds (recodes one by one); `whole` takes its place first."""

    entries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    whole: Mapping[str, Any] | None = None

    @property
    def says_anything(self) -> bool:
        return bool(self.entries) or self.whole is not None

    def applied(self, held: Mapping[str, Any] | None) -> dict[str, Any]:
        """The mapping afterwards, as controller.data reads it."""
        start = self.whole if self.whole is not None else held or {"variables": {}}
        if not isinstance(start.get("variables", {}), Mapping):
            return dict(start)  # the reader says what is wrong with it
        variables = dict(start.get("variables", {}))
        for name, entry in self.entries.items():
            variables[name] = _laid_over(variables.get(name, {}), entry)
        return {"version": VERSION, **start, "variables": variables}


NO_CHANGE = MappingChange()


def _laid_over(old: Any, new: Mapping[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {"column": old} if isinstance(old, str) else dict(old or {})
    if "column" in new:  # a column, or the time between two: the one ends the other
        merged = {key: value for key, value in merged.items() if key not in ("from", "to", "unit")}
    if "from" in new:
        merged.pop("column", None)
    recode = {**(merged.get("recode") or {}), **new.get("recode", {})}
    return {**merged, **new, **({"recode": recode} if recode else {})}


def read_mapping_file(path: str | Path) -> dict[str, Any]:
    """A mapping as written in a YAML file. Raises FileError, whose text begins with the file's name."""
    path = Path(path)
    try:
        raw = parse(read_text(path)).value
    except FileError as error:
        raise FileError(f"{path}: {error}") from error
    if not isinstance(raw, dict):
        raise FileError(f"{path}: this is no mapping; write 'variables:' and under it such lines as 'age: {{column: AGE_YEARS}}'.")
    return raw
