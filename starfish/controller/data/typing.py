"""From a table of texts to a project's typed rows: every rule of the project's variables, checked before anything is computed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from starfish.controller.data.mapping import Mapping, VariableMapping
from starfish.controller.data.sources import Table
from starfish.controller.data.values import day_parser, looks_like_thousands, missing_words, parse_numbers
from starfish.tasks.api import Rows
from starfish.tasks.errors import SiteRefusal
from starfish.tasks.study import Study, Variable, value_key

DAYS_IN = {"days": 1.0, "weeks": 7.0, "months": 365.25 / 12, "years": 365.25}
SHOWN, TOLD = 5, 5


@dataclass(frozen=True, kw_only=True)
class TypedData:
    """A site's rows, typed; `row_numbers` are the lines (1-based) of the source in which they begin."""

    rows: Rows
    row_numbers: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A rule that a variable breaks. `public` has counts and the project's own words only; `private` adds lines and values."""

    variable: str
    code: str
    public: str
    private: str


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """A column's distinct texts (recoded), which of them are missing, and each row's index among them."""

    column: str
    texts: list[str]
    missing: np.ndarray
    index: np.ndarray

    @property
    def missing_rows(self) -> np.ndarray:
        return np.asarray(self.missing[self.index], dtype=bool)

    def each(self, value_of: Callable[[str], Any], empty: Any, dtype: type) -> np.ndarray:
        """A value for each row, `empty` where it is missing."""
        made = [empty if gone else value_of(text) for text, gone in zip(self.texts, self.missing, strict=True)]
        values: np.ndarray = np.array(made, dtype=dtype)[self.index]
        return values


def typed_rows(table: Table, study: Study, mapping: Mapping) -> TypedData:
    """All variables of the study, for all rows. Raises SiteRefusal, which tells every broken rule (the first few)."""
    columns: dict[str, np.ndarray] = {}
    problems: list[Problem] = []
    for name, variable in study.variables.items():
        columns[name], found = type_variable(table, name, variable, mapping.variables[name])
        problems += found
    if problems:
        raise _refusal(problems)
    return TypedData(rows=Rows(n=table.n, columns=columns), row_numbers=table.lines)


def type_variable(table: Table, name: str, variable: Variable, mapping: VariableMapping) -> tuple[np.ndarray, list[Problem]]:
    """One variable's typed column, and what is wrong with it."""
    checks = _Checks(table, name, variable, mapping)
    absent = [column for column in mapping.sources if column not in table.columns]
    if absent:
        checks.no_column(absent)
        return np.full(table.n, np.nan), checks.problems
    if mapping.begins is not None:
        values = checks.difference()
    else:
        values = checks.of_type(_cells(table, mapping.sources[0], variable, mapping))
    return values, checks.problems


class _Checks:
    """One variable's conversion; collects what is wrong."""

    def __init__(self, table: Table, name: str, variable: Variable, mapping: VariableMapping) -> None:
        self.table, self.name, self.variable, self.mapping = table, name, variable, mapping
        self.problems: list[Problem] = []

    def of_type(self, cells: _Cells) -> np.ndarray:
        kind = self.variable.type
        if kind in ("number", "integer"):
            return self._numbers(cells)
        if kind == "date":
            return self._days(cells)
        if kind in ("category", "binary"):
            return self._codes(cells)
        return cells.each(str, "", object)

    def difference(self) -> np.ndarray:
        """The time between two columns of dates, in the mapping's unit."""
        begins, ends = (self._days(_cells(self.table, column, self.variable, self.mapping)) for column in self.mapping.sources)
        values: np.ndarray = (ends - begins) / DAYS_IN[self.mapping.unit] * self.mapping.factor
        self._range(values)
        return values

    def _numbers(self, cells: _Cells) -> np.ndarray:
        parsed = np.full(len(cells.texts), np.nan)
        given = np.flatnonzero(~cells.missing)
        texts = cells.texts if len(given) == len(cells.texts) else [cells.texts[place] for place in given]
        parsed[given] = parse_numbers(texts, self.table.decimal_comma)
        wrong = (np.isnan(parsed) & ~cells.missing)[cells.index]
        separated = any(looks_like_thousands(cells.texts[place]) for place in given[np.isnan(parsed[given])])
        hint = "A thousands separator can't be told from a decimal sign; write plain numbers. "
        self._broken(wrong, "not-a-number", "not a number", "not numbers", cells.column, hint if separated else "")
        with np.errstate(over="ignore"):
            values: np.ndarray = (parsed * self.mapping.factor)[cells.index]
        self._range(values)
        return values

    def _range(self, values: np.ndarray) -> None:
        variable, column = self.variable, self.mapping.sources[0]
        if variable.type == "integer":
            self._broken(values != np.rint(values), "not-whole", "not a whole number", "not whole numbers", column, known=~np.isnan(values))
        for bound, wrong, word in ((variable.min, np.less, "below the least"), (variable.max, np.greater, "above the greatest")):
            if bound is not None:
                rule = f"{word} that the project allows ({bound:g})"
                self._broken(wrong(values, bound), "out-of-range", rule, rule, column)

    def _days(self, cells: _Cells) -> np.ndarray:
        days = cells.each(day_parser(self.mapping.format), np.nan, float)
        form = "written as year-month-day" if self.mapping.format is None else f"written as {self.mapping.format}"
        hint = "Another form is stated in the mapping, such as format: '%d.%m.%Y'. "
        wrong = np.isnan(days) & ~cells.missing_rows
        self._broken(wrong, "not-a-date", f"not a date {form}", f"not dates {form}", cells.column, hint)
        return days

    def _codes(self, cells: _Cells) -> np.ndarray:
        codes = {self.variable.key(value): code for code, value in enumerate(self.variable.values)}
        found = cells.each(lambda text: codes.get(self.variable.key(text), -2), -1, np.int64)
        column = cells.column
        if self.variable.type == "category":
            rule = f"none of the levels {', '.join(self.variable.levels)}"
            hint = "A recode in the mapping turns one value into another. "
            self._broken(found == -2, "unknown-level", rule, rule, column, hint)
            return found
        negative, positive = self.variable.values
        rule = f"neither {negative} nor {positive}, which are the two values of this binary variable"
        hint = f"Several values aren't made into two by themselves: recode in the mapping what counts as {positive}. "
        self._broken(found == -2, "not-binary", rule, rule, column, hint, tell=True)
        return np.where(found < 0, np.nan, found.astype(np.float64))

    def _broken(
        self,
        wrong: np.ndarray,
        code: str,
        one: str,
        many: str,
        column: str,
        hint: str = "",
        *,
        known: np.ndarray | None = None,
        tell: bool = False,
    ) -> None:
        """Note the rows where `wrong` holds. `tell`: the hint is for the coordinator too."""
        rows = np.flatnonzero(wrong if known is None else wrong & known)
        if not len(rows):
            return
        said = f"{self.name}: {len(rows)} value{'s are' if len(rows) > 1 else ' is'} {many if len(rows) > 1 else one}."
        cells = self.table.columns[column]
        first = ", ".join(f"line {self.table.lines[row]}: {cells[row][:40]!r}" for row in rows[:SHOWN])
        more = ", …" if len(rows) > SHOWN else ""
        private = f"{said} In column '{column}': {first}{more}. {hint}".strip()
        self.problems.append(Problem(variable=self.name, code=code, public=f"{said} {hint}".strip() if tell else said, private=private))

    def no_column(self, absent: list[str]) -> None:
        names = list(self.table.columns)
        there = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        self.problems.append(
            Problem(
                variable=self.name,
                code="missing-column",
                public=f"{self.name}: the dataset has no column for it.",
                private=f"{self.name}: there is no column '{absent[0]}'. The columns are {there}. 'starfish dataset map' connects them.",
            )
        )


def _cells(table: Table, column: str, variable: Variable, mapping: VariableMapping) -> _Cells:
    """Recodes first, then what is missing: by the words of MISSING (unless the project has such a level), and by codes."""
    cells = table.columns[column]
    texts, index = _distinct(cells)
    recodes = {value_key(old): new for old, new in mapping.recode.items()}
    local = {value_key(code) for code in mapping.missing}
    gone = np.array([value_key(text) in local for text in texts] if local else np.zeros(len(texts)), dtype=bool)
    if recodes:
        texts = [recodes.get(value_key(text), text) for text in texts]
    levels = {variable.key(value) for value in variable.values}
    codes = {variable.key(code) for code in variable.missing_codes}
    words = missing_words(texts)
    words[[place for place in np.flatnonzero(words) if levels and variable.key(texts[place]) in levels]] = False
    gone |= words
    if codes:
        gone |= np.array([variable.key(text) in codes for text in texts], dtype=bool)
    return _Cells(column=column, texts=texts, missing=gone, index=index)


def _distinct(cells: list[str]) -> tuple[list[str], np.ndarray]:
    """The distinct texts and each row's index among them; where most differ, looking for equal ones doesn't pay."""
    if len(set(cells[:1000])) > 500:
        return cells, np.arange(len(cells))
    place = {text: number for number, text in enumerate(dict.fromkeys(cells))}
    return list(place), np.fromiter(map(place.__getitem__, cells), dtype=np.int64, count=len(cells))


def _refusal(problems: list[Problem]) -> SiteRefusal:
    more = f" {len(problems) - TOLD} more rules are broken." if len(problems) > TOLD else ""
    return SiteRefusal(
        " ".join(problem.public for problem in problems[:TOLD]) + more,
        code=problems[0].code,
        private=" ".join(problem.private for problem in problems[:TOLD]) + more,
        variable=problems[0].variable,
    )
