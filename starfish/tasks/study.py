"""What a project says of its data: variables, missing-data rule, eligibility."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from starfish.tasks.errors import InvalidTask

Type = Literal["number", "integer", "binary", "category", "date", "text", "id"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)
WORDS = frozenset({"and", "or", "not", "is", "missing"})
MAX_VARIABLES, MAX_LEVELS, MAX_TEXT = 2000, 1000, 1000
PAIRS = (("1", "0"), ("true", "false"), ("yes", "no"), ("y", "n"), ("t", "f"))


def value_key(text: str) -> Decimal | str:
    """By what two values are compared: as numbers where both are numbers ("1", "1.0", "1e0"), else as text."""
    text = text.strip()
    return Decimal(text) if NUMBER.fullmatch(text) else text


OPPOSITE = {value_key(one): other for pair in PAIRS for one, other in (pair, pair[::-1])}


def binary_key(text: str) -> Decimal | str:
    """As `value_key`, but TRUE is true and No is no: the words of the known pairs are read in any case."""
    key = value_key(text)
    return key.casefold() if isinstance(key, str) and key.casefold() in OPPOSITE else key


class Variable(BaseModel):
    """One variable of a project, as the project file and a project's `definition` write it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Type
    label: str = ""
    unit: str = ""
    levels: tuple[str, ...] = ()
    reference: str | None = None
    positive: str | None = None
    min: float | None = None
    max: float | None = None
    resolution: float | None = None
    missing_codes: tuple[str, ...] = ()
    code: str = ""
    role: Literal["outcome", "exposure", "time", "event", "group", "cluster", "strata", "offset", "weight", "id"] | None = None

    @field_validator("label", "unit", "code", "reference", "positive", mode="before")
    @classmethod
    def _one_text(cls, value: Any) -> Any:
        return _as_text(value)

    @field_validator("levels", "missing_codes", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        if isinstance(value, str | int | float):
            raise ValueError("must be a list, such as [a, b]")
        return [_as_text(item) for item in value] if isinstance(value, list | tuple) else value

    @field_validator("min", "max", "resolution", mode="before")
    @classmethod
    def _finite(cls, value: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError("must be a number")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> "Variable":
        _check_keys(self)
        _check_range(self)
        _check_levels(self)
        if self.type == "binary":
            _check_binary(self)
        missing = {self.key(code) for code in self.missing_codes}
        for value in self.values:
            if self.key(value) in missing:
                raise ValueError(f"'missing_codes' names {value!r}, which is also a value; it can't be both")
        return self

    def key(self, text: str) -> Decimal | str:
        """By what a value of this variable is compared with its levels and missing codes."""
        return binary_key(text) if self.type == "binary" else value_key(text)

    @property
    def values(self) -> tuple[str, ...]:
        """What may occur, in the order of the codes: a category's levels, a binary variable's negative and positive value."""
        if self.type != "binary":
            return self.levels
        positive = "1" if self.positive is None else self.positive
        others = [level for level in self.levels if binary_key(level) != binary_key(positive)]
        return (others[0] if others else OPPOSITE[binary_key(positive)]), positive

    @property
    def baseline(self) -> int:
        """The code of the reference: `reference` or the first level of a category; 0 of a binary variable."""
        return 0 if self.reference is None else self.code_of(self.reference)

    def code_of(self, text: str) -> int:
        """The index in `values` of a value, compared by value where both are numbers; -1 for none."""
        key = self.key(text)
        return next((code for code, value in enumerate(self.values) if self.key(value) == key), -1)


class Study(BaseModel):
    """A project's `definition`, typed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variables: Mapping[str, Variable] = Field(default_factory=dict)
    missing: Literal["refuse", "complete-cases", "impute"] = "complete-cases"
    eligibility: str | None = None

    @staticmethod
    def from_definition(definition: Mapping[str, Any]) -> "Study":
        """Raises InvalidTask, with a sentence that names the variable and the key."""
        _known(definition, tuple(Study.model_fields), "the project's definition", None)
        variables = definition.get("variables")
        variables = {} if variables is None else variables
        if not isinstance(variables, Mapping):
            raise _invalid("'variables' must name each variable and its type, such as age: {type: number}.")
        if len(variables) > MAX_VARIABLES:
            raise _invalid(f"'variables' names {len(variables)} variables; {MAX_VARIABLES} is the most.")
        missing = definition.get("missing")
        missing = "complete-cases" if missing is None else missing
        if missing not in get_args(Study.model_fields["missing"].annotation):
            raise _invalid(f"'missing' must be refuse, complete-cases or impute, not {_short(missing)}.")
        eligibility = definition.get("eligibility")
        if eligibility is not None and not isinstance(eligibility, str):
            raise _invalid(f"'eligibility' must be a text, such as \"age >= 18\", not {_short(eligibility)}.")
        _check_names(list(variables))
        return Study(
            variables={name: _variable(name, raw) for name, raw in variables.items()},
            missing=missing,
            eligibility=eligibility if eligibility is not None and eligibility.strip() else None,
        )

    def near(self, name: str) -> str:
        """A hint for a name that is none of the variables."""
        close = get_close_matches(name, self.variables, n=1)
        if close:
            return f"Did you mean '{close[0]}'?"
        names = list(self.variables)
        return f"The project's variables are: {', '.join(names[:12])}{', …' if len(names) > 12 else ''}." if names else "It has none."


def _variable(name: str, raw: Any) -> Variable:
    if not isinstance(raw, Mapping):
        raise _invalid(f"{name}: say what it is, such as {name}: {{type: number}}, not {_short(raw)}.", name)
    _known(raw, tuple(Variable.model_fields), name, name)
    if "type" not in raw:
        raise _invalid(f"{name}: 'type' is needed: {', '.join(get_args(Type))}.", name)
    try:
        return Variable(**{key: value for key, value in raw.items() if value is not None or key == "type"})
    except ValidationError as error:
        raise _invalid(f"{name}: {_sentence(error, raw)}", name) from None


def _sentence(error: ValidationError, raw: Mapping[str, Any]) -> str:
    """The first thing that is wrong, in our words."""
    first = error.errors(include_url=False)[0]
    own = str(first["ctx"]["error"]) if first["type"] == "value_error" else ""
    if not first["loc"]:
        return f"{own}."
    key = str(first["loc"][0])
    if own:
        rule = own
    elif first["type"] == "literal_error":
        rule = f"must be one of {first['ctx']['expected']}".replace(" or ", ", ")
    else:
        rule = {"float": "must be a number", "tuple": "must be a list, such as [a, b]"}.get(first["type"].split("_")[0], "must be a text")
    return f"'{key}' {rule}, not {_short(raw.get(key))}."


def _check_names(names: list[Any]) -> None:
    folded: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise _invalid(
                f"{_short(name)} can't be a variable's name: use letters, digits and _, at most 64, beginning with a letter. "
                "A site's mapping connects it to a column of any name.",
                name if isinstance(name, str) else None,
            )
        if name.lower() in WORDS:
            raise _invalid(f"'{name}' can't be a variable's name: it is a word of the eligibility language.", name)
        if name.lower() in folded:
            raise _invalid(f"'{name}' and '{folded[name.lower()]}' differ by case alone; rename one.", name)
        folded[name.lower()] = name


def _check_keys(variable: Variable) -> None:
    numeric = variable.type in ("number", "integer")
    allowed = {
        "levels": variable.type in ("category", "binary"),
        "reference": variable.type in ("category", "binary"),
        "positive": variable.type == "binary",
        "min": numeric,
        "max": numeric,
        "resolution": numeric,
    }
    for key, fits in allowed.items():
        if not fits and getattr(variable, key) not in (None, ()):
            raise ValueError(f"'{key}' has no meaning for a variable of type {variable.type}")


def _check_range(variable: Variable) -> None:
    for key in ("min", "max", "resolution"):
        if not math.isfinite(getattr(variable, key) or 0):
            raise ValueError(f"'{key}' must be a finite number")
    if variable.min is not None and variable.max is not None and variable.min > variable.max:
        raise ValueError(f"'min' is {variable.min:g} and 'max' {variable.max:g}: no value lies between them")
    if variable.resolution is not None and variable.resolution <= 0:
        raise ValueError("'resolution' must be above 0")


def _check_levels(variable: Variable) -> None:
    levels = variable.levels
    if variable.type == "category" and len(levels) < 2:
        raise ValueError("'levels' must list at least two levels, such as [female, male], for a category")
    if len(levels) > MAX_LEVELS:
        raise ValueError(f"'levels' lists {len(levels)}; {MAX_LEVELS} is the most")
    keys = [variable.key(level) for level in levels]
    for code, level in enumerate(levels):
        if not level or not level.isprintable():
            raise ValueError("'levels' holds an empty level or one with control characters")
        if keys[code] in keys[:code]:
            raise ValueError(f"'levels' names {level!r} twice (1 and 1.0 are the same)")
    if variable.type == "category" and variable.reference is not None and variable.code_of(variable.reference) < 0:
        raise ValueError(f"'reference' is {variable.reference!r}, which is not among the levels {', '.join(levels)}")


def _check_binary(variable: Variable) -> None:
    positive = "1" if variable.positive is None else variable.positive
    if variable.levels:
        if len(variable.levels) != 2:
            raise ValueError(f"'levels' of a binary variable are two, not {len(variable.levels)}; use type category for more")
        if binary_key(positive) not in [binary_key(level) for level in variable.levels]:
            stated = "'positive' must say which of them counts as 1" if variable.positive is None else f"'positive' is {positive!r}"
            raise ValueError(f"the levels are {' and '.join(variable.levels)}, and {stated}")
    elif binary_key(positive) not in OPPOSITE:
        raise ValueError(f"'positive' is {positive!r}: name the other value too, as 'levels: [other, {positive}]'")
    if variable.reference is not None and variable.code_of(variable.reference) != 0:
        raise ValueError("'reference' of a binary variable is the value that is not 'positive'; change 'positive' instead")


def _as_text(value: Any) -> Any:
    """YAML's true, 1 and 1.0 as the texts that a person meant; anything else is pydantic's to judge."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            raise ValueError(f"must be at most {MAX_TEXT} characters")
        return value.strip()
    return value


def _known(raw: Mapping[Any, Any], known: tuple[str, ...], where: str, variable: str | None) -> None:
    for key in raw:
        if key not in known:
            close = get_close_matches(str(key), known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"What may stand here: {', '.join(known)}."
            raise _invalid(f"{where}: '{key}' is unknown. {hint}", variable)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _invalid(sentence: str, variable: str | None = None) -> InvalidTask:
    return InvalidTask(sentence, code="definition", variable=variable)
