"""How a dataset answers a project's variables: which column, which recodes, which unit. It stays at the site.

    version: 1
    variables:
      age:  {column: AGE_YEARS, missing: [-9, 999]}
      sex:  {column: Geschlecht, recode: {m: male, w: female}}
      chol: {column: chol_mmol, factor: 38.67}
      born: {column: birth, format: "%d.%m.%Y"}
      time: {from: admitted, to: last_seen, unit: days}

Variables that it leaves out are taken from the column of their name.
"""

import collections.abc
import re
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, get_args

from starfish.controller.data.errors import DataError
from starfish.controller.data.sources import Table
from starfish.controller.data.values import is_missing_text
from starfish.tasks.study import Study, Variable

VERSION = 1
Unit = Literal["days", "weeks", "months", "years"]
FORMAT = re.compile(r"(%[dmYyHMS]|[^%A-Za-z0-9]|T)+")
KEYS = ("column", "recode", "factor", "missing", "format", "from", "to", "unit")


@dataclass(frozen=True, kw_only=True)
class VariableMapping:
    """Where one variable comes from: a column, or the time between two columns of dates."""

    column: str | None = None
    begins: str | None = None
    ends: str | None = None
    unit: Unit = "days"
    recode: collections.abc.Mapping[str, str] = field(default_factory=dict)
    factor: float = 1.0
    missing: tuple[str, ...] = ()
    format: str | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return tuple(name for name in (self.column, self.begins, self.ends) if name is not None)

    def as_json(self) -> dict[str, Any]:
        """What is not the default, under the keys of the file."""
        said: dict[str, Any] = {"column": self.column, "from": self.begins, "to": self.ends}
        said |= {"unit": self.unit} if self.begins else {}
        said |= {"recode": dict(self.recode) or None, "missing": list(self.missing) or None, "format": self.format}
        said |= {"factor": self.factor} if self.factor != 1.0 else {}
        return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Mapping:
    """A mapping for every variable of a study."""

    variables: collections.abc.Mapping[str, VariableMapping]

    @staticmethod
    def identity(study: Study, table: Table) -> "Mapping":
        """Each variable from the column of its name; in another case where no column has it exactly and just one has it so."""
        return Mapping(variables={name: VariableMapping(column=_column_named(name, table)) for name in study.variables})

    def as_json(self) -> dict[str, Any]:
        return {"version": VERSION, "variables": {name: mapping.as_json() for name, mapping in self.variables.items()}}


def read_mapping(raw: collections.abc.Mapping[str, Any] | None, study: Study, table: Table) -> Mapping:
    """A mapping as written in a file, or None for names alone. Raises DataError, with the variable and the key."""
    identity = Mapping.identity(study, table)
    if raw is None:
        return identity
    if raw.get("version", VERSION) != VERSION:
        _refuse(f"'version' is {raw['version']!r}; this Starfish reads version {VERSION}")
    entries = raw.get("variables", {})
    unknown = [str(key) for key in raw if key not in ("version", "variables")]
    if unknown or not isinstance(entries, collections.abc.Mapping):
        _refuse(
            f"'{unknown[0]}' is unknown; it has 'version' and 'variables'" if unknown else "'variables' must name variables and columns"
        )
    for name in entries:
        if name not in study.variables:
            _refuse(f"'{name}' is not a variable of the project. {study.near(str(name)).rstrip('.')}")
    own = {name: _entry(name, entry, study.variables[name], identity.variables[name]) for name, entry in entries.items()}
    return Mapping(variables={name: own.get(name, default) for name, default in identity.variables.items()})


def _entry(name: str, raw: Any, variable: Variable, default: VariableMapping) -> VariableMapping:
    if isinstance(raw, str):
        raw = {"column": raw}
    if not isinstance(raw, collections.abc.Mapping):
        _refuse(f"{name}: give a column's name, or keys such as column and recode")
    for key in raw:
        if key not in KEYS:
            _refuse(f"{name}: '{key}' is unknown; there are {', '.join(KEYS)}")
    difference = "from" in raw or "to" in raw
    if difference and not (isinstance(raw.get("from"), str) and isinstance(raw.get("to"), str) and "column" not in raw):
        _refuse(f"{name}: a time between two dates has 'from' and 'to', each a column's name, and no 'column'")
    if difference and variable.type not in ("number", "integer"):
        _refuse(f"{name}: a time between two dates is a number, and {name} is of type {variable.type}")
    if not difference and "unit" in raw:
        _refuse(f"{name}: 'unit' goes with 'from' and 'to'; another unit of a number is reached with 'factor'")
    return VariableMapping(
        column=None if difference else _column(name, raw.get("column", default.column)),
        begins=raw["from"] if difference else None,
        ends=raw["to"] if difference else None,
        unit=_unit(name, raw.get("unit", "days")),
        recode=_recode(name, raw.get("recode", {}), variable),
        factor=_factor(name, raw.get("factor", 1.0), variable),
        missing=_missing(name, raw.get("missing", [])),
        format=_format(name, raw.get("format"), dated=difference or variable.type == "date"),
    )


def _column(name: str, raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        _refuse(f"{name}: 'column' must be a column's name")
    return raw.strip()


def _unit(name: str, raw: Any) -> Unit:
    if raw not in get_args(Unit):
        _refuse(f"{name}: 'unit' is one of {', '.join(get_args(Unit))}")
    return raw  # type: ignore[no-any-return]


def _recode(name: str, raw: Any, variable: Variable) -> dict[str, str]:
    if not isinstance(raw, collections.abc.Mapping):
        _refuse(f"{name}: 'recode' must say what becomes what, such as {{m: male, w: female}}")
    recodes = {_text(name, "recode", key): _text(name, "recode", value) for key, value in raw.items()}
    known = {variable.key(value) for value in (*variable.values, *variable.missing_codes)}
    for old, new in recodes.items():
        if variable.values and variable.key(new) not in known and not is_missing_text(new):
            _refuse(f"{name}: 'recode' makes {new!r} of {old!r}, and the values of {name} are {', '.join(variable.values)}")
    return recodes


def _missing(name: str, raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list | tuple):
        _refuse(f"{name}: 'missing' must be a list of codes, such as [-9, 999]")
    return tuple(_text(name, "missing", code) for code in raw)


def _text(name: str, key: str, raw: Any) -> str:
    if raw is None:
        return ""
    if isinstance(raw, bool):
        return str(raw).lower()
    if not isinstance(raw, str | int | float):
        _refuse(f"{name}: '{key}' holds {raw!r}, which is neither text nor number")
    return str(raw).strip()


def _factor(name: str, raw: Any, variable: Variable) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 < abs(raw) < 1e100:
        _refuse(f"{name}: 'factor' must be a number other than 0, by which the column is multiplied")
    if raw != 1 and variable.type not in ("number", "integer"):
        _refuse(f"{name}: 'factor' has no meaning for type {variable.type}")
    return float(raw)


def _format(name: str, raw: Any, *, dated: bool) -> str | None:
    if raw is None:
        return None
    if not dated:
        _refuse(f"{name}: 'format' goes with dates")
    if not isinstance(raw, str) or not FORMAT.fullmatch(raw) or not ("%d" in raw and "%m" in raw and ("%Y" in raw or "%y" in raw)):
        _refuse(f"{name}: 'format' is made of %d, %m, %Y (or %y), %H, %M, %S and signs between them, such as %d.%m.%Y")
    return raw


def _column_named(name: str, table: Table) -> str:
    if name in table.columns:
        return name
    folded = [column for column in table.columns if column.casefold() == name.casefold()]
    return folded[0] if len(folded) == 1 else name


def _refuse(rule: str) -> NoReturn:
    raise DataError("The dataset's mapping for this project is wrong.", private=f"In the mapping: {rule}.", code="mapping")
