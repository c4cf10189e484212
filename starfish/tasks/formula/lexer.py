"""Text to tokens, for formulas and for eligibility: a closed alphabet, so that nothing unknown gets further than here."""

import re
from dataclasses import dataclass
from typing import Literal, NoReturn

from starfish.tasks.errors import InvalidTask

MAX_LENGTH, MAX_DEPTH = 2000, 20
Kind = Literal["name", "number", "string", "operator", "foreign", "end"]
PATTERN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)"
    r"|(?P<string>\"[^\"\\\n]*\"|'[^'\\\n]*')"
    r"|(?P<operator>==|!=|<=|>=|[-~+*:(),=^|<>])"
)


@dataclass(frozen=True, kw_only=True)
class Token:
    """One token; `text` as written (a string without its quotes), `position` its 0-based place. `foreign`: a character of no token."""

    kind: Kind
    text: str
    position: int

    def shown(self) -> str:
        return "the end" if self.kind == "end" else f"'{self.text}'"


class Reader:
    """Tokens with a cursor, and one way to refuse: with the place, and what is allowed there."""

    def __init__(self, text: str, *, what: str, code: str) -> None:
        self._what, self._code, self._depth, self._next = what, code, 0, 0
        if len(text) > MAX_LENGTH:
            raise InvalidTask(f"In the {what}, at the end: it has {len(text)} characters; {MAX_LENGTH} is the most.", code=code)
        self.tokens = self._scan(text)

    def _scan(self, text: str) -> list[Token]:
        tokens: list[Token] = []
        position = 0
        while position < len(text):
            found = PATTERN.match(text, position)
            if found is None:
                return [*tokens, Token(kind="foreign", text=text[position], position=position)]
            kind: Kind = found.lastgroup  # type: ignore[assignment]
            if found.lastgroup != "space":
                word = found.group()[1:-1] if kind == "string" else found.group()
                tokens.append(Token(kind=kind, text=word, position=position))
            position = found.end()
        return [*tokens, Token(kind="end", text="", position=len(text))]

    @property
    def token(self) -> Token:
        """The next token, which stays."""
        return self.tokens[self._next]

    @property
    def following(self) -> Token:
        """The one after the next."""
        return self.tokens[min(self._next + 1, len(self.tokens) - 1)]

    def at(self, *operators: str) -> bool:
        return self.token.kind == "operator" and self.token.text in operators

    def take(self) -> Token:
        token = self.token
        self._next = min(self._next + 1, len(self.tokens) - 1)
        return token

    def accept(self, *operators: str) -> Token | None:
        return self.take() if self.at(*operators) else None

    def expect(self, operator: str, where: str) -> Token:
        if not self.at(operator):
            self.refuse(self.token, f"'{operator}' is expected {where}")
        return self.take()

    def deeper(self) -> "Reader":
        """For `with`: one level of parentheses, of which there is a limit."""
        return self

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.refuse(self.token, f"parentheses are nested more than {MAX_DEPTH} deep; write it more simply")

    def __exit__(self, *_: object) -> None:
        self._depth -= 1

    def refuse(self, token: Token, rule: str, *, variable: str | None = None) -> NoReturn:
        """Raises InvalidTask."""
        rule = _why_not(token.text) if token.kind == "foreign" else rule
        place = "at the end" if token.kind == "end" else f"at character {token.position + 1} ('{_clipped(token.text)}')"
        raise InvalidTask(f"In the {self._what}, {place}: {rule}{'' if rule.endswith('?') else '.'}", code=self._code, variable=variable)


def _clipped(text: str) -> str:
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= 40 else f"{text[:39]}…"


def _why_not(character: str) -> str:
    if character in "\"'":
        return "this quotation mark has no partner"
    if character == ".":
        return "a dot has no meaning here: there are no attributes, and '.' does not stand for all variables"
    if character in "[]{}":
        return "brackets have no meaning here; a list of numbers is written c(1, 2)"
    return "this character has no meaning here; allowed are names of variables, numbers, quoted levels, parentheses and operators"
