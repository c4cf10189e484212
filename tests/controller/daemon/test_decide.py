"""The full product of status, role, peers and memory: what is decided, and what never may be."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from starfish.controller.daemon.decide import FAILING, SENT, Action, Memory, View, decide, missing_updates
from starfish.protocol.messages import Run
from starfish.protocol.run_state import TABLE, Event, Scope, batch_moves, own_move
from starfish.protocol.run_state import RunStatus as S

MEMORY = Memory(
    verified=True,
    takes_part=True,
    failed=False,
    restarted=False,
    prepared=True,
    approved=True,
    has_last_model=True,
    has_update=True,
    updates=frozenset(),
)
STEPS = {
    Action.REPORT_PREPARED: (Event.PREPARE,),
    Action.BEGIN_ROUND: (Event.TRAIN,),
    Action.SEND: (Event.FINISH, Event.SEND),
    Action.AGGREGATE: (Event.FINISH, Event.SEND, Event.AGGREGATE, Event.ADVANCE),
}
PASSED = {
    Event.FINISH: (S.PENDING_SUCCESS, S.PENDING_AGGREGATING, S.AGGREGATING),
    Event.SEND: (S.PENDING_AGGREGATING, S.AGGREGATING),
    Event.AGGREGATE: (S.AGGREGATING,),
}
"""Where a chain is begun behind the event."""


def a_run(number: int, status: S, role: str = "participant") -> Run:
    return Run(
        id=number,
        project=1,
        batch=1,
        role=role,
        site_uid=f"uid-{number}",
        cur_seq=1,
        status=status,
        logs=[],
        artifacts=[],
        middle_artifacts=[],
        tasks=[{"seq": 1, "model": "M", "config": {"total_round": 3, "current_round": 2}}],
        updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def memories() -> Iterator[Memory]:
    for takes_part, failed, prepared, approved, model, update in product((True, False), repeat=6):
        for updates in (frozenset[str](), frozenset({"uid-2"}), frozenset({"uid-2", "uid-3"})):
            yield replace(
                MEMORY,
                takes_part=takes_part,
                failed=failed,
                prepared=prepared,
                approved=approved,
                has_last_model=model,
                has_update=update,
                updates=updates,
            )


def coordinators() -> Iterator[View]:
    for own, second, third in product(S, repeat=3):
        run = a_run(1, own, "coordinator")
        yield View(own=run, batch=[run, a_run(2, second), a_run(3, third)])


def participants() -> Iterator[View]:
    for status in S:
        run = a_run(2, status)
        yield View(own=run, batch=[run])


def everything() -> Iterator[tuple[View, Memory, Action | None]]:
    for view in (*coordinators(), *participants()):
        for memory in memories():
            yield view, memory, decide(view, memory)


def test_whatever_is_decided_the_machine_allows() -> None:
    """No step of a site's own is ever one that its Routing Server refuses for the states that it has just reported."""
    for view, _, action in everything():
        state = view.own.status
        for event in STEPS.get(action, ()) if action else ():
            if state in PASSED.get(event, ()):
                continue
            if TABLE[event].scope is Scope.SITE:
                state = own_move(event, state)
            else:
                states = {run.id: run.status for run in view.batch} | {view.own.id: state}
                moved = batch_moves(event, states, coordinator=1) if event is not Event.ADVANCE else {1: S.STANDBY}
                state = moved.get(1, state)


def test_nothing_is_done_for_a_batch_whose_terms_were_not_checked() -> None:
    for view, memory, _ in everything():
        action = decide(view, replace(memory, verified=False))
        assert action in (Action.VERIFY, Action.FAIL, Action.STOP_BATCH, Action.CLOSE)
        if view.own.status not in FAILING and not view.broken:
            assert action is Action.VERIFY


def test_a_participant_takes_no_step_of_the_coordinators() -> None:
    for view, _, action in everything():
        if not view.own.coordinates:
            assert action not in (Action.BEGIN_ROUND, Action.FETCH_UPDATES, Action.AGGREGATE, Action.STOP_BATCH)


def test_nothing_is_added_up_before_every_update_is_here() -> None:
    for view, memory, action in everything():
        if action is Action.AGGREGATE:
            assert all(run.status in SENT for run in view.batch if run.id != view.own.id)
            assert not missing_updates(view, memory)
            assert memory.has_update or not memory.takes_part


def test_a_site_without_data_never_computes() -> None:
    for _, memory, action in everything():
        if not memory.takes_part:
            assert action not in (Action.PREPARE, Action.TRAIN)


def test_nobody_trains_without_the_model_that_the_round_follows() -> None:
    """The model is fetched in Standby, before the site says that it is prepared."""
    for view, memory, action in everything():
        if view.own.status is S.STANDBY and not memory.has_last_model and not memory.failed:
            assert action in (Action.FETCH_MODEL, Action.STOP_BATCH)


def test_nobody_says_that_it_is_prepared_before_a_person_has_approved() -> None:
    for view, memory, action in everything():
        if view.own.status is S.STANDBY and not memory.approved:
            assert action is not Action.REPORT_PREPARED


def test_a_failure_in_the_batch_leaves_no_live_run_alone() -> None:
    for view, memory, action in everything():
        failed = any(run.status in FAILING for run in view.batch)
        living = any(run.status.live for run in view.batch)
        if view.own.coordinates and view.own.status is not S.SUCCESS and failed and living:
            assert action in (Action.STOP_BATCH, Action.FAIL)
        if view.own.status is S.FAILED and memory.failed and not (view.own.coordinates and living):
            assert action is Action.CLOSE


def test_waiting_ends_by_what_others_do() -> None:
    """Where nothing is decided, another site has something to do: no state in which all wait for each other."""
    for view in coordinators():
        if decide(view, replace(MEMORY, updates=frozenset({"uid-2", "uid-3"}))) is not None:
            continue
        others = [decide(View(own=run, batch=[run]), MEMORY) for run in view.batch if run.id != 1]
        # A participant that is Success beside a live coordinator is a state that no Routing Server gets into.
        assert any(other is not None for other in others), [run.status.name for run in view.batch]


@pytest.mark.parametrize(
    ("status", "memory", "action"),
    [
        (S.STANDBY, replace(MEMORY, prepared=False), Action.PREPARE),
        (S.STANDBY, replace(MEMORY, prepared=False, has_last_model=False), Action.FETCH_MODEL),
        (S.STANDBY, MEMORY, Action.REPORT_PREPARED),
        (S.STANDBY, replace(MEMORY, approved=False), None),
        (S.STANDBY, replace(MEMORY, approved=False, prepared=False), Action.PREPARE),
        (S.STANDBY, replace(MEMORY, approved=False, failed=True), Action.RESET),
        (S.PENDING_FAILED, replace(MEMORY, approved=False), Action.FAIL),
        (S.STANDBY, replace(MEMORY, failed=True), Action.RESET),
        (S.STANDBY, replace(MEMORY, restarted=True), Action.RESET),
        (S.PREPARING, MEMORY, None),
        (S.RUNNING, replace(MEMORY, has_update=False), Action.TRAIN),
        (S.RUNNING, MEMORY, Action.SEND),
        (S.PENDING_SUCCESS, MEMORY, Action.SEND),
        (S.PENDING_SUCCESS, replace(MEMORY, has_update=False), Action.TRAIN),
        (S.PENDING_AGGREGATING, MEMORY, None),
        (S.PENDING_AGGREGATING, replace(MEMORY, has_update=False), None),
        (S.AGGREGATING, MEMORY, None),
        (S.SUCCESS, MEMORY, Action.FINISH),
        (S.PENDING_FAILED, MEMORY, Action.FAIL),
        (S.PENDING_FAILED, replace(MEMORY, failed=True), Action.FAIL),
        (S.FAILED, MEMORY, Action.FAIL),
        (S.FAILED, replace(MEMORY, failed=True), Action.CLOSE),
    ],
)
def test_a_participant(status: S, memory: Memory, action: Action | None) -> None:
    run = a_run(2, status)
    assert decide(View(own=run, batch=[run]), memory) is action


@pytest.mark.parametrize(
    ("own", "others", "memory", "action"),
    [
        (S.PREPARING, (S.PREPARING, S.STANDBY), MEMORY, None),
        (S.PREPARING, (S.PREPARING, S.PREPARING), MEMORY, Action.BEGIN_ROUND),
        (S.PREPARING, (S.PREPARING, S.RUNNING), MEMORY, Action.BEGIN_ROUND),
        (S.RUNNING, (S.PREPARING, S.RUNNING), replace(MEMORY, has_update=False), Action.BEGIN_ROUND),
        (S.PENDING_AGGREGATING, (S.PREPARING, S.PENDING_AGGREGATING), MEMORY, Action.BEGIN_ROUND),
        (S.PENDING_AGGREGATING, (S.RUNNING, S.PENDING_AGGREGATING), MEMORY, Action.FETCH_UPDATES),
        (S.PENDING_AGGREGATING, (S.RUNNING, S.PENDING_AGGREGATING), replace(MEMORY, updates=frozenset({"uid-3"})), None),
        (S.PENDING_AGGREGATING, (S.PENDING_AGGREGATING,) * 2, replace(MEMORY, updates=frozenset({"uid-2", "uid-3"})), Action.AGGREGATE),
        (S.PENDING_AGGREGATING, (S.PENDING_AGGREGATING,) * 2, replace(MEMORY, has_update=False), Action.TRAIN),
        (S.PENDING_AGGREGATING, (S.PENDING_AGGREGATING,) * 2, replace(MEMORY, has_update=False, takes_part=False), Action.FETCH_UPDATES),
        (S.RUNNING, (S.PENDING_AGGREGATING,) * 2, replace(MEMORY, updates=frozenset({"uid-2", "uid-3"})), Action.AGGREGATE),
        (S.RUNNING, (S.RUNNING, S.PENDING_AGGREGATING), replace(MEMORY, updates=frozenset({"uid-3"})), Action.SEND),
        (S.RUNNING, (S.RUNNING, S.FAILED), MEMORY, Action.STOP_BATCH),
        (S.FAILED, (S.RUNNING, S.FAILED), replace(MEMORY, failed=True), Action.STOP_BATCH),
        (S.FAILED, (S.FAILED, S.FAILED), replace(MEMORY, failed=True), Action.CLOSE),
    ],
)
def test_a_coordinator(own: S, others: tuple[S, S], memory: Memory, action: Action | None) -> None:
    run = a_run(1, own, "coordinator")
    view = View(own=run, batch=[run, *(a_run(number, status) for number, status in enumerate(others, start=2))])
    assert decide(view, memory) is action
