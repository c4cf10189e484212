"""Datasets as this site's people see them: added, mapped to a project's variables, checked before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starfish.controller.datasets import Dataset
from starfish.controller.errors import NotNow

if TYPE_CHECKING:
    from starfish.controller.api.site import Site
    from starfish.controller.data import Finding


@dataclass(frozen=True, kw_only=True)
class DatasetPage:
    """A dataset, read: its size and columns (with a few of their values), and where it is used."""

    name: str
    source: str
    added: str
    rows: int
    columns: Mapping[str, list[str]]
    mappings: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How a dataset fits a project. Texts may name rows and values: for this site's people only."""

    dataset: str
    project: str
    rows: int
    mapping_version: int
    problems: "list[Finding]"
    hints: "list[Finding]"


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """The mapping that now holds, for every variable of the project."""

    dataset: str
    project: str
    version: int
    mapping: Mapping[str, Any]


class DatasetActions:
    def __init__(self, site: "Site") -> None:
        self.site = site

    def add(self, name: str, source: str | Path) -> DatasetPage:
        """Read the source once, and remember it under a name. Raises DataError, NotNow."""
        if not name or not name.isprintable() or "/" in name or name != name.strip():
            raise NotNow(f"'{name}' can't be a dataset's name. Use letters, digits and '-'.")
        self.site.home.load()
        path = str(Path(source).expanduser().absolute())
        from starfish.controller.data import read_source

        read_source(path)
        self.site.home.datasets.add(name, path)
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
            mappings={project: version.version for project, version in self.site.home.datasets.mappings(name).items()},
        )
