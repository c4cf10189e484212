"""A project without tasks, as other controllers may make one: its batch fails, with a sentence, at every site."""

from starfish.protocol.run_state import RunStatus as S
from tests.controller.daemon.conftest import World


def test_a_batch_of_no_tasks_fails_and_says_why(world: World) -> None:
    world.router.open_batch(1, [])
    world.up()
    world.until_all(S.FAILED)
    assert any("The project has no tasks" in event.public for member in world.members for event in member.events())
    assert not any("Internal error" in event.public for member in world.members for event in member.events())
