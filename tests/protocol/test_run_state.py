"""The machine: the contract's table written down a second time, against every status and event; then batches of any make-up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.protocol.run_state import REQUESTS, TABLE, Event, IllegalMove, RunStatus, Scope, batch_moves, own_move

S = RunStatus
LIVE = {S.PENDING_FAILED, S.STANDBY, S.PREPARING, S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING, S.AGGREGATING}
OWN = {
    Event.PREPARE: {S.STANDBY},
    Event.FINISH: {S.RUNNING},
    Event.SEND: {S.PENDING_SUCCESS},
    Event.STOP: LIVE,
    Event.FAIL: LIVE,
    Event.RESTART: {S.FAILED, S.PENDING_FAILED},
}
TARGETS = {
    Event.PREPARE: S.PREPARING,
    Event.TRAIN: S.RUNNING,
    Event.FINISH: S.PENDING_SUCCESS,
    Event.SEND: S.PENDING_AGGREGATING,
    Event.AGGREGATE: S.AGGREGATING,
    Event.ADVANCE: S.STANDBY,
    Event.SUCCEED: S.SUCCESS,
    Event.STOP: S.PENDING_FAILED,
    Event.FAIL: S.FAILED,
    Event.RESTART: S.STANDBY,
}
READY = {Event.TRAIN: S.PREPARING, Event.AGGREGATE: S.PENDING_AGGREGATING, Event.ADVANCE: S.AGGREGATING, Event.SUCCEED: S.AGGREGATING}
FURTHER = {Event.TRAIN: {S.RUNNING, S.PENDING_SUCCESS, S.PENDING_AGGREGATING, S.AGGREGATING}, Event.AGGREGATE: {S.AGGREGATING}}

states = st.sampled_from(list(S))
batches = st.dictionaries(st.integers(1, 30), states, min_size=1, max_size=8)


def test_the_numbers_and_words_are_the_wires() -> None:
    words = ["Failed", "Pending Failed", "Standby", "Preparing", "Running", "Pending Success", "Pending Aggregating", "Aggregating"]
    words.append("Success")
    assert [(status.value, status.word) for status in S] == list(enumerate(words))
    assert [S.from_word(word) for word in words] == list(S)
    assert {status for status in S if status.live} == LIVE


def test_every_status_can_be_asked_for_and_a_restart_only_by_name() -> None:
    assert set(REQUESTS) == set(S)
    assert set(REQUESTS.values()) == set(Event) - {Event.RESTART}
    assert {event: move.target for event, move in TABLE.items()} == TARGETS


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("status", list(S))
def test_a_site_moves_its_own_run(status: RunStatus, event: Event) -> None:
    if status is TARGETS[event] or status in OWN.get(event, ()):
        assert own_move(event, status) is TARGETS[event]
    else:
        with pytest.raises(IllegalMove, match=f'"{status.word}"') as refused:
            own_move(event, status)
        assert refused.value.state is status


@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("status", list(S))
def test_a_coordinator_moves_a_batch_that_is_all_in_one_status(status: RunStatus, event: Event) -> None:
    runs = {1: status, 2: status, 3: status}
    movable = status in OWN[event] if TABLE[event].scope is Scope.EITHER else status is READY.get(event)
    if status is TARGETS[event] or status in FURTHER.get(event, ()):
        assert batch_moves(event, runs, coordinator=1) == {}
    elif movable:
        assert batch_moves(event, runs, coordinator=1) == dict.fromkeys(runs, TARGETS[event])
    else:
        with pytest.raises(IllegalMove, match=f'"{status.word}"'):
            batch_moves(event, runs, coordinator=1)


@given(event=st.sampled_from(list(READY)), runs=batches, data=st.data())
def test_a_barrier_moves_all_or_none(event: Event, runs: dict[int, RunStatus], data: st.DataObject) -> None:
    coordinator = data.draw(st.sampled_from(sorted(runs)))
    left_out = data.draw(st.sets(st.sampled_from(sorted(runs)))) - {coordinator}
    ready = {READY[event]} | FURTHER.get(event, set())
    waits_for = {run for run, status in runs.items() if run not in left_out and status not in ready}
    ends_round = event in (Event.ADVANCE, Event.SUCCEED)
    try:
        moves = batch_moves(event, runs, coordinator=coordinator, left_out=left_out)
    except IllegalMove as refused:
        assert waits_for
        assert all(f'run {run} is "{runs[run].word}"' in refused.detail for run in waits_for)
        return
    if ends_round and runs[coordinator] is TARGETS[event]:
        assert moves == {}
        return
    assert not waits_for
    coming_along = {run for run in left_out if ends_round and runs[run] in LIVE - {S.PENDING_FAILED, TARGETS[event]}}
    assert moves == dict.fromkeys({run for run in set(runs) - left_out if runs[run] is READY[event]} | coming_along, TARGETS[event])


@given(event=st.sampled_from([Event.STOP, Event.FAIL, Event.RESTART]), runs=batches)
def test_a_sweep_waits_for_nobody_and_moves_whom_it_applies_to(event: Event, runs: dict[int, RunStatus]) -> None:
    coordinator = min(runs)
    expected = {run: TARGETS[event] for run, status in runs.items() if status in OWN[event] and status is not TARGETS[event]}
    if not expected and TARGETS[event] not in runs.values():
        with pytest.raises(IllegalMove):
            batch_moves(event, runs, coordinator=coordinator)
    else:
        assert batch_moves(event, runs, coordinator=coordinator) == expected


@given(event=st.sampled_from(list(Event)), runs=batches)
def test_a_move_made_twice_is_the_move_made_once(event: Event, runs: dict[int, RunStatus]) -> None:
    coordinator = min(runs)
    try:
        once = {**runs, **batch_moves(event, runs, coordinator=coordinator)}
    except IllegalMove:
        return
    assert batch_moves(event, once, coordinator=coordinator) == {}
