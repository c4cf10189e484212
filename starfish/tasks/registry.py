"""Tasks by their wire name. Only installed entry points of the group `starfish.tasks` can be named; nothing else is ever imported."""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from pydantic import ValidationError

from starfish.tasks.api import Task
from starfish.tasks.errors import InvalidTask
from starfish.tasks.study import Study

GROUP = "starfish.tasks"


def names() -> list[str]:
    """The wire names of all installed tasks, sorted."""
    return sorted(_installed())


def load(name: str) -> type[Task]:
    """The task of this wire name. Raises InvalidTask (code "unknown-task")."""
    entry = _installed().get(name)
    if entry is None:
        close = get_close_matches(str(name), names(), n=1, cutoff=0.5)
        hint = f"Did you mean {close[0]}?" if close else f"There are: {', '.join(names())}."
        raise InvalidTask(f"There is no task '{str(name)[:60]}'. {hint}", code="unknown-task")
    loaded: type[Task] = entry.load()
    return loaded


def build(name: str, config: Mapping[str, Any], study: Study) -> Task:
    """A task with its parameters checked against the study. Raises InvalidTask."""
    task = load(name)
    try:
        parameters = task.Config.model_validate(dict(config))
    except ValidationError as error:
        raise InvalidTask(f"{name}: {_sentences(task, error)}", code="config") from None
    return task(parameters, study)


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a task's parameters. Raises InvalidTask."""
    return load(name).Config.model_json_schema()


@cache
def _installed() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def _sentences(task: type[Task], error: ValidationError) -> str:
    return " ".join(_sentence(task, dict(found)) for found in error.errors(include_url=False)[:5])


def _sentence(task: type[Task], found: Mapping[str, Any]) -> str:
    key = str(found["loc"][0]) if found["loc"] else ""
    if found["type"] == "extra_forbidden":
        known = [name for name, field in task.Config.model_fields.items() if not field.exclude]
        close = get_close_matches(key, known, n=1)
        hint = f"Did you mean '{close[0]}'?" if close else f"It has: {', '.join(known)}."
        return f"'{key}' is no parameter of this task. {hint}"
    if found["type"] == "value_error":
        return f"{found['ctx']['error']}." if not key else f"'{key}': {found['ctx']['error']}."
    rule = str(found["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    given = repr(found["input"])
    return f"'{key}' must be {rule}, not {given if len(given) <= 60 else given[:57] + '…'}."
