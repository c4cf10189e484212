"""The study that is attacked: small, synthetic, and full of words and numbers that stand nowhere else."""

import csv
import random
from collections.abc import Mapping
from pathlib import Path

SITES = ("North", "South", "West")
"""The first coordinates."""
LEVELS = ("marblefox", "tinderwren")
COLUMNS = ("quillworth", "zephyrine", "cellarage", "ebbingtide", "never-asked-for")
FORMULA = "quillworth ~ zephyrine + cellarage"
DESCRIPTION = "Whether brindled herons winter in harbours"
UNHEARD_OF = "oddpewter"
"""A level that the study does not know: a row with it makes a site fail, and say why."""
REASON = "cellarage"
LOG_LINE = "round 1: prepared"
ROWS = 40
PROJECT = f"""
name: {{name}}
description: {DESCRIPTION}
variables:
  quillworth: {{{{type: number, role: outcome}}}}
  zephyrine:  {{{{type: number}}}}
  cellarage:  {{{{type: category, levels: [{", ".join(LEVELS)}]}}}}
  ebbingtide: {{{{type: binary, positive: true}}}}
tasks:
  - model: LinearRegression
    config: {{{{formula: "{FORMULA}"}}}}
  - model: SummaryStatistics
"""


def project_file(folder: Path, name: str) -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(PROJECT.format(name=name), encoding="utf-8")
    return path


def write_data(path: Path, site: str, *, spoilt: bool = False) -> None:
    """The same rows each time. `spoilt`: with one that makes the site fail."""
    made = random.Random(f"rows of {site}")
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for number in range(ROWS):
            x, level = made.uniform(10, 90), LEVELS[made.random() < 0.4]
            y = 3.7 + 0.83 * x + 11.9 * (level == LEVELS[1]) + made.gauss(0, 9)
            positive = made.random() < 1 / (1 + 2.718 ** (2 - x / 25))
            level = UNHEARD_OF if spoilt and number == 7 else level
            rows.writerow([f"{y:.7f}", f"{x:.7f}", level, str(positive).lower(), f"{made.uniform(1e5, 1e6):.6f}"])


def values(path: Path) -> list[str]:
    """The numbers in a file of rows, as they stand there."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [cell for row in rows for cell in row if cell.replace(".", "").isdigit()]


def words() -> Mapping[str, str]:
    """What is looked for besides numbers: the text, by what it is."""
    names = {f"a variable's name ({name})": name for name in COLUMNS[:4]}
    levels = {f"a level ({level})": level for level in LEVELS}
    return {"the formula": FORMULA, "the description": DESCRIPTION, "a log line": LOG_LINE, **names, **levels}
