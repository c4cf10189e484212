"""Logistic regression by exact maximum likelihood: with full statistics, and with metrics of prediction."""

from starfish.tasks.library.logistic.metrics import LogisticRegression
from starfish.tasks.library.logistic.model import LogisticRegressionStats

__all__ = ["LogisticRegression", "LogisticRegressionStats"]
