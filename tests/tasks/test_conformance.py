"""What every registered task must be, whatever it computes."""

import json
from pathlib import Path

import numpy as np
import pytest

from starfish.tasks import registry
from starfish.tasks.api import Rows, Task
from starfish.tasks.errors import BadUpdate
from starfish.tasks.payload import ForeignPayload, Payload
from starfish.tasks.study import Study
from tests.tasks.federated import dealt, federated, rows, study

VARIABLES = study(
    y={"type": "binary", "role": "outcome"},
    a={"type": "number", "role": "exposure"},
    g={"type": "category", "levels": ["u", "v"], "role": "exposure"},
)
NUMERIC_OUTCOME = study(y={"type": "number", "role": "outcome"}, a={"type": "number", "role": "exposure"})
PAGES = Path(__file__).resolve().parents[2] / "docs" / "reference" / "tasks"
EVERY = pytest.mark.parametrize("name", registry.names())


def a_study(name: str) -> Study:
    return NUMERIC_OUTCOME if name == "LinearRegression" else VARIABLES


def task_of(name: str, **config: object) -> Task:
    """With its defaults alone: everything has one."""
    return registry.build(name, config, a_study(name))


def pooled(name: str, n: int = 120) -> Rows:
    random = np.random.default_rng(8)
    a = random.normal(size=n)
    y = a + random.normal(size=n)
    return rows(y=y if name == "LinearRegression" else (y > 0).astype(float), a=a, g=random.integers(0, 2, n))


@EVERY
def test_parameters_are_documented_and_have_defaults(name: str) -> None:
    for parameter, field in registry.load(name).Config.model_fields.items():
        assert field.description, f"{name}.{parameter} says what it is"
        assert not field.is_required(), f"{name}.{parameter} has a default"
    assert registry.schema(name)["additionalProperties"] is False
    json.dumps(registry.schema(name))


@EVERY
def test_it_says_what_leaves(name: str) -> None:
    task = registry.load(name)
    assert task.name == name
    assert task.title
    assert task.leaves
    assert all(line.endswith(".") for line in task.leaves)
    page = (PAGES / f"{name}.md").read_text() + (PAGES / "LogisticRegressionStats.md").read_text() * name.startswith("Logistic")
    assert all(line in page for line in task.leaves), "the task's page says so too"


@EVERY
def test_train_and_aggregate_are_pure(name: str) -> None:
    task, sites = task_of(name), dealt(pooled(name), [50, 70])
    model: Payload | None = None
    for _ in range(3):
        updates = [(uid, task.train(part, model, site=uid)) for uid, part in sites.items()]
        again = [(uid, task_of(name).train(part, model, site=uid)) for uid, part in sites.items()]
        assert [update.to_bytes() for _, update in updates] == [update.to_bytes() for _, update in again]
        outcome, other = task.aggregate(updates, model), task_of(name).aggregate(iter(again), model)
        assert outcome.model.to_bytes() == other.model.to_bytes()
        assert Payload.from_bytes(outcome.model.to_bytes()).to_bytes() == outcome.model.to_bytes()
        model = outcome.model
        if outcome.done:
            break


@EVERY
def test_any_split_gives_the_same_report(name: str) -> None:
    one, _ = federated(task_of(name), dealt(pooled(name), [120]))
    for sizes in ([1, 119], [40, 40, 40], [1, 2, 3, 4, 110]):
        other, _ = federated(task_of(name), dealt(pooled(name), sizes, seed=1))
        for mine, theirs in zip(one.estimates, other.estimates, strict=True):
            assert theirs["estimate"] == pytest.approx(mine["estimate"], rel=1e-9, abs=1e-12)
            assert theirs["std_error"] == pytest.approx(mine["std_error"], rel=1e-9)
        for key, value in one.fit.items():
            if isinstance(value, float) and key != "decrement":
                assert other.fit[key] == pytest.approx(value, rel=1e-9), key


@EVERY
def test_the_report_is_json_with_the_keys_of_the_interface(name: str) -> None:
    report, _ = federated(task_of(name), dealt(pooled(name), [60, 60]))
    text = json.dumps({"estimates": list(report.estimates), "fit": report.fit, "tables": report.tables}, allow_nan=False)
    assert json.loads(text)
    assert report.converged
    assert report.methods
    for row in report.estimates:
        keys = {"term", "estimate", "std_error", "statistic", "p_value", "ci_low", "ci_high", "exp_estimate", "exp_ci_low", "exp_ci_high"}
        assert keys | {"scale", "reference"} == set(row)
    if report.estimates:
        keys = {"n", "df", "log_likelihood", "aic", "bic", "decrement", "se_type", "ci_method"}
        assert keys <= set(report.fit)


@EVERY
@pytest.mark.parametrize("damage", ["another stage", "no arrays", "not finite", "another type", "one array more", "less than no rows"])
def test_a_damaged_update_is_refused_and_its_site_named(name: str, damage: str) -> None:
    task, sites = task_of(name), dealt(pooled(name), [60, 60])
    updates = {uid: task.train(part, None, site=uid) for uid, part in sites.items()}
    good = updates["0001"]
    arrays = dict(good.arrays)
    rows_of = next((key for key in ("n", "rows") if key in arrays), "")
    if damage == "less than no rows" and not rows_of:
        pytest.skip("no rows are counted")
    largest = max(arrays, key=lambda key: arrays[key].size)
    updates["0001"] = {
        "another stage": Payload(meta={"stage": "nonsense"}, arrays=arrays),
        "no arrays": Payload(meta=good.meta),
        "not finite": Payload(meta=good.meta, arrays={**arrays, largest: arrays[largest] * np.nan}),
        "another type": Payload(meta=good.meta, arrays={**arrays, largest: arrays[largest].astype(np.float32)}),
        "one array more": Payload(meta=good.meta, arrays={**arrays, "more": np.zeros(3)}),
        "less than no rows": Payload(meta=good.meta, arrays={**arrays, **({rows_of: -arrays[rows_of]} if rows_of else {})}),
    }[damage]
    with pytest.raises(BadUpdate) as caught:
        task.aggregate(updates.items(), None)
    assert caught.value.site == "0001"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"STARFISH-PAYL/2\n", b"STARFISH-PAYL/1\n", b"STARFISH-PAYL/1\n" + b"\xff" * 64])
def test_bytes_that_are_no_payload_are_told(data: bytes) -> None:
    with pytest.raises(ForeignPayload):
        Payload.from_bytes(data)
