"""One engine for every model whose log-likelihood is a sum over rows: exact, whatever the split."""

from starfish.tasks.likelihood.config import LikelihoodConfig
from starfish.tasks.likelihood.state import State
from starfish.tasks.likelihood.task import LikelihoodTask, Pointwise

__all__ = ["LikelihoodConfig", "LikelihoodTask", "Pointwise", "State"]
