"""Who takes part: comparisons of variables, joined by and, or, not. A closed language, like formulas; nothing is evaluated.

Missing values are handled as SQL and R's `subset` do: a comparison with one is neither true nor false, and only rows for
which the whole is true are eligible.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal, Union

import numpy as np

from starfish.tasks.api import Rows
from starfish.tasks.formula.lexer import Reader, Token
from starfish.tasks.study import WORDS, Study, Variable

Truth = tuple[np.ndarray, np.ndarray]
"""Where it is true, and where it is false; neither where it is unknown."""

OPERATORS: Mapping[str, np.ufunc] = {
    "==": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}
MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A variable against a value (a number, a level's code, a day, a text) or against another variable."""

    variable: str
    operator: str
    value: float | str | None = None
    other: str | None = None

    def truth(self, rows: Rows) -> Truth:
        column = rows.columns[self.variable]
        value: float | str | np.ndarray | None = self.value
        known = ~missing(column)
        if self.other is not None:
            value = rows.columns[self.other]
            known &= ~missing(value)
        holds = np.asarray(OPERATORS[self.operator](column, value), dtype=bool)
        return holds & known, ~holds & known


@dataclass(frozen=True, kw_only=True)
class Missing:
    """Whether a variable is missing, which is always known."""

    variable: str

    def truth(self, rows: Rows) -> Truth:
        holds = missing(rows.columns[self.variable])
        return holds, ~holds


@dataclass(frozen=True, kw_only=True)
class Not:
    """The opposite; unknown stays unknown."""

    of: "Condition"

    def truth(self, rows: Rows) -> Truth:
        true, false = self.of.truth(rows)
        return false, true


@dataclass(frozen=True, kw_only=True)
class Joined:
    """All of the conditions, or any of them."""

    word: Literal["and", "or"]
    of: tuple["Condition", ...]

    def truth(self, rows: Rows) -> Truth:
        truths = [condition.truth(rows) for condition in self.of]
        true, false = [one for one, _ in truths], [other for _, other in truths]
        if self.word == "and":
            return np.logical_and.reduce(true), np.logical_or.reduce(false)
        return np.logical_or.reduce(true), np.logical_and.reduce(false)


Condition = Union[Compared, Missing, Not, Joined]  # noqa: UP007 (a name for mypy and for people)


@dataclass(frozen=True, kw_only=True)
class Eligibility:
    """A parsed rule; made by `parse_eligibility` alone."""

    text: str
    variables: tuple[str, ...]
    condition: Condition

    def mask(self, rows: Rows) -> np.ndarray:
        """The rows (bool, shape (n,)) for which the rule is true."""
        return self.condition.truth(rows)[0]


def parse_eligibility(text: str, study: Study) -> Eligibility:
    """Read a rule. Raises InvalidTask (code "eligibility"), which names the place and what is allowed there."""
    parser = _Parser(text, study)
    condition = parser.either()
    if parser.reader.token.kind != "end":
        parser.reader.refuse(parser.reader.token, _why_no_more(parser.reader.token))
    return Eligibility(text=text, variables=tuple(parser.read), condition=condition)


def missing(column: np.ndarray) -> np.ndarray:
    """Where a column of `Rows` has no value (bool, shape (n,))."""
    if column.dtype.kind == "f":
        return np.asarray(np.isnan(column))
    return np.asarray(column < 0 if column.dtype.kind == "i" else column == "", dtype=bool)


class _Parser:
    def __init__(self, text: str, study: Study) -> None:
        self.reader = Reader(text, what="eligibility", code="eligibility")
        self.study = study
        self.read: dict[str, None] = {}

    def either(self) -> Condition:
        conditions = [self._both()]
        while self._word("or"):
            conditions.append(self._both())
        return conditions[0] if len(conditions) == 1 else Joined(word="or", of=tuple(conditions))

    def _both(self) -> Condition:
        conditions = [self._one()]
        while self._word("and"):
            conditions.append(self._one())
        return conditions[0] if len(conditions) == 1 else Joined(word="and", of=tuple(conditions))

    def _one(self) -> Condition:
        reader = self.reader
        if not reader.at("(") and not self._at_word("not"):
            return self._test()
        with reader.deeper():
            if self._word("not"):
                return Not(of=self._one())
            reader.take()
            condition = self.either()
            reader.expect(")", "at the end of the parentheses")
            return condition

    def _test(self) -> Condition:
        reader = self.reader
        left = self._operand()
        if self._word("is"):
            negated = self._word("not")
            if not self._word("missing"):
                reader.refuse(reader.token, "after 'is' stands 'missing' or 'not missing'")
            if left.kind != "name":
                reader.refuse(left, "only a variable can be missing")
            return Not(of=Missing(variable=left.text)) if negated else Missing(variable=left.text)
        if not reader.at(*OPERATORS):
            reader.refuse(reader.token, "a comparison is expected: == != < <= > >=, 'is missing' or 'is not missing'")
        sign = reader.take()
        right = self._operand()
        if left.kind == right.kind == "name":
            return self._variables(left, sign, right)
        if left.kind == "name":
            return self._value(left, sign.text, sign, right)
        if right.kind == "name":
            return self._value(right, MIRRORED[sign.text], sign, left)
        return reader.refuse(left, "a comparison has a variable on at least one side")

    def _operand(self) -> Token:
        """A variable, a number (with its sign) or a text in quotes."""
        reader = self.reader
        minus = reader.accept("-")
        token = reader.token
        if minus is not None and token.kind != "number":
            reader.refuse(token, "after '-' a number is expected")
        if token.kind in ("number", "string"):
            reader.take()
            return Token(kind=token.kind, text=f"{'-' if minus else ''}{token.text}", position=token.position)
        if token.kind != "name" or token.text.lower() in WORDS:
            reader.refuse(token, 'a variable, a number or a text in quotes is expected here, such as age >= 18 and sex == "female"')
        if reader.following.text == "(":
            reader.refuse(token, "there are no functions here, and nothing is ever called")
        if token.text not in self.study.variables:
            reader.refuse(token, f"there is no variable '{token.text}' in the project. {self.study.near(token.text).rstrip('.')}")
        reader.take()
        self.read.setdefault(token.text)
        return token

    def _variables(self, left: Token, sign: Token, right: Token) -> Condition:
        kinds = {_comparable(self.study.variables[token.text]) for token in (left, right)}
        if len(kinds) != 1 or not kinds <= {"number", "date"}:
            self.reader.refuse(sign, "two variables are compared only where both are numbers or both are dates")
        return Compared(variable=left.text, operator=sign.text, other=right.text)

    def _value(self, name: Token, operation: str, sign: Token, value: Token) -> Condition:
        variable = self.study.variables[name.text]
        kind = _comparable(variable)
        if kind in ("values", "text") and operation not in ("==", "!="):
            self.reader.refuse(sign, f"{name.text} is of type {variable.type}, which has no order: only == and != compare it")
        made: float | str
        if kind == "number":
            if value.kind != "number" or not np.isfinite(float(value.text)):
                self.reader.refuse(value, f"{name.text} is of type {variable.type} and is compared with a number")
            made = float(value.text)
        elif kind == "date":
            made = self._day(name, value)
        elif kind == "values":
            made = variable.code_of(value.text)
            if made < 0:
                self.reader.refuse(value, f"this is not a value of {name.text}, which has {', '.join(variable.values)}")
        elif kind == "text" and value.kind == "string":
            made = value.text.strip()
        elif kind == "text":
            self.reader.refuse(value, f'{name.text} is of type text and is compared with a text in quotes, such as "other"')
        else:
            self.reader.refuse(name, f"{name.text} is of type id, of which only 'is missing' and 'is not missing' can be asked")
        return Compared(variable=name.text, operator=operation, value=made)

    def _day(self, name: Token, value: Token) -> float:
        try:
            return float(date.fromisoformat(value.text if value.kind == "string" else "").toordinal() - EPOCH)
        except ValueError:
            return self.reader.refuse(value, f'{name.text} is a date and is compared with one in quotes, such as "2020-12-31"')

    def _at_word(self, word: str) -> bool:
        return self.reader.token.kind == "name" and self.reader.token.text.lower() == word

    def _word(self, word: str) -> bool:
        here = self._at_word(word)
        if here:
            self.reader.take()
        return here


def _comparable(variable: Variable) -> Literal["number", "date", "values", "text", "id"]:
    if variable.type in ("number", "integer"):
        return "number"
    if variable.type in ("category", "binary"):
        return "values"
    return variable.type  # type: ignore[return-value]


def _why_no_more(token: Token) -> str:
    if token.text in OPERATORS:
        return "comparisons are not chained; write age >= 18 and age <= 90"
    return "after a comparison, only 'and', 'or' or the end may stand"
