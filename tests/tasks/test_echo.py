"""Empty rounds: the mean of what the sites made, then the same array for ever."""

import numpy as np
import pytest

from starfish.tasks.api import Rows, Task
from starfish.tasks.errors import BadUpdate, InvalidTask, SiteRefusal
from starfish.tasks.payload import Payload
from tests.tasks.federated import build, federated, study

NO_ROWS = Rows(n=0, columns={})
ANY = study(a={"type": "number"})


def echo(**config: object) -> Task:
    return build("Echo", ANY, **config)


def round_of(task: Task, sites: list[str], model: Payload | None) -> Payload:
    return task.aggregate([(uid, task.train(NO_ROWS, model, site=uid)) for uid in sites], model).model


@pytest.mark.parametrize("sites", [1, 2, 3, 7, 16])
def test_the_mean_goes_round_and_stays_the_same_to_the_last_bit(sites: int) -> None:
    task, uids = echo(bytes=8000, seed=5), [f"site-{number:02d}" for number in range(sites)]
    made = [np.random.default_rng([5, *uid.encode()]).random(1000) for uid in uids]
    first = round_of(task, uids, None)
    assert first.arrays["array"] == pytest.approx(np.mean(made, axis=0), rel=1e-15)
    later = round_of(task, uids, round_of(task, uids, first))
    assert later.arrays["array"].tobytes() == first.arrays["array"].tobytes()


def test_it_takes_as_many_rounds_as_it_is_told_and_reads_nothing() -> None:
    task = echo(total_round=4, bytes=64)
    assert task.variables == ()
    report, rounds = federated(task, {"a": NO_ROWS, "b": NO_ROWS})
    assert rounds == 4
    assert report.converged
    assert report.fit == {"rounds": 4, "bytes": 64, "sites": 2}


def test_sites_differ_and_a_repeat_is_the_same() -> None:
    task = echo()
    one, again, other = (task.train(NO_ROWS, None, site=uid).to_bytes() for uid in ("a", "a", "b"))
    assert one == again != other


@pytest.mark.parametrize(
    ("size", "sentence"), [(12, "a multiple of 8"), (0, "greater than or equal to 8"), (2**31 + 8, "less than or equal to 2147483648")]
)
def test_sizes_that_are_none(size: int, sentence: str) -> None:
    with pytest.raises(InvalidTask, match=f"'bytes' must be {sentence}"):
        echo(bytes=size)


@pytest.mark.parametrize(
    "foreign",
    [
        Payload(meta={"stage": "sums"}, arrays={"array": np.zeros(8)}),
        Payload(meta={"stage": "echo"}),
        Payload(meta={"stage": "echo"}, arrays={"array": np.zeros(9)}),
        Payload(meta={"stage": "echo"}, arrays={"array": np.zeros((2, 4))}),
        Payload(meta={"stage": "echo"}, arrays={"array": np.full(8, np.nan)}),
        Payload(meta={"stage": "echo"}, arrays={"array": np.full(8, 1.5)}),
        Payload(meta={"stage": "echo"}, arrays={"array": np.zeros(8), "more": np.zeros(1)}),
    ],
)
def test_a_foreign_array_is_refused_on_both_ways(foreign: Payload) -> None:
    task = echo(bytes=64)
    with pytest.raises(BadUpdate) as caught:
        task.aggregate([("a", task.train(NO_ROWS, None, site="a")), ("b", foreign)], None)
    assert caught.value.site == "b"
    with pytest.raises(SiteRefusal):
        task.train(NO_ROWS, foreign, site="a")
