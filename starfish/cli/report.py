"""A report (a dictionary, as report.json holds it) drawn for people."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from starfish.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

WIDE = 100  # below, an odds ratio's table leaves out the interval of its logarithm


def view(report: Mapping[str, Any], *, width: int) -> "RenderableType":
    """Sites, then each task: estimates, fit, tables, failures, warnings."""
    from rich.console import Group

    parts: list[RenderableType] = [f"{report['project']}, batch {report['batch']}" if report.get("batch") else str(report["project"]), ""]
    parts += [sites(report["sites"])]
    for task in report["tasks"]:
        parts += ["", *_task(task, width=width)]
    return Group(*parts)


def sites(rows: Iterable[Mapping[str, Any]]) -> "RenderableType":
    table = plain_table("Site", "Rows", "Used", "Events", "Excluded", right=(1, 2, 3))
    for row in rows:
        excluded = ", ".join(f"{count} {reason}" for reason, count in (row.get("excluded") or {}).items() if count)
        table.add_row(str(row["site"]), *(count(row.get(key)) for key in ("rows", "used", "events")), excluded or "none")
    return table


def estimates(rows: list[Mapping[str, Any]], *, width: int) -> "Table":
    """One row a term; z or t, and the ratio where the model has one."""
    scale = next((row["scale"] for row in rows if row.get("scale") and row.get("exp_estimate") is not None), None)
    interval = scale is None or width >= WIDE
    heads = [
        "Term",
        "Estimate",
        "SE",
        "z or t",
        "p",
        *(["95 % CI"] if interval else []),
        *([str(scale), f"{scale} 95 % CI"] if scale else []),
    ]
    table = plain_table(*heads, right=tuple(range(1, len(heads))))
    for row in rows:
        cells = [row["term"], number(row["estimate"]), number(row["std_error"]), number(row["statistic"], 2), p_value(row["p_value"])]
        cells += [between(row.get("ci_low"), row.get("ci_high"))] if interval else []
        cells += [number(row.get("exp_estimate"), 3), between(row.get("exp_ci_low"), row.get("exp_ci_high"), 3)] if scale else []
        table.add_row(*cells)
    return table


def _task(task: Mapping[str, Any], *, width: int) -> "list[RenderableType]":
    from rich.text import Text

    rounds = f"{task['rounds']} round{'' if task['rounds'] == 1 else 's'}"
    state = "" if task.get("converged") else ", not converged"
    parts: list[RenderableType] = [Text(f"Task {task['seq']}: {task['model']} ({rounds}{state})", style="bold")]
    if task.get("failure"):
        parts.append(Text(f"No estimate: {task['failure'].get('message')}", style="red"))
    if task.get("estimates"):
        parts.append(estimates(task["estimates"], width=width))
    for name, content in (task.get("tables") or {}).items():
        parts += ["", Text(name.replace("_", " ").capitalize(), style="italic"), any_table(content)]
    if task.get("fit"):
        parts.append(fit_line(task["fit"]))
    return parts + [Text(f"Warning: {warning}", style="yellow") for warning in task.get("warnings") or ()]


def fit_line(fit: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {any_value(value)}" for key, value in fit.items() if value is not None)


def any_table(content: Any) -> "RenderableType":
    """Any table that a task puts into its report."""
    from starfish.controller.api.tables import as_rows

    rows = as_rows(content)
    if not rows:
        return "(empty)"
    heads = list(dict.fromkeys(key for row in rows for key in row))
    table = plain_table(*(head.replace("_", " ") for head in heads), right=tuple(range(1, len(heads))))
    for row in rows:
        table.add_row(*(any_value(row.get(head)) for head in heads))
    return table


def number(value: float | None, digits: int = 4) -> str:
    """Fixed digits where they show the size, else scientific; an empty cell for none."""
    if value is None:
        return ""
    size = abs(value)
    return f"{value:.{digits}f}" if size == 0 or 10**-digits <= size < 1e7 else f"{value:.{digits}g}"


def p_value(value: float | None) -> str:
    if value is None:
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def between(low: float | None, high: float | None, digits: int = 4) -> str:
    return "" if low is None or high is None else f"{number(low, digits)} to {number(high, digits)}"


def count(value: Any) -> str:
    return "" if value is None else f"{value}"


def any_value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list):
        return ", ".join(any_value(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {any_value(item)}" for key, item in value.items())
    return "" if value is None else str(value)
