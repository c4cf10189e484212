"""The policy in the daemon: who must approve, what is refused, and from when a changed file holds."""

import pytest

from starfish.controller.files import write_durably
from starfish.controller.guard import audit, holds
from starfish.protocol.run_state import RunStatus as S
from tests.controller.daemon.conftest import Member, World, until

APPROVE = b"preset: open\napprove: each-batch\n"
CLOSE = b"preset: open\napprove: close-rows\nmin_rows: 10\n"


def allow(member: Member, policy: bytes) -> None:
    write_durably(member.home.policy_file, policy)


def waits(member: Member, batch: int = 1) -> bool:
    assert member.journal is not None
    with member.journal.read() as db:
        return holds.waits(db, (1, batch))


def approve(member: Member, batch: int = 1) -> None:
    """As `starfish run approve` does, from another process."""
    with member.home.journal() as journal, journal.write() as db:
        found = holds.find(db, (1, batch))
        assert found is not None
        holds.approve(db, found, "mueller")


def kinds(member: Member) -> list[str]:
    with member.home.journal() as journal, journal.read() as db:
        return [audit.entry(row).kind for row in audit.rows(db)]


def told(world: World, member: Member) -> str:
    run = world.router.of(member.uid).id
    return "".join(text for of, text in world.router.lines if of == run)


def test_a_batch_waits_in_standby_until_a_person_approves(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    member = world.members[1]
    allow(member, APPROVE)
    world.up()
    until(lambda: waits(member))
    until(lambda: "waits for a person's approval" in told(world, member))
    until(lambda: world.router.of("cccc").status is S.PREPARING)
    assert world.router.of(member.uid).status is S.STANDBY
    assert "starfish run approve" not in told(world, member), "how is for the site's own people"
    assert member.said("starfish run approve 1 --batch 1' lets it go on")
    assert not member.workers(), "nothing needs a worker meanwhile"
    approve(member)
    world.until_reported()
    assert kinds(member)[:3] == ["policy", "departure", "approved"]


def test_a_daemon_that_ends_meanwhile_still_waits_and_an_approval_meanwhile_counts(world: World) -> None:
    world.router.open_batch(1, [("limited", 2)])
    member = world.members[1]
    allow(member, APPROVE)
    world.up()
    until(lambda: waits(member))
    member.down()
    member.up()
    until(lambda: world.router.of("cccc").status is S.PREPARING)
    assert world.router.of(member.uid).status is S.STANDBY
    member.down()
    approve(member)
    member.up()
    world.until_reported()


def test_rows_that_differ_by_one_wait_and_the_same_do_not(world: World) -> None:
    member = world.members[1]
    allow(member, CLOSE)
    member.has("some proper rows of this site")
    world.router.open_batch(1, [("limited", 1)])
    world.up()
    world.until_reported()
    assert not waits(member)
    world.router.open_batch(1, [("limited", 2)])
    until(lambda: (member.work(batch=2) / "report.json").exists())
    member.has("some proper rows of this sit")
    world.router.open_batch(1, [("limited", 2)])
    until(lambda: waits(member, 3))
    until(
        lambda: [event for event in member.events(batch=3) if "differ by 1 row from those of project 1, batch 1" in (event.private or "")]
    )
    assert not any("differ by" in event.public for event in member.events(batch=3)), "the coordinator learns nothing of the rows"
    approve(member, 3)
    until(lambda: (member.work(batch=3) / "report.json").exists())


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (b"preset: open\ntasks: [SummaryStatistics]\n", "does not allow the task limited"),
        (b"preset: open\ndatasets: [other]\n", "does not allow the dataset"),
        (b"preset: open\nmax_queries: 1\n", "has given 1 answers about these rows and variables"),
        (b"preset: open\nmax_rounds: 1\n", "has given 1 answers about these data"),
    ],
)
def test_what_the_policy_refuses_fails_the_run_with_its_public_reason(world: World, policy: bytes, reason: str) -> None:
    world.router.open_batch(1, [("limited", 2)])
    member = world.members[1]
    allow(member, policy)
    world.up()
    world.until_all(S.FAILED)
    until(lambda: [event for event in world.members[0].events() if "Hospital B failed" in event.public and reason in event.public])
    assert member.said("(rule ")
    assert not member.said("Internal error")


def test_a_pooled_result_of_too_few_sites_does_not_leave(world: World) -> None:
    allow(world.members[0], b"preset: open\nmin_sites: 4\n")
    world.router.open_batch(1, [("limited", 1)])
    world.up()
    world.until_all(S.FAILED)
    assert world.members[0].said("must be of 4 sites at least")
    assert not [one for one in world.router.files if one.kind == "artifacts"]
    assert kinds(world.members[0])[-1] in ("withheld", "departure")
    assert "withheld" in kinds(world.members[0])


def test_a_changed_policy_holds_from_the_next_batch_on(world: World) -> None:
    world.router.open_batch(1, [("limited", 1)])
    world.up()
    world.until_reported()
    member = world.members[1]
    allow(member, b"preset: open\ntasks: []\n")
    world.router.open_batch(1, [("limited", 1)])
    until(lambda: [event for event in member.events(batch=2) if "does not allow the task" in event.public])


def test_with_a_policy_that_cannot_be_read_nothing_is_computed_until_it_is_mended(world: World) -> None:
    world.router.open_batch(1, [("limited", 1)])
    world.up()
    world.until_reported()
    member = world.members[1]
    good = member.home.policy_file.read_bytes()
    allow(member, b"preset: open\nmin_rows: some\n")
    world.router.open_batch(1, [("limited", 1)])
    until(lambda: [event for event in member.events(batch=2) if "line 2: 'min_rows' must be" in event.public])
    assert not (member.work(batch=2) / "rows.payload").exists()
    allow(member, good)
    until(lambda: (member.work(batch=2) / "report.json").exists())
    assert not member.said("Internal error")
