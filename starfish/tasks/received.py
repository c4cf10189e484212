"""Whether a global model can be computed with: looked at by the site that received it, before its rows are."""

from collections.abc import Mapping

import numpy as np

from starfish.tasks.errors import SiteRefusal
from starfish.tasks.payload import Payload
from starfish.tasks.updates import Shape


def refusal(fault: str) -> SiteRefusal:
    """What the site says of a model that is none."""
    return SiteRefusal(f"The last global model can't be computed with: {fault}. The coordinator has to start again.", code="bad-model")


def require(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, Shape], *, positive: tuple[str, ...] = ()) -> None:
    """Raises SiteRefusal unless each array is there, float64, of its shape, finite, and above 0 where it is one of `positive`."""
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None:
            raise refusal(f"it has no '{name}'")
        if array.dtype != np.float64 or array.shape != shape:
            raise refusal(f"'{name}' is {array.dtype} of shape {array.shape}, not float64 of shape {shape}")
        if not np.isfinite(array).all() or (name in positive and not (array > 0).all()):
            raise refusal(f"'{name}' has a number that is not finite{' or not above 0' if name in positive else ''}")


def sendable(update: Payload) -> Payload:
    """The update, if all its numbers are finite. Raises SiteRefusal: checked rows give others only at parameters that are none."""
    if not update.finite():
        raise refusal("at its parameters the rows give numbers that are not finite")
    return update
