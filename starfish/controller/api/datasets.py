"""Datasets as this site's people see them: added, mapped to a project's variables, checked before anything is sent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starfish.controller.api.mappings import NO_CHANGE, MappingChange
from starfish.controller.datasets import Dataset
from starfish.controller.errors import DataProblem, NotNow

if TYPE_CHECKING:
    from starfish.controller.api.site import Site
    from starfish.controller.data import Finding, Table
    from starfish.controller.data import Mapping as DataMapping
    from starfish.tasks.study import Study


@dataclass(frozen=True, kw_only=True)
class DatasetPage:
    """A dataset, read: its size and columns (with a few of their values), and what it is mapped for."""

    name: str
    source: str
    added: str
    rows: int
    columns: Mapping[str, list[str]]
    mappings: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a dataset fits a project. Texts may name lines and values: for this site's people only."""

    dataset: str
    project: str
    rows: int
    mapping_version: int
    problems: "list[Finding]"
    hints: "list[Finding]"


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """The mapping that holds, for every variable of the project; version 0: columns are taken by their names."""

    dataset: str
    project: str
    version: int
    variables: Mapping[str, Mapping[str, Any]]


class DatasetActions:
    def __init__(self, site: "Site") -> None:
        self.site = site

    def add(self, name: str, source: str | Path) -> DatasetPage:
        """Read the source once, and remember it under a name. Raises DataError, NotNow."""
        if not name or not name.isprintable() or "/" in name or name != name.strip():
            raise NotNow(f"'{name}' can't be a dataset's name. Use letters, digits and '-'.")
        self.site.home.load()
        from starfish.controller.data import read_source

        place = str(source) if "://" in str(source) else str(Path(source).expanduser().absolute())
        if Path(place).is_fifo():
            raise NotNow(f"{source} is a pipe, which can be read only once; name a CSV file, which every batch reads again.")
        read_source(place)
        self.site.home.datasets.add(name, place)
        return self.show(name)

    def all(self) -> list[Dataset]:
        self.site.home.load()
        return self.site.home.datasets.all()

    def get(self, name: str) -> Dataset:
        """Raises UnknownName."""
        self.site.home.load()
        return self.site.home.datasets.get(name)

    def show(self, name: str) -> DatasetPage:
        """Raises UnknownName, DataError."""
        from starfish.controller.data import read_source

        dataset = self.get(name)
        table = read_source(dataset.source)
        return DatasetPage(
            name=name,
            source=dataset.source,
            added=dataset.added,
            rows=table.n,
            columns={column: list(dict.fromkeys(cells))[:5] for column, cells in table.columns.items()},
            mappings=self.site.home.datasets.mapped_projects(name),
        )

    def map(self, name: str, project: str | Path, change: MappingChange = NO_CHANGE) -> Mapped:
        """Change how a dataset answers a project (a name, an id or a project file), as a new version. Raises DataError, FileError."""
        from starfish.controller.data import read_mapping, read_source

        dataset = self.get(name)
        title, study = self._study(project)
        held = self.site.home.datasets.mapping(name, title)
        raw = change.applied(held.mapping if held else None)
        table = read_source(dataset.source)
        mapping = read_mapping(raw, study, table)
        if change.says_anything:
            _refuse_absent({*change.entries, *(change.whole or {}).get("variables", {})}, mapping, table)
            held = self.site.home.datasets.set_mapping(name, title, raw)
        variables = {variable: entry.as_json() for variable, entry in mapping.variables.items()}
        return Mapped(dataset=name, project=title, version=held.version if held else 0, variables=variables)

    def check(self, name: str, project: str | Path) -> Fit:
        """Whether a dataset fits a project's variables (a name, an id or a project file): all problems, then hints. Raises DataError."""
        dataset = self.get(name)
        title, study = self._study(project)
        return self.fit(dataset, title, study)

    def fit(self, dataset: Dataset, project: str, study: "Study") -> Fit:
        """As `check`, of a project that is at hand. Raises DataError."""
        from starfish.controller.data import check, read_mapping, read_source

        table = read_source(dataset.source)
        held = self.site.home.datasets.mapping(dataset.name, project)
        findings = check(table, study, read_mapping(held.mapping if held else None, study, table))
        return Fit(
            dataset=dataset.name,
            project=project,
            rows=table.n,
            mapping_version=held.version if held else 0,
            problems=[finding for finding in findings if finding.severity == "problem"],
            hints=[finding for finding in findings if finding.severity == "hint"],
        )

    def _study(self, project: str | Path) -> "tuple[str, Study]":
        """A project's name and variables, from its file or from the Routing Server."""
        from starfish.controller import project_file
        from starfish.tasks.study import Study

        if isinstance(project, Path) or project.endswith((".yaml", ".yml")) or Path(project).is_file():
            read = project_file.read(project)
            return read.name, Study.from_definition(read.definition)
        found = self.site.projects.find(project)
        if not found.definition and self.site.projects.member(found.id):
            raise NotNow(f"'{found.name}' says nothing of its variables, so there is nothing to check or to map.")
        if not found.definition:
            raise NotNow(
                f"The variables of '{found.name}' are not known here: its members alone see them. "
                f"Join it first, or name its project file instead."
            )
        return found.name, Study.from_definition(found.definition)


def _refuse_absent(changed: Iterable[str], mapping: "DataMapping", table: "Table") -> None:
    """A column that was named just now and is not there is a slip. Raises DataProblem."""
    for name in sorted(changed):
        for column in mapping.variables[name].sources:
            if column not in table.columns:
                near = get_close_matches(column, table.columns, n=1)
                there = f"Did you mean '{near[0]}'?" if near else f"The columns are {', '.join(list(table.columns)[:20])}."
                raise DataProblem(f"{name}: there is no column '{column}' in {table.source}, and nothing was changed. {there}")
