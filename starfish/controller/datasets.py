"""What a site takes part with: its datasets, how they map to each project's variables, and which one answers for which project.

All of it stays in datasets.json at the site. A mapping belongs to a dataset and a project's name, so that it can be made
and checked before the project is joined; each change adds a version, and the last one holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starfish.controller.errors import HomeError, NotNow, UnknownName
from starfish.controller.files import locked, read_object, write_json

VERSION = 1
EMPTY: dict[str, Any] = {"version": VERSION, "datasets": {}, "mappings": {}, "bindings": {}}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A name for a source at this site."""

    name: str
    source: str
    added: str


@dataclass(frozen=True, kw_only=True)
class MappingVersion:
    """One version of a mapping, as controller.data reads it."""

    version: int
    made: str
    mapping: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Binding:
    """What this site takes part with in one project; `dataset` and `source` are None for a coordinator without data."""

    project: str
    dataset: str | None
    source: str | None
    mapping: Mapping[str, Any] | None
    mapping_version: int


class Datasets:
    """datasets.json. Every change is one locked, durable step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[Dataset]:
        return [Dataset(name=name, **entry) for name, entry in sorted(self._read()["datasets"].items())]

    def get(self, name: str) -> Dataset:
        """Raises UnknownName."""
        entry = self._read()["datasets"].get(name)
        if entry is None:
            raise UnknownName(f"No dataset is called '{name}' here. {_known('datasets', [d.name for d in self.all()])}")
        return Dataset(name=name, **entry)

    def add(self, name: str, source: str) -> Dataset:
        """Raises NotNow where the name is taken by another source; the same again changes nothing."""
        with locked(self.path.with_suffix(".lock")):
            state = self._read()
            present = state["datasets"].get(name)
            if present is not None and present["source"] != source:
                raise NotNow(f"The dataset '{name}' exists already, and is {present['source']}. Choose another name.")
            if present is None:
                state["datasets"][name] = {"source": source, "added": _now()}
                write_json(self.path, state)
        return self.get(name)

    def mapping(self, dataset: str, project: str) -> MappingVersion | None:
        """The version that holds, None where columns are taken by their names."""
        versions = self.mapping_versions(dataset, project)
        return versions[-1] if versions else None

    def mapping_versions(self, dataset: str, project: str) -> list[MappingVersion]:
        versions = self._read()["mappings"].get(dataset, {}).get(project, [])
        return [MappingVersion(version=number, **entry) for number, entry in enumerate(versions, start=1)]

    def mapped_projects(self, dataset: str) -> dict[str, int]:
        """The projects that a dataset has a mapping for, and the version that holds."""
        return {project: len(versions) for project, versions in sorted(self._read()["mappings"].get(dataset, {}).items())}

    def set_mapping(self, dataset: str, project: str, mapping: Mapping[str, Any]) -> MappingVersion:
        """Add a version; the same mapping again adds none."""
        self.get(dataset)
        with locked(self.path.with_suffix(".lock")):
            state = self._read()
            versions = state["mappings"].setdefault(dataset, {}).setdefault(project, [])
            if not versions or versions[-1]["mapping"] != mapping:
                versions.append({"made": _now(), "mapping": dict(mapping)})
                write_json(self.path, state)
        return self.mapping_versions(dataset, project)[-1]

    def bind(self, project_id: int, project: str, dataset: str | None) -> None:
        """Let `dataset` answer for a project, or nothing at all. Raises UnknownName."""
        if dataset is not None:
            self.get(dataset)
        with locked(self.path.with_suffix(".lock")):
            state = self._read()
            state["bindings"][str(project_id)] = {"project": project, "dataset": dataset}
            write_json(self.path, state)

    def unbind(self, project_id: int) -> None:
        with locked(self.path.with_suffix(".lock")):
            state = self._read()
            if state["bindings"].pop(str(project_id), None) is not None:
                write_json(self.path, state)

    def binding(self, project_id: int) -> Binding | None:
        """None where nobody has said yet what this site takes part with."""
        entry = self._read()["bindings"].get(str(project_id))
        if entry is None:
            return None
        project, name = entry["project"], entry["dataset"]
        if name is None:
            return Binding(project=project, dataset=None, source=None, mapping=None, mapping_version=0)
        mapping = self.mapping(name, project)
        return Binding(
            project=project,
            dataset=name,
            source=self.get(name).source,
            mapping=mapping.mapping if mapping else None,
            mapping_version=mapping.version if mapping else 0,
        )

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {key: {} if value == {} else value for key, value in EMPTY.items()}
        state = read_object(self.path)
        if state.get("version") != VERSION:
            raise HomeError(f"{self.path} is of version {state.get('version')!r} and this Starfish reads version {VERSION}.")
        if not _whole(state):
            raise HomeError(f"{self.path} is damaged: a part of it is missing or wrong. Restore it from a backup.")
        return state


def _whole(state: Mapping[str, Any]) -> bool:
    """Whether every part is as this module writes it; what a mapping says is controller.data's to check."""

    def versions(made: Any) -> bool:
        return isinstance(made, list) and all(_has(version, made=str, mapping=dict) for version in made)

    return (
        _each(state.get("datasets"), lambda entry: _has(entry, source=str, added=str))
        and _each(state.get("mappings"), lambda projects: _each(projects, versions))
        and _each(state.get("bindings"), lambda entry: _has(entry, project=str, dataset=str | None))
    )


def _each(value: Any, holds: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(holds, value.values()))


def _has(entry: Any, **kinds: Any) -> bool:
    return isinstance(entry, dict) and entry.keys() == kinds.keys() and all(isinstance(entry[key], kind) for key, kind in kinds.items())


def _known(what: str, names: list[str]) -> str:
    return f"There are these {what}: {', '.join(names)}." if names else "Name one with 'starfish dataset add NAME SOURCE'."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
