"""An attack: what is done, who must notice and in which words, and what must not have been computed on it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starfish.cli.attack.world import DemoFailed, World


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """`words`: what the site concerned has said; `computed`: what must not be there, and is."""

    words: Sequence[str]
    computed: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Attack:
    """`does`: what the attacker does; `notices`: the site concerned; `names`: the piece of its sentence that says what was wrong."""

    title: str
    does: str
    notices: str
    names: str
    carry_out: Callable[[World], Outcome]


@dataclass(frozen=True, kw_only=True)
class Result:
    """`said`: the sentence that names what was wrong; else what was said instead."""

    attack: Attack
    noticed: bool
    said: str
    computed: Sequence[str]
    seconds: float

    @property
    def held(self) -> bool:
        return self.noticed and not self.computed


def attempt(attack: Attack, world: World) -> Result:
    """Carry it out, and see what came of it. Raises DemoFailed where the sites themselves do not work."""
    began = time.monotonic()
    outcome = attack.carry_out(world)
    if any(process.poll() is not None for process in world.processes):
        raise DemoFailed(f"A process has ended during '{attack.title}'.")
    said = next((line for line in outcome.words if attack.names in line), None)
    return Result(
        attack=attack,
        noticed=said is not None,
        said=said or " / ".join(filter(None, outcome.words)) or "nothing",
        computed=tuple(outcome.computed),
        seconds=time.monotonic() - began,
    )
