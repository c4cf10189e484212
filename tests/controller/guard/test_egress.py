"""The one door: whatever leaves is in the audit first, and what the policy forbids stays."""

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from starfish.controller.daemon.journal import Journal
from starfish.controller.guard import answers, audit, egress, gate, holds
from starfish.controller.guard.contents import KEPT_NUMBERS, numbers_of
from starfish.controller.guard.errors import Withheld
from starfish.controller.guard.policy import Policy, preset
from starfish.tasks.payload import Payload
from tests.controller.guard.conftest import update

BATCH, TERMS = (1, 1), {"project": "p", "tasks": [], "definition": {}}
STANDARD = preset("standard")


def entries(journal: Journal) -> list[audit.Entry]:
    with journal.read() as db:
        return [audit.entry(row) for row in audit.rows(db)]


def prepare(journal: Journal, policy: Policy = STANDARD, batch: tuple[int, int] = BATCH, used: int = 50, marks: int = 50) -> None:
    """So many rows are used; as many marks of them as are said."""
    tasks = [{"seq": 1, "used": used, "variables": ["age"]}]
    gate.prepared(journal, policy, batch, "data", TERMS, tasks, np.arange(marks, dtype="<u8").tobytes())


@pytest.mark.parametrize("as_file", [False, True])
@pytest.mark.parametrize("what", ["update", "lines"])
def test_a_departure_is_in_the_audit_whole(journal: Journal, tmp_path: Path, as_file: bool, what: egress.What) -> None:
    data = update() if what == "update" else b"a line\n"
    (tmp_path / "file").write_bytes(data)
    left = egress.release(journal, preset("open"), BATCH, what, "a name", tmp_path / "file" if as_file else data)
    assert (left.size, left.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert journal.departures(BATCH) == [(what, "a name", len(data), left.sha256)]
    [entry] = entries(journal)
    assert entry.content == data
    assert entry.detail["policy"] == preset("open").digest


def test_the_audit_says_how_many_numbers_of_which_shape_and_how_large(journal: Journal) -> None:
    data = Payload(meta={"flow": {"rows": 3}}, arrays={"a": np.array([[3.0, 4.0]]), "b": np.array([True, True])}).to_bytes()
    egress.release(journal, preset("open"), BATCH, "update", "u", data, position=(2, 5))
    [entry] = entries(journal)
    assert entry.detail["numbers"] == 5
    assert entry.detail["arrays"] == {
        "a": {"shape": [1, 2], "type": "float64", "norm": 5.0},
        "b": {"shape": [2], "type": "bool", "norm": pytest.approx(2**0.5)},
    }
    assert (entry.detail["task"], entry.detail["round"]) == (2, 5)
    assert entry.content is not None
    assert numbers_of(entry.content) == {"meta": {"flow": {"rows": 3}}, "arrays": {"a": [[3.0, 4.0]], "b": [True, True]}}


@pytest.mark.parametrize("more", [1, 200_000])
def test_beyond_ten_thousand_numbers_it_names_the_kept_file(journal: Journal, tmp_path: Path, more: int) -> None:
    file = tmp_path / "large.update"
    file.write_bytes(update(numbers=KEPT_NUMBERS + more))
    left = egress.release(journal, preset("open"), BATCH, "update", "u", file)
    [entry] = entries(journal)
    assert left.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert entry.content is None
    assert entry.detail["file"] == str(file)
    assert entry.detail["arrays"]["score"]["shape"] == [KEPT_NUMBERS + more]
    assert entry.detail["arrays"]["score"]["norm"] == pytest.approx(np.linalg.norm(np.arange(KEPT_NUMBERS + more, dtype=float)))


def test_proper_things_leave_under_every_preset(journal: Journal) -> None:
    for number, name in enumerate(("open", "standard", "strict"), start=1):
        policy, batch = preset(name), (1, number)
        prepare(journal, policy, batch)
        with journal.write() as db:
            if found := holds.find(db, batch):
                holds.approve(db, found, "somebody")
        egress.release(journal, policy, batch, "update", "u", update(number), position=(1, 1))
        egress.release(journal, policy, batch, "model", "m", update(9), position=(1, 1), sites=4)
        egress.release(journal, policy, batch, "lines", "lines", b"task 1, round 1: sent\n")
        egress.release(journal, policy, batch, "failure", "failure.json", egress.failure_notice("type", "'age' is no number", "age", 2))
        egress.release(journal, policy, batch, "progress", "progress", json.dumps({"step": "train", "fraction": 0.5}).encode())
        assert [what for what, *_ in journal.departures(batch)] == ["update", "model", "lines", "failure", "progress"]


def withheld(journal: Journal, policy: Policy, what: egress.What, content: bytes, **more: object) -> Withheld:
    with pytest.raises(Withheld) as refused:
        egress.release(journal, policy, BATCH, what, "name", content, **more)  # type: ignore[arg-type]
    assert journal.departures(BATCH) == []
    last = entries(journal)[-1]
    assert (last.kind, last.content, last.detail["rule"]) == ("withheld", None, refused.value.rule)
    return refused.value


def test_what_is_no_payload_stays(journal: Journal) -> None:
    prepare(journal)
    assert withheld(journal, STANDARD, "update", b"rows in disguise", position=(1, 1)).rule == "payload"
    assert withheld(journal, STANDARD, "model", b"rows in disguise", sites=3).rule == "payload"


def test_an_update_of_unknown_or_of_too_few_rows_stays_and_the_number_is_private(journal: Journal) -> None:
    assert withheld(journal, STANDARD, "update", update(), position=(1, 1)).rule == "min_rows"
    prepare(journal, used=9)
    error = withheld(journal, STANDARD, "update", update(), position=(1, 1))
    assert "of 9 rows" in error.private
    assert "9" not in error.public


def test_nothing_leaves_of_a_batch_that_waits_for_a_person(journal: Journal) -> None:
    prepare(journal, preset("strict"))
    assert withheld(journal, preset("strict"), "update", update(), position=(1, 1)).rule == "approve"


def test_a_pooled_result_of_too_few_sites_stays(journal: Journal) -> None:
    assert withheld(journal, STANDARD, "model", update(), sites=2).rule == "min_sites"


def test_a_notice_with_more_than_its_public_part_stays(journal: Journal) -> None:
    notice = json.dumps({"code": "type", "message": "no number", "private": "row 17 is 'Smith'"}).encode()
    assert withheld(journal, preset("open"), "failure", notice).rule == "public part"
    assert withheld(journal, preset("open"), "progress", b'{"row": 17}').rule == "public part"


def test_metrics_of_a_round_that_is_under_way_stay(journal: Journal) -> None:
    report = json.dumps({"step": "train", "metrics": {"loss": 0.25}}).encode()
    assert withheld(journal, STANDARD, "progress", report).rule == "oracle"
    egress.release(journal, preset("open"), BATCH, "progress", "progress", report)


def test_one_answer_too_many_stays_and_the_same_again_is_none(journal: Journal) -> None:
    policy = replace(STANDARD, max_queries=2)
    prepare(journal, policy)
    for seed in (1, 2, 1, 2):
        egress.release(journal, policy, BATCH, "update", "u", update(seed), position=(1, 1))
    with pytest.raises(Withheld, match="has given 2 answers about these rows and variables") as refused:
        egress.release(journal, policy, BATCH, "update", "u", update(3), position=(1, 2))
    assert refused.value.rule == "max_queries"
    with pytest.raises(Withheld):
        gate.may_answer(journal, policy, BATCH, 1)
    gate.may_answer(journal, replace(policy, max_queries=3), BATCH, 1)
    assert len(journal.departures(BATCH)) == 4


def test_answers_are_counted_over_batches_and_projects_and_by_dataset(journal: Journal) -> None:
    policy = replace(STANDARD, max_queries=2, max_rounds=3)
    prepare(journal, policy, (1, 1))
    egress.release(journal, policy, (1, 1), "update", "u", update(1), position=(1, 1))
    prepare(journal, policy, (2, 7))
    egress.release(journal, policy, (2, 7), "update", "u", update(2), position=(1, 1))
    with pytest.raises(Withheld) as refused:
        egress.release(journal, policy, (2, 7), "update", "u", update(3), position=(1, 1))
    assert refused.value.rule == "max_queries"
    prepare(journal, policy, (3, 1), marks=80)
    egress.release(journal, policy, (3, 1), "update", "u", update(4), position=(1, 1))
    with pytest.raises(Withheld) as refused:
        egress.release(journal, policy, (3, 1), "update", "u", update(5), position=(1, 1))
    assert refused.value.rule == "max_rounds"


def test_an_answer_that_could_not_be_written_down_was_not_given(journal: Journal) -> None:
    """Both are in one transaction: the count and the entry."""
    prepare(journal)
    with journal.write() as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(Exception, match="disk full"):
        egress.release(journal, STANDARD, BATCH, "update", "u", update(), position=(1, 1))
    with journal.read() as db:
        part = answers.part(db, BATCH, 1)
        assert part is not None
        assert answers.given(db, part) == (0, 0)


def test_an_entry_costs_a_round_less_than_a_millisecond(journal: Journal, tmp_path: Path) -> None:
    """Above what a line in the journal takes, of this thread's own time: each is one transaction, and waits for the disk once."""
    prepare(journal)
    bare, full = [], []
    for turn in range(60):
        file = tmp_path / f"{turn}.update"
        file.write_bytes(update(turn))
        began = time.thread_time()
        journal.log(BATCH, "info", "a line")
        between = time.thread_time()
        egress.release(journal, STANDARD, BATCH, "update", "u", file, position=(1, turn))
        bare.append(between - began)
        full.append(time.thread_time() - between)
    assert median(full) - median(bare) < 0.001, (median(full), median(bare))
