"""A report's tables as CSV files."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_tables(report: Mapping[str, Any], folder: Path) -> list[Path]:
    """sites.csv, and for each task its estimates, its fit and every table of it; numbers in full precision."""
    written = [_write(folder / "sites.csv", report["sites"])]
    for task in report["tasks"]:
        stem = f"task{task['seq']}-{task['model']}"
        written.append(_write(folder / f"{stem}-estimates.csv", task.get("estimates") or []))
        written.append(_write(folder / f"{stem}-fit.csv", [task["fit"]] if task.get("fit") else []))
        for name, content in (task.get("tables") or {}).items():
            written.append(_write(folder / f"{stem}-{name}.csv", as_rows(content)))
    return [path for path in written if path]


def as_rows(content: Any) -> list[dict[str, Any]]:
    """A report's table as rows: it is a list of rows, {"columns", "rows"}, or names with values."""
    if isinstance(content, Mapping) and isinstance(content.get("rows"), list):
        columns = content.get("columns")
        return [dict(row) if isinstance(row, Mapping) else dict(zip(columns or [], row, strict=False)) for row in content["rows"]]
    if isinstance(content, Mapping):
        return [{"name": key, **value} if isinstance(value, Mapping) else {"name": key, "value": value} for key, value in content.items()]
    return [dict(row) for row in content]


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path | None:
    if not rows:
        return None
    heads = list(dict.fromkeys(key for row in rows for key in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, heads, restval="")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    return path


def _cell(value: Any) -> Any:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}={item}" for key, item in value.items())
    return "; ".join(str(item) for item in value) if isinstance(value, list) else value
