"""Lines and reports: what is sent, in which portions, and how a series is read."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starfish.protocol.messages import ForeignAnswer, ProgressReport, Run
from starfish.sdk import Client, RouterUnreachable
from starfish.sdk.telemetry import portions
from tests.sdk.test_client import RUN, Answer, Stub, client, router, said

__all__ = ["client", "router"]

REPORT: dict[str, Any] = {
    "id": 4,
    "task_seq": 1,
    "round_seq": 2,
    "at": "2026-11-24T10:00:00.000001Z",
    "round": 2,
    "step": "train",
    "fraction": 0.5,
    "metrics": {"loss": 1},
    "message": "m",
}


@given(st.text(alphabet=st.sampled_from("aä€😀\n"), max_size=60), st.integers(4, 20))
def test_portions_are_small_enough_and_all_of_it(text: str, size: int) -> None:
    parts = list(portions(text, size))
    assert all(0 < len(part.encode()) <= size for part in parts)
    assert "".join(parts).replace("\n", "") == text.replace("\n", "")
    whole_lines = [line for line in text.split("\n") if line]
    if all(len(line.encode()) <= size for line in whole_lines):
        assert [line for part in parts for line in part.split("\n") if line] == whole_lines, "no line is cut that needn't be"


def test_what_no_router_takes_is_replaced() -> None:
    assert list(portions("a\0b\udc80c\n")) == ["a?b?c"]
    assert list(portions("\n\n")) == []


def test_lines_go_in_portions_that_a_repeat_does_not_double(router: Stub, client: Client) -> None:
    router.says(Answer(status=201))
    text = "\n".join(f"{number:09}" for number in range(10_000))
    for _ in range(2):
        client.add_lines(7, text, key="k")
    keys = [(seen.path, seen.headers["Idempotency-Key"]) for seen in router.seen]
    assert keys == [("/starfish/api/v1/runs/7/lines/", "k.0"), ("/starfish/api/v1/runs/7/lines/", "k.1")] * 2
    assert "\n".join(json.loads(seen.body)["lines"] for seen in router.seen[:2]) == text
    client.add_lines(7, "x")
    client.add_lines(7, "x")
    assert router.seen[-1].headers["Idempotency-Key"] != router.seen[-2].headers["Idempotency-Key"]
    asked = len(router.seen)
    client.add_lines(7, "\n")
    assert len(router.seen) == asked, "nothing to tell, nothing sent"


def test_a_report_that_came_too_soon_is_left_out(router: Stub, client: Client) -> None:
    router.says(Answer(status=201), said({"detail": "too often"}, status=429))
    assert client.report_progress(7, round_seq=1, step="train", fraction=0.5, metrics={"loss": 1.0})
    assert not client.report_progress(7, round_seq=1, step="train")
    assert json.loads(router.seen[0].body) == {"round": 1, "step": "train", "fraction": 0.5, "metrics": {"loss": 1.0}, "message": ""}
    router.says(Answer(status=503))
    with pytest.raises(RouterUnreachable):
        client.report_progress(7, round_seq=1, step="train")
    assert len(router.seen) == 3, "asked once"


def test_a_series_is_read_to_its_end(router: Stub, client: Client) -> None:
    rows = [REPORT | {"id": number} for number in (4, 5, 9)]
    router.says(said(rows[:2]), said(rows[2:]), said([]))
    assert [row.id for row in client.progress(7, after=3)] == [4, 5, 9]
    assert [seen.path.rpartition("?")[2] for seen in router.seen] == ["after=3", "after=5", "after=9"]


@pytest.mark.parametrize("answer", [[REPORT], [{"id": 5}], ["x"], {"detail": "x"}, 7])
def test_a_series_that_is_none(router: Stub, client: Client, answer: Any) -> None:
    router.says(said(answer))
    with pytest.raises(RouterUnreachable, match="does not answer as a Starfish Routing Server"):
        client.progress(7, after=4)


def test_a_run_carries_its_last_report() -> None:
    assert Run.from_json({**RUN, "progress": None}).progress is None
    assert Run.from_json(RUN).progress is None
    report = Run.from_json({**RUN, "progress": REPORT}).progress
    assert report == ProgressReport.from_json(REPORT)
    assert (report.fraction, report.metrics, report.at.tzinfo is not None) == (0.5, {"loss": 1.0}, True)


@pytest.mark.parametrize(
    "change", [{"fraction": "x"}, {"metrics": {"loss": True}}, {"metrics": {"loss": 10**400}}, {"step": None}, {"at": "yesterday"}]
)
def test_a_report_that_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ForeignAnswer):
        ProgressReport.from_json(REPORT | change)
