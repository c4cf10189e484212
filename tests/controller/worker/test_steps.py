"""A worker's steps: what is kept between rounds never outlives its file, and what others sent is told if it is no good."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from starfish.controller.worker import steps
from starfish.controller.worker.folder import BatchFolder
from starfish.controller.worker.frozen import freeze, thaw
from starfish.tasks.api import Rows
from starfish.tasks.errors import BadUpdate, SiteRefusal
from starfish.tasks.payload import Payload

SITES = ["0a", "0b", "0c"]
LINEAR = {"seq": 0, "model": "LinearRegression", "config": {"formula": "y ~ x"}}
LARGE = 32 << 20
ECHO = {"seq": 0, "model": "Echo", "config": {"bytes": LARGE, "total_round": 2}}


@pytest.fixture(autouse=True)
def _cold() -> Iterator[None]:
    steps.forget()
    yield
    steps.forget()


def begun(path: Path, *tasks: dict[str, Any], x_of: int = 1) -> str:
    """A batch's folder with its rows frozen."""
    path.mkdir(parents=True, exist_ok=True)
    variables = {"x": {"type": "number"}, "y": {"type": "number"}, "name": {"type": "text"}}
    terms = {"project": "p", "batch": 1, "tasks": list(tasks or (LINEAR,)), "definition": {"variables": variables}}
    BatchFolder.write_json(BatchFolder(path).terms, terms)
    source = path / "rows.csv"
    lines = [f"{row * x_of % 17},{row % 13},{'' if row == 3 else f'n{row}'}" for row in range(40)]
    source.write_text("\n".join(["x,y,name", *lines, ",5,gone", ""]))
    steps.prepare(str(path), SITES[0], str(source), None)
    return str(path)


def trained(work: str, round_seq: int = 1) -> bytes:
    for site in SITES:
        file = Path(steps.train(work, site, 0, round_seq)["path"])
    return file.read_bytes()


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_an_answer_is_about_the_file(tmp_path: Path) -> None:
    work = begun(tmp_path)
    for answer in (steps.train(work, SITES[0], 0, 1), steps.aggregate(work, 0, 1)):
        data = Path(answer["path"]).read_bytes()
        assert answer["size"] == len(data)
        assert answer["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_warm_worker_gives_the_bytes_of_a_new_one(tmp_path: Path) -> None:
    made = []
    for name, cold in (("warm", False), ("cold", True)):
        work, files = begun(tmp_path / name), []
        for round_seq in (1, 2):
            files.append(trained(work, round_seq))
            if cold:
                steps.forget()
            files.append(Path(steps.aggregate(work, 0, round_seq)["path"]).read_bytes())
            if cold:
                steps.forget()
        made.append(files)
    assert made[0] == made[1]


def test_rows_that_are_prepared_anew_are_read_anew(tmp_path: Path) -> None:
    work = begun(tmp_path)
    first = trained(work)
    assert trained(work) == first
    begun(tmp_path, x_of=3)
    assert trained(work) != first
    begun(tmp_path)
    assert trained(work) == first


def test_a_folder_that_is_made_anew_is_another_batch(tmp_path: Path) -> None:
    work = begun(tmp_path / "batch")
    first = trained(work)
    shutil.rmtree(work)
    begun(tmp_path / "batch", {**LINEAR, "config": {"formula": "x ~ y"}})
    assert trained(work) != first


def test_each_task_reads_the_rows_that_are_complete_for_it(tmp_path: Path) -> None:
    work = begun(tmp_path, LINEAR, {"seq": 1, "model": "LinearRegression", "config": {"formula": "y ~ 1"}})
    for seq, used in ((0, 40), (1, 41), (0, 40)):
        assert Payload.meta_of(Path(steps.train(work, SITES[0], seq, 1)["path"]))["flow"]["used"] == used


def test_frozen_rows_come_back_and_nobody_can_change_them(tmp_path: Path) -> None:
    columns = {"x": np.array([1.0, np.nan]), "c": np.array([0, -1]), "t": np.array(["é", ""], dtype=object)}
    digest = freeze(Rows(n=2, columns=columns), tmp_path / "rows")
    assert digest == hashlib.sha256((tmp_path / "rows").read_bytes()).hexdigest()
    rows = thaw(tmp_path / "rows").rows
    assert rows.n == 2
    for name, column in columns.items():
        assert rows.columns[name].dtype == column.dtype
        np.testing.assert_array_equal(rows.columns[name], column)
        with pytest.raises(ValueError, match="read-only"):
            rows.columns[name][0] = column[1]


def test_more_text_than_can_be_kept_is_told(tmp_path: Path) -> None:
    texts = np.array(["a" * (30 << 20)] * 4, dtype=object)
    with pytest.raises(SiteRefusal, match=r"The text and id variables \(name\) hold more text than can be kept"):
        freeze(Rows(n=4, columns={"name": texts}), tmp_path / "rows")
    assert not list(tmp_path.iterdir())


def test_of_the_updates_one_is_in_memory_at_a_time(tmp_path: Path) -> None:
    work = begun(tmp_path, ECHO)
    trained(work)
    folder, terms = BatchFolder(tmp_path), steps.TERMS.get(tmp_path / "terms.json")
    before, held = resident(), []
    for _, update in steps._updates(folder, terms.tasks[0], 0, 1):
        held.append(update.arrays["array"])
        assert held[-1].sum() > 0
        assert resident() - before < 1.25 * LARGE
    assert len(held) == len(SITES)
    assert resident() - before < 0.25 * LARGE


def test_arrays_go_round_and_are_reported_without_being_read_as_a_whole(tmp_path: Path) -> None:
    work = begun(tmp_path, ECHO)
    trained(work)
    mean = steps.aggregate(work, 0, 1)
    before = resident()
    trained(work, 2)
    assert steps.report(work, SITES[0], "here", {"0a": "Ghent"})["tasks"][0]["rounds"] == 1
    assert resident() - before < 0.5 * LARGE
    again = steps.aggregate(work, 0, 2)
    assert again["done"]
    one, other = (Payload.map(Path(answer["path"])).arrays["array"] for answer in (mean, again))
    assert one.tobytes() == other.tobytes()


def stamped(kind: str, **changed: Any) -> dict[str, Any]:
    return {"kind": kind, "model": "LinearRegression", "task_seq": 0, "round_seq": 1, **changed}


FLOW: dict[str, Any] = {"rows": 3, "used": 3, "events": None, "excluded": {}}
META = {"starfish": stamped("update"), "task": {}, "flow": FLOW}


@pytest.mark.parametrize(
    ("update", "said"),
    [
        (b"", "not a Starfish payload"),
        (b"STARFISH-PAYL/1\n\0\0", "a damaged Starfish payload"),
        (Payload(), "not one of task 0 .LinearRegression., round 1"),
        (Payload(meta={**META, "starfish": stamped("update", round_seq=2)}), "not one of task 0"),
        (Payload(meta={**META, "starfish": stamped("model")}), "not one of task 0"),
        (Payload(meta={**META, "task": []}), "not one of task 0"),
        (Payload(meta={key: META[key] for key in ("starfish", "task")}), "how many rows"),
        (Payload(meta={**META, "flow": {**FLOW, "used": "3"}}), "how many rows"),
        (Payload(meta={**META, "flow": {**FLOW, "excluded": {"x": -1}}}), "how many rows"),
        (Payload(meta={**META, "flow": {**FLOW, "site": "mine"}}), "how many rows"),
    ],
)
def test_an_update_that_is_none_names_its_site(tmp_path: Path, update: bytes | Payload, said: str) -> None:
    work = begun(tmp_path)
    trained(work)
    BatchFolder.write(BatchFolder(tmp_path).update(0, 1, "0b"), update if isinstance(update, bytes) else update.to_bytes())
    with pytest.raises(BadUpdate, match=said) as caught:
        steps.aggregate(work, 0, 1)
    assert caught.value.site == "0b"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (b"", "it is not a Starfish payload"),
        (b"STARFISH-PAYL/1\n\0\0", "it is a damaged Starfish payload"),
        (Payload(), "it is not the one of task 0"),
        (Payload(meta={"starfish": stamped("model", round_seq=7), "task": {}}), "it is not the one of task 0 .LinearRegression., round 1"),
        (Payload(meta={"starfish": stamped("update"), "task": {}}), "it is not the one of task 0"),
        (Payload(meta={"starfish": stamped("model"), "task": None}), "it is not the one of task 0"),
    ],
)
def test_a_model_that_is_none_is_refused_in_every_step(tmp_path: Path, model: bytes | Payload, said: str) -> None:
    work = begun(tmp_path)
    trained(work)
    steps.aggregate(work, 0, 1)
    BatchFolder.write(BatchFolder(tmp_path).model(0, 1), model if isinstance(model, bytes) else model.to_bytes())
    with pytest.raises(SiteRefusal, match=said):
        steps.train(work, SITES[0], 0, 2)
    with pytest.raises(SiteRefusal, match=said):
        steps.aggregate(work, 0, 2)
    with pytest.raises(SiteRefusal, match=said):
        steps.report(work, SITES[0], "here")


def test_the_report_tells_every_sites_rows_to_the_coordinator(tmp_path: Path) -> None:
    work = begun(tmp_path)
    for round_seq in (1, 2):
        trained(work, round_seq)
        steps.aggregate(work, 0, round_seq)
    report = steps.report(work, "", "", {"0a": "Ghent", "0b": "Jena"})
    assert [site["site"] for site in report["tasks"][0]["sites"]] == ["0c", "Ghent", "Jena"]
    assert report["tasks"][0]["sites"][0]["used"] == 40
    assert json.loads((tmp_path / "report.json").read_text()) == report
