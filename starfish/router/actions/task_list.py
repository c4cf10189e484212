"""A project's tasks as the router keeps them: ordered, and each with its rounds counted. What they mean is the sites' matter."""

from typing import Any

from starfish.protocol.problems import InvalidFields

MOST_TASKS = 100
MOST_ROUNDS = 1_000_000


def checked(tasks: Any) -> list[dict[str, Any]]:
    """A request's tasks, completed. Raises InvalidFields with the first thing that is wrong."""
    if not isinstance(tasks, list):
        raise _wrong('Tasks are a list of {"seq": 1, "model": "...", "config": {...}}.')
    if len(tasks) > MOST_TASKS:
        raise _wrong(f"A project has at most {MOST_TASKS} tasks.")
    return [_task(number, task) for number, task in enumerate(tasks, start=1)]


def _task(number: int, task: Any) -> dict[str, Any]:
    if not isinstance(task, dict):
        raise _wrong(f"Task {number} is not an object.")
    if type(task.get("seq")) is not int or task["seq"] != number:
        raise _wrong(f"Task {number} must have seq {number}: tasks are numbered from 1, in order.")
    model = task.get("model")
    if not isinstance(model, str) or not 1 <= len(model) <= 100:
        raise _wrong(f"Task {number} needs a model: the name of a task, as text.")
    config = task.get("config", {})
    if not isinstance(config, dict):
        raise _wrong(f"The config of task {number} is not an object.")
    full = {"total_round": 1, "current_round": 1, **config}
    for name in ("total_round", "current_round"):
        if type(full[name]) is not int or not 1 <= full[name] <= MOST_ROUNDS:
            raise _wrong(f"{name} of task {number} is not a whole number from 1 to {MOST_ROUNDS}.")
    if full["current_round"] > full["total_round"]:
        raise _wrong(f"current_round of task {number} is above its total_round.")
    return {**task, "config": full}


def _wrong(sentence: str) -> InvalidFields:
    return InvalidFields({"tasks": [sentence]})
