"""Whatever a coordinator is sent, it says whose fault it is; whatever a site is sent, it refuses or answers with finite numbers."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starfish.tasks.api import Task
from starfish.tasks.disclosure import Scrutiny
from starfish.tasks.errors import BadUpdate, NoEstimate, SiteRefusal
from starfish.tasks.payload import Payload
from tests.tasks.federated import build, dealt, even, rows, study
from tests.tasks.heart import STANDARD

VARIABLES = study(
    y={"type": "binary", "role": "outcome"},
    z={"type": "number"},
    a={"type": "number"},
    g={"type": "category", "levels": ["u", "v"]},
    w={"type": "number", "role": "weight"},
)
N = 90
TASKS: dict[str, tuple[str, dict[str, Any]]] = {
    "logistic": ("LogisticRegressionStats", {"formula": "y ~ scale(a) + g"}),
    "Firth, HC3": ("LogisticRegressionStats", {"formula": "y ~ a", "penalty": "firth", "se": "HC3"}),
    "metrics, fixed": ("LogisticRegression", {"formula": "y ~ a + g", "site": "fixed"}),
    "linear, HC2": ("LinearRegression", {"formula": "z ~ a + g", "se": "HC2", "weights": "precision"}),
    "linear through 0": ("LinearRegression", {"formula": "z ~ a - 1"}),
    "summary": ("SummaryStatistics", {"group": "g", "min_max": True}),
}
NUMBERS = st.sampled_from([0.0, -1.0, 0.5, 5e-324, 1e-300, 1e16, 1e100, 1e155, 1e250, 1e308, -1e308, np.nan, np.inf])
META: st.SearchStrategy[Any] = st.sampled_from([None, [], {}, "x", 1e308, -1, [[[[]]]], True, {"a": [1, 2]}, "done", "sums", "columns"])
random = np.random.default_rng(5)
SITES = dealt(
    rows(
        y=(random.random(N) < 0.4).astype(float),
        z=random.normal(size=N),
        a=random.normal(size=N),
        g=random.integers(0, 2, N),
        w=random.uniform(1, 2, N),
    ),
    even(N, 3),
)


def rounds(name: str) -> tuple[Task, list[tuple[Payload | None, list[tuple[str, Payload]]]]]:
    """A task, and of every round the model that it began with and the updates."""
    wire_name, config = TASKS[name]
    task = build(wire_name, VARIABLES, **config)
    model: Payload | None = None
    seen = []
    while True:
        updates = [(uid, task.train(part, model, site=uid)) for uid, part in SITES.items()]
        seen.append((model, updates))
        outcome = task.aggregate(updates, model)
        if outcome.done:
            return task, seen
        model = outcome.model


def hurt(data: st.DataObject, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with one of them damaged."""
    name = data.draw(st.sampled_from(sorted(arrays)))
    array, value = arrays[name].astype(float), data.draw(NUMBERS)
    how = data.draw(st.sampled_from(["all", "one", "times", "diagonal", "type", "empty", "axes", "gone"]))
    if how == "gone":
        return {key: other for key, other in arrays.items() if key != name}
    with np.errstate(all="ignore"):
        damaged = {
            "all": np.full(array.shape, value),
            "one": np.where(np.arange(array.size).reshape(array.shape) == 0, value, array),
            "times": array * value,
            "diagonal": np.eye(len(array)) * value if array.ndim == 2 and len(array) == len(array.T) else array * 0.0,
            "type": array.astype(np.float32),
            "empty": array.reshape(-1)[:0],
            "axes": array[None],
        }
    return {**arrays, name: damaged[how]}


@pytest.mark.parametrize("name", TASKS)
def test_a_hostile_update_is_refused_or_gives_numbers(name: str) -> None:
    task, seen = rounds(name)

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def survives(data: st.DataObject) -> None:
        model, updates = data.draw(st.sampled_from(seen))
        uid, update = updates[1]
        hostile = [updates[0], (uid, Payload(meta=update.meta, arrays=hurt(data, update.arrays))), updates[2]]
        try:
            after = task.aggregate(hostile, model).model
        except BadUpdate as error:
            assert error.site == uid
            return
        except NoEstimate:
            return
        report = task.report(Payload.from_bytes(after.to_bytes()))
        json.dumps(asdict(report), allow_nan=False)

    survives()


@pytest.mark.parametrize("name", TASKS)
def test_a_hostile_model_is_refused_or_answered_with_numbers(name: str) -> None:
    task, seen = rounds(name)
    models = [model for model, _ in seen if model]

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def survives(data: st.DataObject) -> None:
        model = data.draw(st.sampled_from(models))
        meta, arrays = dict(model.meta), dict(model.arrays)
        if data.draw(st.booleans()) and arrays:
            arrays = hurt(data, arrays)
        else:
            meta[data.draw(st.sampled_from(sorted(meta)))] = data.draw(META)
        try:
            update = task.train(SITES["0001"], Payload(meta=meta, arrays=arrays), site="0001")
        except SiteRefusal as refusal:
            assert refusal.code == "bad-model"
            assert refusal.public.endswith(".")
        else:
            assert update.finite()

    survives()


@pytest.mark.parametrize("name", TASKS)
def test_a_hostile_model_is_refused_or_the_right_one_where_a_site_holds_back(name: str) -> None:
    """Whatever is wrong with it, it is a refusal and no crash; what is answered is what the model that follows would have got."""
    task, seen = rounds(name)
    limits = replace(STANDARD, min_rows=1, min_cell=0, max_share=1.0)

    @settings(max_examples=150, deadline=None)
    @given(data=st.data())
    def survives(data: st.DataObject) -> None:
        place = data.draw(st.integers(1, len(seen) - 1))
        model, before = seen[place][0], seen[place - 1][0]
        assert model is not None
        scrutiny = Scrutiny(limits=limits, model=before, update=dict(seen[place - 1][1])["0001"])
        honest = task.train(SITES["0001"], model, site="0001", scrutiny=scrutiny)
        meta, arrays = dict(model.meta), dict(model.arrays)
        if data.draw(st.booleans()) and arrays:
            arrays = hurt(data, arrays)
        else:
            meta[data.draw(st.sampled_from(sorted(meta)))] = data.draw(META)
        try:
            update = task.train(SITES["0001"], Payload(meta=meta, arrays=arrays), site="0001", scrutiny=scrutiny)
        except SiteRefusal as refusal:
            assert refusal.public.endswith(".")
        else:
            assert all(np.allclose(update.arrays[key], array, rtol=1e-4, atol=1e-6) for key, array in honest.arrays.items())

    survives()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"cross": np.full(3, 1e300)}, "larger than any rows"),
        ({"n": np.array(30.5)}, "no number of rows"),
        ({"level:g": np.array([1.0, 2.0])}, "add up"),
        ({"outcome": np.array([1.0, 2.0])}, "add up"),
        ({"weight": np.array(31.0), "outcome": np.array([15.0, 16.0])}, "which have no weights"),
    ],
)
def test_sums_that_no_rows_have_are_refused(change: dict[str, np.ndarray], says: str) -> None:
    task = build("LogisticRegressionStats", VARIABLES, formula="y ~ a + g")
    updates = {uid: task.train(part, None, site=uid) for uid, part in SITES.items()}
    updates["0002"] = Payload(meta=updates["0002"].meta, arrays={**updates["0002"].arrays, **change})
    with pytest.raises(BadUpdate, match=says) as caught:
        task.aggregate(updates.items(), None)
    assert caught.value.site == "0002"


@pytest.mark.parametrize(
    ("name", "stage", "change", "says"),
    [
        ("logistic", "sums", {"ll": np.array(0.5)}, "'ll' is above"),
        ("logistic", "sums", {"score": np.array([1e4, 0.0, 0.0])}, "'score' is more than any rows"),
        ("logistic", "variables", {"n": np.array(30.5)}, "'n' is no number of rows"),
        ("linear, HC2", "meat", {"groups": np.array(29.0)}, "another number of rows"),
        ("linear, HC2", "meat", {"groups": np.array(29.5)}, "no number of rows"),
        ("metrics, fixed", "metrics", {"rows": np.array(29.0)}, "add up"),
        ("metrics, fixed", "metrics", {"squared_error": np.array(31.0)}, "more than any rows"),
        ("summary", "moments", {"rows": np.array([10.5, 19.5, 0.0])}, "not whole|more values than rows"),
        ("summary", "moments", {"withheld": np.array([1.0, 1.0, 1.0, 0.0])}, "tells what is withheld"),
        ("summary", "moments", {"withheld": np.array([0.0, 0.0, 0.0, 0.5])}, "neither 0 nor 1"),
        ("summary", "quantiles", {"below": np.array(-1.0)}, "fall where the points rise|negative"),
    ],
)
def test_what_rows_cannot_come_to_does_not_count(name: str, stage: str, change: dict[str, np.ndarray], says: str) -> None:
    task, seen = rounds(name)
    model, updates = next((model, updates) for model, updates in seen if updates[0][1].meta["stage"] == stage)
    uid, update = updates[1]
    arrays = {key: array if array.ndim else np.resize(array, update.arrays[key].shape) for key, array in change.items()}
    updates[1] = uid, Payload(meta=update.meta, arrays={**update.arrays, **arrays})
    with pytest.raises(BadUpdate, match=says) as caught:
        task.aggregate(updates, model)
    assert caught.value.site == uid


@pytest.mark.parametrize("name", ["metrics, fixed", "summary", "Firth, HC3"])
def test_a_site_that_is_missing_in_a_later_round_is_noticed(name: str) -> None:
    task, seen = rounds(name)
    model, updates = seen[-1]
    with pytest.raises(NoEstimate, match="belong together"):
        task.aggregate(updates[:2], model)


def test_a_site_that_came_late_is_told() -> None:
    task, seen = rounds("logistic")
    with pytest.raises(SiteRefusal, match="not among those of the task's first round"):
        task.train(SITES["0001"], seen[-1][0], site="another")
