"""Linear regression, exact in two rounds."""

from starfish.tasks.library.linear.model import LinearRegression

__all__ = ["LinearRegression"]
