"""Whether a global model is the one that follows: the likelihood is an oracle, and a site answers it only where the fit leads.

The first point is the task's own start; each further one the Newton step, or a halving of it, from the sums that the model carries.
A site lets it follow once more, by the coordinator's code, from the model before, which it has itself. What the sums of other sites
are it can't know; its own update must be in them.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from starfish.tasks.disclosure import Scrutiny
from starfish.tasks.errors import NoEstimate, SiteRefusal
from starfish.tasks.likelihood.contained import Sums
from starfish.tasks.likelihood.stages import SITES, Stage
from starfish.tasks.likelihood.state import State, rows_digest
from starfish.tasks.payload import Payload
from starfish.tasks.received import require

if TYPE_CHECKING:
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray
CLOSE, TINY = 1e-6, 1e-13
"""By what numbers differ that two processors compute of the same sums, relative to the largest; a difference that is none."""


def refuse_chosen(task: "LikelihoodTask", state: State, scrutiny: Scrutiny, site: str) -> None:
    """Raises SiteRefusal unless `state` is what follows from the model before it, this site's update and others."""
    sites = state.meta.get("sites")
    if isinstance(sites, list) and len(sites) < scrutiny.limits.min_sites:
        raise SiteRefusal(
            "Too few sites take part (rule min_sites): what a site sends could be told from the pooled sums.",
            code="min-sites",
            private=f"{len(sites)} sites take part; the policy wants {scrutiny.limits.min_sites} (rule min_sites).",
        )
    if scrutiny.update is None:
        raise refused("this site has sent nothing that it could follow from")
    before = State.of(scrutiny.model)
    stage = task.stage(before)
    sums = state.sums
    require(sums, stage.carried(task, before))
    with np.errstate(all="ignore"):
        fault = stage.plausible(task, before, sums, scrutiny.update, site)
        if fault:
            raise refused(f"of its sums {fault}")
        following = _following(task, before, state, _with_own(stage, task, state, sums, scrutiny.update, site))
    if name := _difference(following.meta, state.meta) or _array_difference(following, state):
        raise refused(f"'{name}' does not follow from its sums")


def refused(fault: str) -> SiteRefusal:
    """What the site says of parameters that somebody has chosen."""
    return SiteRefusal(
        f"The last global model is not the one that follows from the sites' sums: {fault}. This site answers at no other.", code="oracle"
    )


def _following(task: "LikelihoodTask", before: State, received: State, sums: Sums) -> State:
    """What follows by the coordinator's code."""
    after = State(dict(before.meta), dict(before.arrays))
    if "sites" not in before.meta:
        after.meta |= {name: received.meta[name] for name in ("sites", "announced") if name in received.meta}
    try:
        task.follow(after, sums)
    except (NoEstimate, np.linalg.LinAlgError, ArithmeticError):
        raise refused("nothing follows from its sums") from None
    return after


def _with_own(stage: Stage, task: "LikelihoodTask", state: State, sums: Sums, own: Payload, site: str) -> Sums:
    """With what is known of each site, as far as this one knows it: of itself."""
    if "sites" in state.meta and stage.name == "columns":
        state.require_site(site)
        k, place = len(state.sites), state.place(site)
        announced = state.meta.get("announced")
        if not isinstance(announced, list) or len(announced) != k or announced[place] != rows_digest(site, float(own.arrays["n"])):
            raise refused("it does not name the rows that this site has announced")
        means = np.full((k, len(sums["mean"])), np.nan)
        means[place] = own.arrays["mean"]
        return {**sums, SITES + "mean": means, SITES + "outcome": np.ones((k, 2))}
    return sums


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The name of the first entry that differs."""
    return next((name for name in sorted({*one, *other}) if not _alike(one.get(name), other.get(name))), None)


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return _difference(one, other) is None
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(_alike(left, right) for left, right in zip(one, other, strict=True))
    if type(one) is float and type(other) is float:
        return bool(abs(one - other) <= CLOSE * max(abs(one), abs(other)) + TINY)
    return type(one) is type(other) and bool(one == other)


def _array_difference(following: State, received: State) -> str | None:
    """The same of arrays; what the site can't know of others is not a number."""
    for name in sorted({*following.arrays, *received.arrays}):
        one, other = following.arrays.get(name), received.arrays.get(name)
        if one is None or other is None or one.shape != other.shape or other.dtype != np.float64 or not np.isfinite(other).all():
            return name
        known = ~np.isnan(one)
        size = float(np.abs(one[known]).max(initial=0.0))
        if (np.abs(one[known] - other[known]) > CLOSE * size + TINY).any():
            return name
    return None
