"""What is looked for: studies that are small, synthetic, and full of words and numbers that stand nowhere else."""

import csv
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from starfish.cli.attack.search import numbers_of

SITES = ("North", "South", "West")
"""The first coordinates."""
ROWS = 40


@dataclass(frozen=True, kw_only=True)
class Canaries:
    """One vocabulary. `outcome`, `number`, `category`, `flag`: variables; `unheard_of`: a level that the study does not know, so that
    a row with it makes a site fail, and say why; `never`: a column that no study asks for."""

    dataset: str
    description: str
    outcome: str
    number: str
    category: str
    levels: tuple[str, str]
    flag: str
    unheard_of: str
    never: str
    log_line: str
    tasks: tuple[tuple[str, Mapping[str, object]], ...]

    @property
    def formula(self) -> str:
        return str(self.tasks[0][1]["formula"])

    def project_file(self, folder: Path, name: str) -> Path:
        """YAML is a superset of JSON."""
        project = {
            "name": name,
            "description": self.description,
            "variables": {
                self.outcome: {"type": "number"},
                self.number: {"type": "number"},
                self.category: {"type": "category", "levels": list(self.levels)},
                self.flag: {"type": "binary", "positive": True},
            },
            "tasks": [{"model": model, "config": config} for model, config in self.tasks],
        }
        path = folder / f"{name}.yaml"
        path.write_text(json.dumps(project), encoding="utf-8")
        return path

    def write_data(self, path: Path, site: str, *, spoilt: bool = False) -> None:
        """The same rows each time. `spoilt`: with one that makes the site fail."""
        made = random.Random(f"{self.dataset} of {site}")
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow([self.outcome, self.number, self.category, self.flag, self.never])
            for place in range(ROWS):
                x, level = made.uniform(10, 90), self.levels[made.random() < 0.4]
                y = 3.7 + 0.83 * x + 11.9 * (level == self.levels[1]) + made.gauss(0, 9)
                positive = made.random() < 1 / (1 + 2.718 ** (2 - x / 25))
                level = self.unheard_of if spoilt and place == 7 else level
                rows.writerow([f"{y:.9f}", f"{x:.9f}", level, str(positive).lower(), f"{made.uniform(1e5, 1e6):.6f}"])

    def words(self) -> Iterator[tuple[str, str]]:
        """What a project and its batches are made of, by what it is: to be found where nothing is sealed."""
        yield "the description", self.description
        yield "the formula", self.formula
        yield from (("a variable's name", name) for name in (self.outcome, self.number, self.category, self.flag))
        yield from (("a level", level) for level in self.levels)
        yield "a log line", self.log_line

    def secrets(self, data: Path) -> Iterator[tuple[str, str]]:
        """What never leaves a site, in whatever project."""
        yield "a level that only a site has", self.unheard_of
        yield "a column that was never asked for", self.never
        with data.open(newline="", encoding="utf-8") as file:
            for row in list(csv.reader(file))[1:]:
                yield from (("a value of a row", cell) for cell in row if "." in cell)


def estimates(report: Path) -> Iterator[tuple[str, str]]:
    """The numbers of a report's regression."""
    yield from (("an estimate", number) for number in set(numbers_of(json.loads(report.read_text())["tasks"][0])))


SEALED = Canaries(
    dataset="patients",
    description="Whether brindled herons winter in harbours",
    outcome="quillworth",
    number="zephyrine",
    category="cellarage",
    levels=("marblefox", "tinderwren"),
    flag="ebbingtide",
    unheard_of="oddpewter",
    never="neverasked",
    log_line="task 1 (LinearRegression), round 1: prepared",
    tasks=(("LinearRegression", {"formula": "quillworth ~ zephyrine + cellarage"}), ("SummaryStatistics", {})),
)
OPEN = Canaries(
    dataset="visitors",
    description="How speckled otters cross the causeway",
    outcome="thimblerow",
    number="lanternby",
    category="gallantry",
    levels=("copperjay", "willowmink"),
    flag="saltmarsh",
    unheard_of="drabquartz",
    never="unspoken",
    log_line="task 1 (LogisticRegression), round 1: prepared",
    tasks=(("LogisticRegression", {"formula": "saltmarsh ~ lanternby + gallantry"}),),
)
