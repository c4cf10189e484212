"""The tasks there are, as people read about them; no site is needed."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a task. `default` is None where there is none."""

    name: str
    type: str
    default: Any
    required: bool
    description: str


@dataclass(frozen=True, kw_only=True)
class TaskPage:
    """What `task show` shows. `leaves`: what leaves the site, one line for each kind of round."""

    model: str
    title: str
    description: str
    parameters: list[Parameter]
    leaves: list[str]


def task_pages() -> list[TaskPage]:
    """Every task, by name."""
    from starfish.tasks import registry

    return [task_page(name) for name in registry.names()]


def task_page(model: str) -> TaskPage:
    """Raises InvalidTask for an unknown one."""
    from starfish.tasks import registry
    from starfish.tasks.api import TaskConfig

    task, schema = registry.load(model), registry.schema(model)
    entries = {name: entry for name, entry in schema.get("properties", {}).items() if name != "current_round"}
    own_first = sorted(entries, key=lambda name: name in TaskConfig.model_fields)
    parameters = [
        Parameter(
            name=name,
            type=_type(entries[name], schema.get("$defs", {})),
            default=entries[name].get("default"),
            required=name in schema.get("required", []),
            description=entries[name].get("description", ""),
        )
        for name in own_first
    ]
    return TaskPage(model=model, title=task.title, description=inspect.getdoc(task) or "", parameters=parameters, leaves=list(task.leaves))


def _type(entry: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON Schema entry in words: "integer, 1 to 1000", "one of: none, fixed"."""
    if "$ref" in entry:
        return _type(definitions[entry["$ref"].rsplit("/", 1)[1]], definitions)
    if "const" in entry:
        return str(entry["const"])
    if "enum" in entry:
        return " | ".join(str(value) for value in entry["enum"])
    options = entry.get("anyOf") or entry.get("oneOf")
    if options:
        return " | ".join(_type(option, definitions) for option in options if option.get("type") != "null")
    if entry.get("type") == "array":
        return f"list of {_type(entry.get('items', {}), definitions)}"
    return ", ".join([str(entry.get("type", "any")).replace("string", "text"), *_limits(entry)])


def _limits(entry: Mapping[str, Any]) -> list[str]:
    if "minimum" in entry and "maximum" in entry:
        return [f"{entry['minimum']:g} to {entry['maximum']:g}"]
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return [f"{sign} {entry[key]:g}" for key, sign in words.items() if key in entry]
