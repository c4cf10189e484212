"""What a site hears while it takes a step of its own may be of before that step: nothing is undone because of it."""

import os
import time

from starfish.controller.daemon.loop import QUIET_S
from starfish.protocol.run_state import RunStatus as S
from tests.controller.daemon.conftest import World, until


def test_what_is_heard_during_a_long_preparation_does_not_begin_it_anew(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    coordinator, *others = world.members
    source = coordinator.home.path.parent / "aaaa.txt"
    source.unlink()
    os.mkfifo(source)
    world.up()
    until(lambda: all(world.router.of(other.uid).status is S.PREPARING for other in others))
    time.sleep(2 * QUIET_S)
    with source.open("w") as rows:
        source.unlink()
        coordinator.has("rows of aaaa")
        rows.write("rows of aaaa")
    world.until_reported()
    assert not coordinator.said("restarted")
    assert len(coordinator.said("prepare took")) == 1
    assert len(coordinator.said("train took")) == 2
