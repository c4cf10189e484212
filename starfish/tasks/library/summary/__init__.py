"""Descriptive statistics over all sites: counts, moments, quantiles, Table 1 with tests."""

from starfish.tasks.library.summary.task import SummaryStatistics

__all__ = ["SummaryStatistics"]
