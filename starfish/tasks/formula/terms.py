"""From terms to columns: R's order of terms, and full-rank coding as patsy describes it ("Coding categorical data").

A category stands for its own span {1, its contrasts}; a term of categories for the product of these. What earlier terms
(with the same numeric factors) have spanned already is taken away, and the rest is written with as few blocks as possible:
a block of all levels where two blocks differ by one category's contrasts, else a block of contrasts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from math import prod
from typing import NoReturn

from starfish.tasks.formula.factors import Category, Factor

MAX_TERMS, MAX_FACTORS, MAX_COLUMNS = 500, 6, 1000

Term = tuple[Factor, ...]
Block = frozenset[tuple[Category, bool]]
"""Categories of one product, each with whether all its levels are coded (else its contrasts)."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the design: `term` is the source term, `reference` the level that the column is compared with, if there is one.

    `parts` are its factors, each with a category's code or the index among a numeric factor's columns; none for the intercept.
    """

    name: str
    term: str
    reference: str | None
    parts: tuple[tuple[Factor, int], ...]


INTERCEPT = Column(name="(Intercept)", term="(Intercept)", reference=None, parts=())


def add(one: Sequence[Term], other: Iterable[Term]) -> list[Term]:
    """one + other: each term once, in order of appearance; a:b is b:a."""
    known = {frozenset(term) for term in one}
    total = list(one)
    for term in other:
        if frozenset(term) not in known:
            known.add(frozenset(term))
            total.append(term)
    return total


def interact(one: Sequence[Term], other: Sequence[Term]) -> list[Term]:
    """one : other: every term of one with every term of other."""
    return add([], (tuple(dict.fromkeys(left + right)) for left in one for right in other))


def too_large(terms: Sequence[Term]) -> str | None:
    """Why these terms are more than a formula may hold."""
    if len(terms) > MAX_TERMS:
        return f"this makes {len(terms)} terms; {MAX_TERMS} is the most"
    if any(len(term) > MAX_FACTORS for term in terms):
        return f"this makes an interaction of more than {MAX_FACTORS} variables"
    return None


def columns(terms: Sequence[Term], *, order: Iterable[Factor], intercept: bool, refuse: Callable[[str], NoReturn]) -> tuple[Column, ...]:
    """All columns; in a term, factors stand in the given order. Calls `refuse` with a sentence where they would be too many."""
    rank = {factor: place for place, factor in enumerate(order)}
    spanned: dict[frozenset[Factor], set[frozenset[Category]]] = {frozenset(): {frozenset()} if intercept else set()}
    made = [INTERCEPT] if intercept else []
    for term in sorted(terms, key=len):
        factors = tuple(sorted(term, key=rank.__getitem__))
        for block in _blocks(factors, spanned):
            if len(made) + prod(len(_indices(factor, block)) for factor in _standing(factors, block)) > MAX_COLUMNS:
                refuse(f"it makes more than {MAX_COLUMNS} columns")
            made.extend(_block_columns(factors, block))
    return tuple(made)


def _blocks(factors: Term, spanned: dict[frozenset[Factor], set[frozenset[Category]]]) -> list[Block]:
    """The blocks that a term adds to what is spanned already, which it updates."""
    categories = [factor for factor in factors if isinstance(factor, Category)]
    before = spanned.setdefault(frozenset(factor for factor in factors if not isinstance(factor, Category)), set())
    subsets = [frozenset(chosen) for size in range(len(categories) + 1) for chosen in combinations(categories, size)]
    blocks: list[Block] = [frozenset((category, False) for category in subset) for subset in subsets if subset not in before]
    before.update(subsets)
    while merged := next(_merges(blocks), None):
        short, long = merged
        (category, _), *_rest = long - short
        blocks = [short | {(category, True)} if block == long else block for block in blocks if block != short]
    return blocks


def _merges(blocks: list[Block]) -> Iterator[tuple[Block, Block]]:
    """Pairs of blocks of which the longer has one category's contrasts more: together they are that category's levels."""
    for place, short in enumerate(blocks):
        for long in blocks[place + 1 :]:
            if short < long and len(long) == len(short) + 1 and not next(iter(long - short))[1]:
                yield short, long


def _standing(factors: Term, block: Block) -> list[Factor]:
    """The term's factors that the block has, in the term's order."""
    present = {category for category, _ in block}
    return [factor for factor in factors if not isinstance(factor, Category) or factor in present]


def _indices(factor: Factor, block: Block) -> Sequence[int]:
    if isinstance(factor, Category):
        return factor.all if (factor, True) in block else factor.contrasts
    return range(len(factor.names))


def _block_columns(factors: Term, block: Block) -> Iterator[Column]:
    standing = _standing(factors, block)
    coded = [factor for factor in standing if isinstance(factor, Category)]
    lone = coded[0] if len(coded) == 1 and (coded[0], False) in block else None
    for reverse in product(*(_indices(factor, block) for factor in reversed(standing))):
        parts = tuple(zip(standing, reverse[::-1], strict=True))
        yield Column(
            name=":".join(factor.name(index) if isinstance(factor, Category) else factor.names[index] for factor, index in parts),
            term=":".join(factor.text for factor in factors),
            reference=lone.levels[lone.reference] if lone else None,
            parts=parts,
        )
