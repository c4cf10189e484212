"""A worker's steps under a policy: judged in PREPARING, and in every round by what the site has itself on its disk."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from starfish.controller.guard.policy import preset
from starfish.controller.worker import steps
from starfish.controller.worker.folder import BatchFolder
from starfish.tasks.errors import BadUpdate, SiteRefusal
from starfish.tasks.payload import Payload

STANDARD = asdict(preset("standard").limits)
SITES = ("0a", "0b", "0c")
LOGISTIC = {"seq": 0, "model": "LogisticRegressionStats", "config": {"formula": "ill ~ age + b"}}
VARIABLES = {"age": {"type": "number"}, "b": {"type": "binary"}, "ill": {"type": "binary"}, "ward": {"type": "integer"}}


@pytest.fixture(autouse=True)
def _cold() -> Iterator[None]:
    steps.forget()
    yield
    steps.forget()


def begun(path: Path, *, eligibility: str | None = None, limits: dict[str, Any] | None = STANDARD, task: dict[str, Any] = LOGISTIC) -> str:
    path.mkdir(parents=True, exist_ok=True)
    terms = {"project": "p", "batch": 1, "tasks": [task], "definition": {"variables": VARIABLES, "eligibility": eligibility}}
    BatchFolder.write_json(BatchFolder(path).terms, terms)
    random = np.random.default_rng(2)
    drawn = zip(random.integers(20, 90, 200), *(random.random((2, 200)) < 0.4), strict=True)
    lines = [f"{age},{int(b)},{int(ill)},{age % 7}" for age, b, ill in drawn]
    source = path / "rows.csv"
    source.write_text("\n".join(["age,b,ill,ward", *lines, ""]))
    steps.prepare(str(path), SITES[0], str(source), None, limits=limits)
    return str(path)


def rounds(work: str, number: int) -> None:
    for round_seq in range(1, number + 1):
        for site in SITES:
            steps.train(work, site, 0, round_seq)
        steps.aggregate(work, 0, round_seq, 3)


def changed(work: str, round_seq: int, **arrays: Any) -> None:
    """The global model of a round, with other arrays."""
    file = BatchFolder(Path(work)).model(0, round_seq)
    model = Payload.from_bytes(file.read_bytes())
    BatchFolder.write_payload(file, Payload(meta=model.meta, arrays={**model.arrays, **arrays}))


def test_an_eligibility_that_chooses_few_patients_is_refused_and_nothing_frozen(tmp_path: Path) -> None:
    with pytest.raises(SiteRefusal, match=r"rule min_rows") as caught:
        begun(tmp_path, eligibility="age > 86 and ward == 3")
    assert caught.value.code == "min-rows"
    assert not any(symbol.isdigit() for symbol in caught.value.public.replace("Task 0", ""))
    assert not BatchFolder(tmp_path).rows.exists()
    begun(tmp_path, eligibility="age > 86 and ward == 3", limits=None)


def test_a_fit_goes_through_and_its_folder_has_the_limits(tmp_path: Path) -> None:
    work = begun(tmp_path)
    rounds(work, 3)
    assert BatchFolder.read_json(BatchFolder(tmp_path).limits) == STANDARD
    other = begun(tmp_path / "open", limits=None)
    rounds(other, 3)
    for round_seq in (1, 2, 3):
        one, two = (BatchFolder(Path(path)).model(0, round_seq).read_bytes() for path in (work, other))
        assert one == two


def test_a_steep_model_is_refused_by_the_model_before_that_is_here(tmp_path: Path) -> None:
    work = begun(tmp_path)
    rounds(work, 2)
    changed(work, 2, theta=np.array([-3e5, 1e6, 0.0]))
    with pytest.raises(SiteRefusal, match="not the one that follows"):
        steps.train(work, SITES[0], 0, 3)
    rounds(begun(tmp_path / "open", limits=None), 2)
    changed(str(tmp_path / "open"), 2, theta=np.array([-3e5, 1e6, 0.0]))
    assert steps.train(str(tmp_path / "open"), SITES[0], 0, 3)["size"] > 0


def test_without_what_it_has_sent_or_its_limits_a_site_answers_nothing(tmp_path: Path) -> None:
    work = begun(tmp_path)
    rounds(work, 2)
    folder = BatchFolder(tmp_path)
    folder.update(0, 2, SITES[0]).unlink()
    with pytest.raises(SiteRefusal, match="has sent nothing"):
        steps.train(work, SITES[0], 0, 3)
    folder.limits.unlink()
    with pytest.raises(SiteRefusal, match="never judged"):
        steps.train(work, SITES[1], 0, 3)


def test_of_two_sites_no_pooled_result_is_made(tmp_path: Path) -> None:
    work = begun(tmp_path)
    for site in SITES[:2]:
        steps.train(work, site, 0, 1)
    result = steps.aggregate(work, 0, 1, 3)
    assert (result["done"], result["failure"]["code"]) == (True, "min-sites")
    assert not Payload.from_bytes(BatchFolder(tmp_path).model(0, 1).read_bytes()).arrays
    assert not steps.aggregate(work, 0, 1)["done"]
    with pytest.raises(SiteRefusal, match="Too few sites"):
        steps.train(work, SITES[0], 0, 2)


def test_more_rows_than_were_announced_do_not_count(tmp_path: Path) -> None:
    work = begun(tmp_path)
    for site in SITES:
        steps.train(work, site, 0, 1)
    file = BatchFolder(tmp_path).update(0, 1, "0b")
    update = Payload.from_bytes(file.read_bytes())
    flow = {**update.meta["flow"], "used": 7}
    BatchFolder.write_payload(file, Payload(meta={**update.meta, "flow": flow}, arrays=update.arrays))
    with pytest.raises(BadUpdate, match="more rows than it says") as caught:
        steps.aggregate(work, 0, 1)
    assert caught.value.site == "0b"
