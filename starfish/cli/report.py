"""A report (a dictionary, as report.json holds it) drawn for people."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import typer

from starfish.cli.session import FAILED, Session
from starfish.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

INSIDE = ("decrement", "evaluations")  # of the iteration, not of the model; `--json` has them
WIDE = 100  # below, an odds ratio's table leaves out the interval of its logarithm


def show(session: Session, report: Mapping[str, Any]) -> None:
    """The result of a batch that has ended; status 1 where a task has no answer, with the reason."""
    session.result(report, lambda report: view(report, width=session.out.width))
    failures = [task for task in report["tasks"] if task.get("failure")]
    for task in failures:
        session.note(f"Error: task {task['seq']} ({task['model']}) has no estimate: {task['failure'].get('message')}")
    if failures:
        raise typer.Exit(FAILED)


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


def estimates(rows: Sequence[Mapping[str, Any]], *, width: int, level: str) -> "Table":
    """One row a term, with its ratio where the model has one."""
    scale = next((row["scale"] for row in rows if row.get("scale") and row.get("exp_estimate") is not None), None)
    interval = scale is None or width >= WIDE
    heads = [
        "Term",
        "Estimate",
        "SE",
        "Statistic",
        "p",
        *([level] if interval else []),
        *([str(scale), f"{scale} {level}"] if scale else []),
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

    config = task.get("config") or {}
    level = f"{100 * (1 - config.get('alpha', 0.05)):g} % CI"
    rounds = f"{task['rounds']} round{'' if task['rounds'] == 1 else 's'}"
    state = "" if task.get("converged") else ", not converged"
    parts: list[RenderableType] = [Text(f"Task {task['seq']}: {task['model']} ({rounds}{state})", style="bold")]
    if config.get("formula"):
        parts.append(config["formula"])
    if task.get("failure"):
        parts.append(Text(f"No estimate: {task['failure'].get('message')}", style="red"))
    if task.get("estimates"):
        parts += ["", estimates(task["estimates"], width=width, level=level), ""]
    parts += fit_lines(task.get("fit") or {})
    for name, content in (task.get("tables") or {}).items():
        parts += _table(name, content, width=width)
    return parts + [Text(f"Warning: {warning}", style="yellow") for warning in task.get("warnings") or ()]


def fit_lines(fit: Mapping[str, Any]) -> list[str]:
    """How well the model fits: one line, and one for each test in it."""
    single = {key: value for key, value in fit.items() if not isinstance(value, Mapping) and key not in INSIDE}
    tests = [f"{words(key)}: {facts_line(value)}" for key, value in fit.items() if isinstance(value, Mapping)]
    return [f"Fit: {facts_line(single)}", *tests] if single else tests


def facts_line(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {any_value(value, key)}" for key, value in values.items() if value is not None)


def _table(name: str, content: Any, *, width: int) -> "list[RenderableType]":
    """A test or another single row on one line, anything longer as a table."""
    from rich.text import Text

    if isinstance(content, Mapping) and all(_short(value) for value in content.values()):
        return [f"{words(name)}: {facts_line(content)}"]
    return ["", Text(words(name), style="italic"), any_table(content, width=width)]


def _short(value: Any) -> bool:
    """A single value, or two such as the degrees of freedom of an F test."""
    return not isinstance(value, Mapping) and (
        not isinstance(value, list) or (len(value) == 2 and not isinstance(value[0], Mapping | list))
    )


def any_table(content: Any, *, width: int) -> "RenderableType":
    """Any table that a task puts into its report; one that is too wide goes on below, with its first columns again."""
    from rich.console import Group

    from starfish.controller.api.tables import as_rows

    rows = as_rows(content)
    heads = list(dict.fromkeys(key for row in rows for key in row))
    # A bracket around a value that is there, too, is for `--json`.
    shown = [head for head in heads if head.rpartition("_")[0] not in heads or not head.endswith(("_low", "_high"))]
    columns = {head: [any_value(row.get(head), head) for row in rows] for head in shown}
    if not rows:
        return "(empty)"
    first, *more = (_part(columns, part) for part in _parts(columns, _labels(rows, shown), width))
    return Group(first, *(piece for part in more for piece in ("", part)))


def _labels(rows: Sequence[Mapping[str, Any]], heads: Sequence[str]) -> list[str]:
    """The columns at the beginning that hold texts: they say what a row is about."""
    return list(takewhile(lambda head: all(isinstance(row.get(head), str | None) for row in rows), heads))


def _parts(columns: Mapping[str, list[str]], labels: list[str], width: int) -> list[list[str]]:
    """Which columns stand side by side in `width`."""
    wide = {head: max(len(head), *map(len, cells)) + 3 for head, cells in columns.items()}
    parts, room = [list(labels)], width - sum(wide[head] for head in labels)
    left = room
    for head in (head for head in columns if head not in labels):
        if wide[head] > left and parts[-1] != labels:
            parts.append(list(labels))
            left = room
        parts[-1].append(head)
        left -= wide[head]
    return parts


def _part(columns: Mapping[str, list[str]], heads: list[str]) -> "Table":
    numeric = [place for place, head in enumerate(heads) if all(cell[:1] in "-.0123456789<" for cell in columns[head])]
    table = plain_table(*(head.replace("_", " ") for head in heads), right=tuple(numeric))
    for cells in zip(*(columns[head] for head in heads), strict=True):
        table.add_row(*cells)
    return table


def words(name: str) -> str:
    """ "likelihood_ratio" as the beginning of a line."""
    return name.replace("_", " ").capitalize()


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


def any_value(value: Any, name: str = "") -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and name == "df" and value.is_integer():
        return f"{value:.0f}"
    if isinstance(value, float):
        return p_value(value) if name in ("p", "p_value") else number(value)
    if isinstance(value, list):
        return ", ".join(any_value(item, name) for item in value)
    if isinstance(value, Mapping):
        return facts_line(value)
    return "" if value is None else str(value)
