"""Compensated sums: the definition's bits, in blocks, without holding the terms."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.tasks.blocks import ITEMS
from starfish.tasks.summation import CompensatedSum

NUMBERS = st.floats(min_value=-1e300, max_value=1e300, allow_nan=False) | st.sampled_from([0.0, -0.0, 5e-324, 1e16, -1e16, 1.0, 0.1])


def neumaier(terms: Sequence[np.ndarray]) -> np.ndarray:
    """As the source writes it."""
    high, low = terms[0].copy(), np.zeros_like(terms[0])
    for term in terms[1:]:
        total = high + term
        low = low + np.where(np.abs(high) >= np.abs(term), (high - total) + term, (term - total) + high)
        high = total
    return np.asarray(high + low)


def summed(terms: Sequence[np.ndarray | float]) -> CompensatedSum:
    total = CompensatedSum()
    for term in terms:
        total.add(term)
    return total


@given(st.lists(NUMBERS, min_size=1, max_size=30))
def test_the_bits_are_those_of_the_definition(numbers: list[float]) -> None:
    if np.isfinite(np.cumsum(numbers)).all():
        assert summed(numbers).total.tobytes() == neumaier([np.asarray(number) for number in numbers]).tobytes()


@pytest.mark.parametrize("size", [0, 1, ITEMS - 1, ITEMS, ITEMS + 1, 5 * ITEMS + 7])
def test_blocks_do_not_show(size: int) -> None:
    random = np.random.default_rng(size)
    terms = [random.normal(size=size) * 10.0 ** random.integers(-12, 12, size) for _ in range(9)]
    assert summed(terms).total.tobytes() == neumaier(terms).tobytes()


@given(st.lists(st.floats(min_value=-1e15, max_value=1e15), min_size=1, max_size=40))
def test_the_error_is_below_one_rounding(numbers: list[float]) -> None:
    exact = sum(map(Fraction, numbers), Fraction())
    bound = Fraction(1, 2**52) * abs(exact) + Fraction(1, 2**100) * len(numbers) ** 2 * Fraction(math.fsum(map(abs, numbers)))
    assert abs(Fraction(float(summed(numbers).total)) - exact) <= bound


def test_any_shape_and_layout() -> None:
    terms = [np.asfortranarray(np.random.default_rng(seed).normal(size=(40, 50))) for seed in range(3)]
    views = [np.repeat(term, 2, axis=1)[:, ::2] for term in terms]
    assert summed(terms).total.tobytes() == summed(views).total.tobytes() == neumaier([np.ascontiguousarray(t) for t in terms]).tobytes()
    assert summed([1.5, np.float64(2.5), np.asarray(3, dtype=np.int64)]).total == 7.0


def test_terms_are_not_changed_and_their_shapes_are_one() -> None:
    first, second = np.ones(3), np.full(3, 2.0)
    total = summed([first, second, second])
    assert first.tolist() == [1.0] * 3
    assert second.tolist() == [2.0] * 3
    with pytest.raises(ValueError, match=r"of shape \(1,\) can't be added to ones of shape \(3,\)"):
        total.add(np.ones(1))
    with pytest.raises(ValueError, match="nothing was added"):
        _ = CompensatedSum().total


@given(st.floats(min_value=-1e290, max_value=1e290).filter(lambda value: value == 0 or abs(value) > 1e-290), st.integers(1, 200))
def test_the_mean_of_equal_terms_is_that_term(number: float, terms: int) -> None:
    assert summed([number] * terms).mean(terms) == number


def test_the_mean_of_equal_terms_is_that_term_where_a_plain_quotient_is_not() -> None:
    array = 1.0 + np.random.default_rng(0).random(3 * ITEMS)
    plain = 0
    for terms in (3, 5, 7, 11, 13, 16):
        total = summed([array] * terms)
        plain += int((total.total / terms != array).sum())
        assert total.mean(terms).tobytes() == array.tobytes()
    assert plain > 0


@given(st.lists(st.floats(min_value=-1e9, max_value=1e9), min_size=1, max_size=20))
def test_the_mean_is_within_one_rounding(numbers: list[float]) -> None:
    exact = sum(map(Fraction, numbers), Fraction()) / len(numbers)
    bound = Fraction(1, 2**52) * abs(exact) + Fraction(1, 2**90) * Fraction(math.fsum(map(abs, numbers))) + Fraction(1, 2**1000)
    assert abs(Fraction(float(summed(numbers).mean(len(numbers)))) - exact) <= bound
