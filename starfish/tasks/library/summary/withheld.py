"""What a site holds back of a summary: whole variables, and counts within brackets that few of its values lie in; never part of a sum."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from starfish.tasks.counting import largest_share
from starfish.tasks.disclosure import DOMINANT, OPEN, Limits, Scrutiny
from starfish.tasks.errors import SiteRefusal
from starfish.tasks.payload import Payload
from starfish.tasks.received import require

if TYPE_CHECKING:
    from starfish.tasks.library.summary.task import SummaryStatistics

Array = np.ndarray


def few(counts: Array, limits: Limits) -> Array:
    """Where there are some, and fewer than may be told."""
    return (counts > 0) & (counts < limits.min_cell)


def numeric_withheld(values: Array, group: Array, cells: Array, limits: Limits) -> bool:
    """Whether a group has few of the values (n,), or few that are not its commonest, or one that makes up most of its sum of squares.

    `cells` as `local_cells` has them.
    """
    if few(cells[:, 0], limits).any():
        return True
    parts = [values[(group == code) & ~np.isnan(values)] for code in range(len(cells))] if limits != OPEN else []
    exceptions = [len(part) - np.unique(part, return_counts=True)[1].max(initial=0) for part in parts]
    if few(np.array(exceptions), limits).any():
        return True
    return limits.oracle and any(largest_share((part - mean) ** 2) > DOMINANT for part, (_, mean, _) in zip(parts, cells, strict=True))


def within(values: Array, low: Array, high: Array) -> Array:
    """How many of the values (n,) lie in each bracket (low, high] (...)."""
    ordered = np.sort(values[~np.isnan(values)])
    return np.asarray(np.searchsorted(ordered, high, side="right") - np.searchsorted(ordered, low, side="right"))


def refuse_chosen(task: "SummaryStatistics", model: Payload, scrutiny: Scrutiny) -> None:
    """Raises SiteRefusal unless the brackets are those that follow from the pooled counts, which this site's own must be in."""
    sites = model.meta.get("sites")
    if type(sites) is not int or sites < scrutiny.limits.min_sites:
        raise SiteRefusal(
            "Too few sites take part (rule min_sites): what a site sends could be told from the pooled counts.", code="min-sites"
        )
    if scrutiny.update is None:
        raise _refusal("this site has sent nothing that they could follow from")
    own, before = scrutiny.update.arrays, scrutiny.model
    if before is None:
        require(model.arrays, {name: array.shape for name, array in own.items() if name != "extremes"})
        known = task.numeric_known(model.arrays)
        less = model.arrays["rows"] < own["rows"]
        fewer = bool(less.any() or (model.arrays["cells"][known, :, 0] < own["cells"][known, :, 0]).any())
        low, high = task.first_brackets(model.arrays)
        following: Mapping[str, Array] = {"low": low, "high": high, "closed": np.zeros(low.shape)}
    else:
        require(model.arrays, {"sum:below": own["below"].shape, "sum:withheld": own["withheld"].shape})
        sums = {name: model.arrays[f"sum:{name}"] for name in ("below", "withheld")}
        fewer = any((sums[name] < own[name]).any() for name in sums)
        following = {**task.narrow(before.arrays, sums)}
    if fewer:
        raise _refusal("this site's own counts are not among those that they came from")
    for name, array in following.items():
        given = model.arrays.get(name)
        if given is None or given.shape != array.shape or not np.allclose(given, array, rtol=1e-9, atol=0.0, equal_nan=True):
            raise _refusal(f"'{name}' does not follow from the pooled counts")


def _refusal(fault: str) -> SiteRefusal:
    return SiteRefusal(
        f"The last global model's brackets are not those that follow from the sites' counts: {fault}. This site counts within no others.",
        code="oracle",
    )
