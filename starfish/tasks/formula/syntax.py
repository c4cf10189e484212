"""The grammar of formulas (docs/spec/formula.md), read by recursive descent; whatever it does not name is refused with its place."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn, get_args

from starfish.tasks.formula.expressions import Expression, Plain, Power, Shift, Shifted, Transform, Transformed
from starfish.tasks.formula.factors import Category, Factor, Numeric, Spline, SplineKind
from starfish.tasks.formula.lexer import Reader, Token
from starfish.tasks.formula.terms import Term, add, interact, too_large
from starfish.tasks.study import Study, Type, Variable

TRANSFORMS, SHIFTS, SPLINES = get_args(Transform), get_args(Shift), get_args(SplineKind)
SPECIALS = ("offset", "strata", "cluster")
FUNCTIONS = (*TRANSFORMS, *SHIFTS, *SPLINES, *SPECIALS, "C", "I", "Surv")
NUMBERS: tuple[Type, ...] = ("number", "integer")
GROUPS: tuple[Type, ...] = ("category", "binary", "integer", "text", "id")
COMPARISONS = ("==", "!=", "<", ">", "<=", ">=", "=")
NO_COMPARISONS = "comparisons are not part of a formula; who takes part is said by the project's eligibility"
OPENED = "after a function's name"


@dataclass(kw_only=True)
class Parsed:
    """A formula's parts, as they are read."""

    response: Expression | None = None
    survival: tuple[str, str] | None = None
    terms: list[Term] = field(default_factory=list)
    factors: dict[Factor, None] = field(default_factory=dict)
    intercept: bool = True
    offsets: list[Expression] = field(default_factory=list)
    strata: list[str] = field(default_factory=list)
    cluster: list[str] = field(default_factory=list)
    random: list[str] = field(default_factory=list)
    read: dict[str, None] = field(default_factory=dict)


class Parser:
    """One formula of one study."""

    def __init__(self, text: str, study: Study) -> None:
        self.reader = Reader(text, what="formula", code="formula")
        self.study = study
        self.parsed = Parsed()
        self._categories: dict[str, Category] = {}
        self._outcome: frozenset[str] = frozenset()

    def parse(self) -> Parsed:
        """Raises InvalidTask."""
        reader, parsed = self.reader, self.parsed
        if not any(token.kind == "operator" and token.text == "~" for token in reader.tokens):
            reader.refuse(reader.tokens[-1], "a formula has a '~' between the outcome and the terms, such as disease ~ age + sex")
        if not reader.at("~"):
            self._left()
        reader.expect("~", "after the outcome")
        self._outcome = frozenset(parsed.read)
        self._right()
        return parsed

    def refuse_whole(self, rule: str) -> NoReturn:
        """Raises InvalidTask, about what the formula as a whole amounts to."""
        self.reader.refuse(self.reader.tokens[-1], rule)

    # the outcome

    def _left(self) -> None:
        if self.reader.token.text == "Surv" and self.reader.following.text == "(":
            self.reader.take()
            self.reader.take()
            time = self._variable(NUMBERS)
            self.reader.expect(",", "between time and event: Surv(time, event)")
            event = self._variable(("binary",))
            self.reader.expect(")", "after Surv(time, event")
            self.parsed.survival = (time, event)
            return
        token = self.reader.token
        if token.kind == "name" and self.reader.following.text != "(":
            self.parsed.response = Plain(self._variable((*NUMBERS, "binary", "category")))
        else:
            self.parsed.response = self._expression()
        if isinstance(self.parsed.response, Shifted):
            self.reader.refuse(token, "an outcome may be a variable, or log, exp, sqrt or I(x^k) of a number")

    # the terms

    def _right(self) -> None:
        reader = self.reader
        minus = reader.accept("+", "-")
        while True:
            self._item(negative=minus is not None and minus.text == "-")
            if reader.token.kind == "end":
                return
            if not reader.at("+", "-"):
                comparison = reader.token.text in COMPARISONS
                reader.refuse(reader.token, NO_COMPARISONS if comparison else "after a term, only + - : * or the end may stand")
            minus = reader.take()

    def _item(self, *, negative: bool) -> None:
        reader, parsed = self.reader, self.parsed
        token = reader.token
        if token.kind == "number" and reader.following.text not in (":", "*", "^"):
            if token.text not in ("0", "1"):
                reader.refuse(token, "the only numbers among the terms are 1 and 0, with and without an intercept")
            reader.take()
            parsed.intercept = (token.text == "1") != negative
        elif negative:
            reader.refuse(token, "only the intercept can be taken away, as - 1; leave other terms out instead")
        elif reader.at("(") and reader.following.kind == "number":
            self._random()
        elif token.text in SPECIALS and reader.following.text == "(":
            self._special()
        else:
            parsed.terms = self._limited(add(parsed.terms, self._product()), token)

    def _random(self) -> None:
        reader = self.reader
        reader.take()
        if reader.token.text != "1" or reader.following.text != "|":
            reader.refuse(reader.token, "a random intercept is written (1 | group); numbers have no other place in parentheses")
        reader.take()
        reader.take()
        self.parsed.random.append(self._variable(GROUPS))
        reader.expect(")", "after (1 | group")

    def _special(self) -> None:
        name = self.reader.take().text
        self.reader.expect("(", OPENED)
        if name == "offset":
            self.parsed.offsets.append(self._expression())
        else:
            names = self.parsed.strata if name == "strata" else self.parsed.cluster
            names.append(self._variable(GROUPS))
            while name == "strata" and self.reader.accept(","):
                names.append(self._variable(GROUPS))
        self.reader.expect(")", f"at the end of {name}(…)")

    def _product(self) -> list[Term]:
        start = self.reader.token
        total = self._interaction()
        while self.reader.accept("*"):
            other = self._interaction()
            total = self._limited(add(add(total, other), interact(total, other)), start)
        return total

    def _interaction(self) -> list[Term]:
        start = self.reader.token
        total = self._atom()
        while self.reader.accept(":"):
            total = self._limited(interact(total, self._atom()), start)
        if self.reader.at("^"):
            self.reader.refuse(self.reader.token, "a power of a variable is written I(x^2); products of terms are written with : and *")
        return total

    def _atom(self) -> list[Term]:
        if not self.reader.at("("):
            factor = self._factor()
            self.parsed.factors.setdefault(factor)
            return [(factor,)]
        with self.reader.deeper():
            self.reader.take()
            total = self._product()
            while self.reader.accept("+"):
                start = self.reader.token
                total = self._limited(add(total, self._product()), start)
            self.reader.expect(")", "at the end of the parentheses, in which terms are joined by + : *")
            return total

    def _limited(self, terms: list[Term], token: Token) -> list[Term]:
        reason = too_large(terms)
        if reason:
            self.reader.refuse(token, reason)
        return terms

    # what terms are made of

    def _factor(self) -> Factor:
        token, called = self.reader.token, self.reader.following.text == "("
        if token.kind == "name" and called:
            if token.text == "C":
                return self._category()
            if token.text in SPLINES:
                return self._spline()
            if token.text in ("Surv", *SPECIALS):
                self.reader.refuse(token, f"{token.text}(…) {_place(token.text)}")
            return Numeric(expression=self._expression())
        name = self._variable((*NUMBERS, "binary", "category"))
        variable = self.study.variables[name]
        if variable.type == "category":
            return self._coded(token, name, variable.levels, variable.baseline, name)
        return Numeric(expression=Plain(name))

    def _category(self) -> Category:
        reader = self.reader
        token = reader.take()
        reader.expect("(", OPENED)
        name = self._variable(("category", "binary"))
        variable = self.study.variables[name]
        levels = variable.values
        code, written = variable.baseline, f"C({name})"
        if reader.accept(","):
            code = self._reference(name, variable, levels)
            written = f'C({name}, ref="{levels[code]}")'
        reader.expect(")", 'at the end of C(…), in which a variable and ref="level" may stand')
        return self._coded(token, name, levels, code, written)

    def _reference(self, name: str, variable: Variable, levels: Sequence[str]) -> int:
        reader = self.reader
        if reader.token.text != "ref" or reader.following.text != "=":
            reader.refuse(reader.token, 'after the variable, C(…) takes ref="level" and nothing else')
        reader.take()
        reader.take()
        if reader.token.kind not in ("string", "number"):
            reader.refuse(reader.token, f'a level of {name} is expected in quotes, such as ref="{levels[0]}"')
        token = reader.take()
        code = variable.code_of(token.text)
        if code < 0:
            reader.refuse(token, f"this is not a level of {name}; its levels are {', '.join(levels)}", variable=name)
        return code

    def _coded(self, token: Token, name: str, levels: Sequence[str], reference: int, written: str) -> Category:
        """One category for one variable in one formula, so that its columns' names are unmistakable."""
        new = Category(variable=name, levels=tuple(levels), reference=reference, written=written)
        known = self._categories.setdefault(name, new)
        if known.reference != reference:
            self.reader.refuse(
                token, f"{name} stands with two references, {known.levels[known.reference]} and {levels[reference]}; choose one"
            )
        return known

    def _spline(self) -> Spline:
        reader = self.reader
        token = reader.take()
        reader.expect("(", OPENED)
        expression = self._expression()
        given: dict[str, tuple[float, ...]] = {}
        allowed = ("knots", "bounds") if token.text == "ns" else ("knots", "degree", "bounds")
        while reader.accept(","):
            key = reader.token
            if key.text not in allowed or key.text in given or reader.following.text != "=":
                reader.refuse(key, f"after the variable, {token.text}(…) takes {', '.join(f'{name}=' for name in allowed)}, each once")
            reader.take()
            reader.take()
            given[key.text] = self._numbers()
        reader.expect(")", f"at the end of {token.text}(…)")
        return self._checked_spline(token, expression, given)

    def _checked_spline(self, token: Token, expression: Expression, given: dict[str, tuple[float, ...]]) -> Spline:
        knots, bounds, degree = given.get("knots", ()), given.get("bounds", ()), given.get("degree", (3.0,))
        if len(bounds) != 2 or bounds[0] >= bounds[1]:
            self.reader.refuse(token, f"{token.text}(…) needs bounds=c(low, high), the same for all sites")
        if any(later <= earlier for earlier, later in zip((bounds[0], *knots), (*knots, bounds[1]), strict=True)):
            self.reader.refuse(token, "knots= must ascend and lie strictly within the bounds")
        if len(degree) != 1 or degree[0] not in (1, 2, 3, 4, 5):
            self.reader.refuse(token, "degree= is a whole number from 1 to 5")
        kind: SplineKind = "ns" if token.text == "ns" else "bs"
        return Spline(kind=kind, expression=expression, knots=knots, bounds=(bounds[0], bounds[1]), degree=int(degree[0]))

    def _expression(self) -> Expression:
        """A number for each row."""
        reader = self.reader
        token = reader.token
        if token.kind != "name" or reader.following.text != "(":
            return Plain(self._variable(NUMBERS))
        if token.text in TRANSFORMS:
            reader.take()
            with reader.deeper():
                reader.take()
                made: Expression = Transformed(token.text, self._expression())  # type: ignore[arg-type]
        elif token.text in SHIFTS:
            reader.take()
            reader.take()
            made = Shifted(token.text, self._variable(NUMBERS))  # type: ignore[arg-type]
        elif token.text == "I":
            reader.take()
            with reader.deeper():
                reader.take()
                base = self._expression()
                reader.expect("^", "in I(…), which holds one power, such as I(age^2)")
                made = Power(base, self._exponent())
        elif token.text in FUNCTIONS:
            reader.refuse(token, f"{token.text}(…) {_place(token.text)}")
        else:
            reader.refuse(token, f"there is no such function; there are {', '.join(FUNCTIONS)}, and nothing else is ever called")
        reader.expect(")", f"at the end of {token.text}(…)")
        return made

    def _exponent(self) -> float:
        token = self.reader.token
        value = self._number()
        if not -9 <= value <= 9 or value == 0:
            self.reader.refuse(token, "a power is a number from -9 to 9, and not 0")
        return value

    def _numbers(self) -> tuple[float, ...]:
        if self.reader.token.text != "c" or self.reader.following.text != "(":
            return (self._number(),)
        self.reader.take()
        self.reader.take()
        numbers = [self._number()]
        while self.reader.accept(","):
            numbers.append(self._number())
        self.reader.expect(")", "at the end of c(…)")
        return tuple(numbers)

    def _number(self) -> float:
        negative = self.reader.accept("-")
        token = self.reader.token
        if token.kind != "number" or float(token.text) == float("inf"):
            self.reader.refuse(token, "a number is expected here")
        self.reader.take()
        return -float(token.text) if negative else float(token.text)

    def _variable(self, types: Sequence[Type]) -> str:
        reader = self.reader
        token = reader.token
        if token.kind != "name":
            reader.refuse(token, _not_a_name(token))
        if reader.following.text == "(":
            known = token.text in FUNCTIONS
            reader.refuse(token, f"a variable is expected here, not a function{'' if known else ', and there is none of this name'}")
        variable = self.study.variables.get(token.text)
        if variable is None:
            reader.refuse(token, f"there is no variable '{token.text}' in the project. {self.study.near(token.text).rstrip('.')}")
        if variable.type not in types:
            reader.refuse(token, f"{token.text} is of type {variable.type}; here a {_either(types)} is expected", variable=token.text)
        if token.text in self._outcome:
            reader.refuse(token, f"{token.text} is the outcome already and can't stand among the terms too", variable=token.text)
        reader.take()
        self.parsed.read.setdefault(token.text)
        return token.text


def _not_a_name(token: Token) -> str:
    if token.kind == "string":
        return 'text in quotes stands only in C(x, ref="level")'
    if token.kind == "number":
        return "a variable is expected here, not a number; the only numbers among the terms are 0 and 1, alone"
    if token.text in COMPARISONS:
        return NO_COMPARISONS
    return "a variable is expected here"


def _place(name: str) -> str:
    if name == "Surv":
        return "is an outcome: it stands alone on the left of '~'"
    if name in SPECIALS:
        return "stands as a term of its own, joined by + alone"
    return "can't stand inside another function"


def _either(types: Sequence[Type]) -> str:
    return ", ".join(types[:-1]) + f" or {types[-1]}" if len(types) > 1 else types[0]
