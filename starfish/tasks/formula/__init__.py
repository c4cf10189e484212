"""Formulas: a closed language, in which nothing is ever evaluated as code. Specified in docs/spec/formula.md."""

from starfish.tasks.formula.formula import Formula, parse
from starfish.tasks.formula.terms import Column

__all__ = ["Column", "Formula", "parse"]
