"""A project file: read, checked as a whole, and turned into what the Routing Server keeps of it.

Everything that can be known without data is checked here, before anything is sent; every error names the file and the line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from starfish.controller.errors import FileError
from starfish.controller.located_yaml import Located, parse, read_text

KEYS = ("name", "description", "variables", "missing", "eligibility", "tasks")
TASK_KEYS = ("model", "config")
MAX_NAME = 100


@dataclass(frozen=True, kw_only=True)
class ProjectFile:
    """What a project file says, as the wire wants it: `tasks` carry seq, total_round and current_round."""

    name: str
    description: str
    definition: Mapping[str, Any]
    tasks: list[dict[str, Any]]


def read(path: str | Path) -> ProjectFile:
    """Raises FileError, whose text begins with the file's name."""
    path = Path(path)
    try:
        return from_text(read_text(path))
    except FileError as error:
        raise FileError(f"{path}: {error}") from error


def from_text(text: str) -> ProjectFile:
    """Raises FileError."""
    document = parse(text)
    raw = document.value
    if not isinstance(raw, dict):
        raise FileError("this is no project file: it must begin with 'name:' and hold 'variables:' and 'tasks:'.")
    _known(document, (), raw, KEYS)
    definition = {key: raw[key] for key in ("variables", "missing", "eligibility") if raw.get(key) is not None}
    return ProjectFile(
        name=_name(document),
        description=_string(document, "description"),
        definition=definition,
        tasks=_tasks(document, _study(document, definition)),
    )


def _name(document: Located) -> str:
    name = _string(document, "name").strip()
    line = document.line("name")
    if not name:
        raise FileError(f"line {line}: a project needs a name, such as 'name: heart-disease'.")
    if len(name) > MAX_NAME:
        raise FileError(f"line {line}: the name is {len(name)} characters long; {MAX_NAME} is the most.")
    if name.isdigit():
        raise FileError(f"line {line}: a name of digits alone would be taken for a project's id; add a letter.")
    if not name.isprintable() or name.endswith((".yaml", ".yml")):
        raise FileError(f"line {line}: a name may not hold control characters nor end like a file ('.yaml').")
    return name


def _string(document: Located, key: str) -> str:
    value = document.value.get(key)
    if value is None:
        return ""
    if isinstance(value, dict | list):
        raise FileError(f"line {document.line(key)}: '{key}' must be a text, not {_kind(value)}.")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _study(document: Located, definition: Mapping[str, Any]) -> Any:
    """The definition, typed; with the line of the variable or key that is wrong."""
    from starfish.tasks.errors import InvalidTask
    from starfish.tasks.formula.eligibility import parse_eligibility
    from starfish.tasks.study import Study

    variables = definition.get("variables")
    if not isinstance(variables, dict) or not variables:
        raise FileError(
            f"line {document.line('variables')}: 'variables' must name the project's variables, "
            "such as 'age: {type: number, unit: years}'."
        )
    try:
        study = Study.from_definition(definition)
    except InvalidTask as error:
        raise FileError(f"line {_mentioned(document, error)}: {error.public}") from error
    if study.missing == "impute":
        raise FileError(
            f"line {document.line('missing')}: 'impute' arrives with the task MultipleImputation. Use complete-cases or refuse."
        )
    if study.eligibility is not None:
        try:
            parse_eligibility(study.eligibility, study)
        except InvalidTask as error:
            raise FileError(f"line {document.line('eligibility')}: {error.public}") from error
    return study


def _mentioned(document: Located, error: Any) -> int:
    """The line of the variable that a definition's error is about, and of the key in it where its sentence names one."""
    if error.variable is None:
        return document.line(*[key for key in ("eligibility", "missing", "variables") if f"'{key}'" in error.public][:1] or ["variables"])
    raw = document.value["variables"].get(error.variable)
    keys = [key for key in raw if f"'{key}'" in error.public] if isinstance(raw, dict) else []
    return document.line("variables", error.variable, *keys[:1])


def _tasks(document: Located, study: Any) -> list[dict[str, Any]]:
    raw = document.value.get("tasks")
    if not isinstance(raw, list) or not raw:
        raise FileError(
            f"line {document.line('tasks')}: 'tasks' must list at least one task, such as '- model: SummaryStatistics'. "
            "'starfish task list' shows what there is."
        )
    return [_task(document, number, item, study) for number, item in enumerate(raw)]


def _task(document: Located, number: int, raw: Any, study: Any) -> dict[str, Any]:
    from starfish.tasks import registry
    from starfish.tasks.errors import InvalidTask

    where = f"line {document.line('tasks', number)}: task {number + 1}"
    if not isinstance(raw, dict):
        raise FileError(f"{where} must be a mapping with 'model:' and perhaps 'config:', not {_kind(raw)}.")
    _known(document, ("tasks", number), raw, TASK_KEYS)
    model, config = raw.get("model"), raw.get("config")
    if not isinstance(model, str):
        raise FileError(f"{where} needs 'model:' with a task's name. 'starfish task list' shows what there is.")
    config = {} if config is None else config
    if not isinstance(config, dict):
        raise FileError(f"line {document.line('tasks', number, 'config')}: 'config' must be a mapping of parameters, not {_kind(config)}.")
    try:
        task = registry.build(model, config, study)
    except InvalidTask as error:
        line = document.line(*_blamed(number, config, error))
        said = error.public.removeprefix(f"{model}: ")
        raise FileError(f"line {line}: task {number + 1} ({model}): {said}") from error
    if task.config.current_round != 1:
        raise FileError(
            f"line {document.line('tasks', number, 'config', 'current_round')}: task {number + 1} ({model}): 'current_round' is counted "
            "by the Routing Server; leave it out."
        )
    if config.get("site") == "fixed" and "site" in task.variables:
        raise FileError(
            f"line {document.line('tasks', number, 'config', 'site')}: task {number + 1} ({model}): the variable 'site' can't be told from "
            "the terms site[…] that 'site: fixed' adds; give it another name."
        )
    rounds = {"total_round": task.config.total_round, "current_round": task.config.current_round}
    return {"seq": number + 1, "model": model, "config": {**config, **rounds}}


def _blamed(number: int, config: Mapping[str, Any], error: Any) -> tuple[str | int, ...]:
    """Where in the file a task's error belongs: its model, its formula, the parameter that the sentence names, or the task."""
    if error.code == "unknown-task":
        return ("tasks", number, "model")
    named = [key for key in config if f"'{key}'" in error.public or (error.code == "formula" and key == "formula")]
    return ("tasks", number, "config", *named[:1])


def _known(document: Located, path: tuple[str | int, ...], raw: Iterable[str], known: tuple[str, ...]) -> None:
    for key in raw:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"What may stand here: {', '.join(known)}."
            raise FileError(f"line {document.line(*path, key)}: '{key}' is unknown. {hint}")


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")
