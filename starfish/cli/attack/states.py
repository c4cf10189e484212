"""Attacks on where a batch is: told that it is over, further, or something else than it was, a site must not believe it."""

from collections.abc import Callable, Sequence

from starfish.cli.attack.attack import Attack
from starfish.cli.attack.database import Row
from starfish.cli.attack.scenes import UNTOUCHED, in_batch
from starfish.cli.attack.traffic import Rule, requests, runs
from starfish.cli.attack.world import Study, World

Change = Callable[[Row], Row]
BEGUN = ("updates/*/*.update", "models/*.model", "report.json")
"""Rows may have been read; nothing was computed from them."""


def _told(
    title: str, does: str, *, notices: str, names: str, change: Change, nothing: Sequence[str], steps: Change | None = None
) -> Attack:
    """In every run that one site is shown of the batch that is about to be opened. `steps`: makes its steps fit the truth again."""

    def rules(world: World, study: Study) -> Sequence[Rule]:
        number = study.batch + 1
        shown = runs(study.id, lambda run: change(run) if run["batch"] == number else run, sites=[notices])
        return [shown] if steps is None else [requests("POST", r"runs/\d+/step/", steps, sites=[notices]), shown]

    return in_batch(title, does, notices=notices, names=names, rules=rules, nothing=nothing)


def _success(run: Row) -> Row:
    return {**run, "status": "Success"}


def _success_after_round_1(run: Row) -> Row:
    """As soon as there is a global model to show."""
    first = run["tasks"][0]
    if first["config"]["current_round"] == 1:
        return run
    return _success({**run, "tasks": [_round_1(first), *run["tasks"][1:]]})


def _next_task_after_round_1(run: Row) -> Row:
    first = run["tasks"][0]
    return run if first["config"]["current_round"] == 1 else {**run, "cur_seq": 2, "tasks": [_round_1(first), *run["tasks"][1:]]}


def _in_round_2(step: Row) -> Row:
    return {**step, "task_seq": 1, "round_seq": 2} if step["task_seq"] == 2 else step


def _round_1(task: Row) -> Row:
    return {**task, "config": {**task["config"], "current_round": 1}}


def _later(change: Callable[[Row], Row]) -> Callable[[Row], Row]:
    """Once the site has checked the terms, and prepared its rows."""
    return lambda run: run if run["status"] == "Standby" else change(run)


def _more_rounds(run: Row) -> Row:
    return {**run, "tasks": [{**task, "config": {**task["config"], "total_round": 500}} for task in run["tasks"]]}


def _a_task_less(run: Row) -> Row:
    return {**run, "tasks": run["tasks"][:1]}


def _coordinator(run: Row) -> Row:
    return {**run, "role": "coordinator"}


def _participant(run: Row) -> Row:
    return {**run, "role": "participant"}


NONE = "The Routing Server has no global model of task 1, round 1"
ATTACKS = (
    _told(
        "claim success at once, to a participant",
        "says that the batch has succeeded",
        notices="South",
        names=NONE,
        change=_success,
        nothing=UNTOUCHED,
    ),
    _told(
        "claim success at once, to the coordinator",
        "says that the batch has succeeded",
        notices="North",
        names=NONE,
        change=_success,
        nothing=UNTOUCHED,
    ),
    _told(
        "claim success after one round",
        "says that the batch has succeeded when there is a first global model",
        notices="South",
        names="says that task 1 ended with round 1, and the global model of that round does not",
        change=_success_after_round_1,
        nothing=("updates/1-2/*.update", "report.json"),
    ),
    _told(
        "claim that a task ended early",
        "says after the first round that the next task has begun",
        notices="South",
        names="says that task 1 ended with round 1, and the global model of that round does not",
        change=_next_task_after_round_1,
        steps=_in_round_2,
        nothing=("updates/2-1/*.update", "updates/1-2/*.update", "report.json"),
    ),
    _told(
        "give more rounds once the batch is under way",
        "raises the number when the site has checked its terms",
        notices="South",
        names="more rounds than manifest",
        change=_later(_more_rounds),
        nothing=BEGUN,
    ),
    _told(
        "take a task away once the batch is under way",
        "shows the first task alone when the site has checked its terms",
        notices="North",
        names="The Routing Server's tasks are not those of manifest",
        change=_later(_a_task_less),
        nothing=BEGUN,
    ),
    _told(
        "make a participant the coordinator",
        "gives South the coordinator's role when it has checked its terms",
        notices="South",
        names="says that this site coordinates batch",
        change=_later(_coordinator),
        nothing=BEGUN,
    ),
    _told(
        "make the coordinator a participant",
        "gives North a participant's role",
        notices="North",
        names="says that this site takes part in batch",
        change=_participant,
        nothing=UNTOUCHED,
    ),
)
