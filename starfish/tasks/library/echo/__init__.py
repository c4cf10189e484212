"""An empty round: an array of random numbers goes round, for trying out a network."""

from starfish.tasks.library.echo.task import Echo

__all__ = ["Echo"]
