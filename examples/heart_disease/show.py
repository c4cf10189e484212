"""What the demo prints at the end: the estimates beside the pooled ones, and what lies on the Routing Server."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from examples.heart_disease.comparison import PooledFit, largest_difference, naive_average, pooled_fit

ENVELOPE = b"starfish-envelope/1\n"
SHORT = ("age",)
"""A word that any file may hold by chance."""


def estimates(console: Console, report: Mapping[str, Any], project: Path, sources: Mapping[str, Path]) -> float:
    """Print the tables; returns the largest difference from the pooled fit, in standard errors."""
    console.print("  Rows used: " + ", ".join(f"{site['site']} {site['used']} of {site['rows']}" for site in report["sites"]) + ".")
    first, second = report["tasks"]
    pooled = pooled_fit(sources, by_site=False)
    average, without = naive_average(project, sources)
    _beside(console, "disease ~ age + sex + trestbps + thalch + exang", first, pooled, average)
    for site, reason in without.items():
        console.print(f"  {site} has no estimate of its own: {escape(reason)}")
    console.print("  The average of the other hospitals' estimates is what averaging would report; it is not the pooled answer.\n")
    adjusted = pooled_fit(sources, by_site=True)
    _beside(console, "the same, with a term for each hospital (site: fixed)", second, adjusted, {})
    age, age_adjusted = pooled.estimates["age"], adjusted.estimates["age"]
    console.print(f"  Differences between hospitals were mixed into age: {age:.4f} becomes {age_adjusted:.4f}.\n")
    differences = [largest_difference(first, pooled), largest_difference(second, adjusted)]
    console.print(
        f"  Largest difference from the pooled fit: {max(d[0] for d in differences):.1e} standard errors in an estimate, "
        f"{max(d[1] for d in differences):.1e} (relative) in a standard error."
    )
    return max(max(pair) for pair in differences)


def _beside(console: Console, title: str, task: Mapping[str, Any], pooled: PooledFit, average: Mapping[str, float]) -> None:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("term", no_wrap=True)
    for heading in ("federated", "pooled", "s.e.", "pooled s.e.", *(["average"] if average else [])):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in task["estimates"]:
        term = row["term"]
        cells = [row["estimate"], pooled.estimates[term], row["std_error"], pooled.std_errors[term]]
        cells += [average[term]] if average else []
        table.add_row(escape(term), *(f"{cell:.8f}" for cell in cells))
    console.print(table)
    fit = task["fit"]
    likelihood = f"log-likelihood {fit['log_likelihood']:.10f} (pooled {pooled.log_likelihood:.10f})"
    console.print(f"  {likelihood}, n = {fit['n']}, {task['rounds']} rounds")


def what_the_router_holds(console: Console, folder: Path, sources: Mapping[str, Path], report: Mapping[str, Any]) -> None:
    """Look into the Routing Server's own files, as its operator could."""
    artifacts = [file for file in (folder / "artifacts").rglob("*") if file.is_file()]
    held = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    rows = [line for source in sources.values() for line in source.read_bytes().splitlines()[1:]]
    found = sum(line in held for line in rows)
    size = sum(file.stat().st_size for file in artifacts)
    console.print(f"  It holds the names of sites, project and tasks, states and times, and {len(artifacts)} files ({size / 1024:.0f} kB).")
    console.print(f"  The files are envelopes: {sum(file.read_bytes().startswith(ENVELOPE) for file in artifacts)} of {len(artifacts)}.")
    told = [row["term"] for task in report["tasks"] for row in task["estimates"]] + [task["config"]["formula"] for task in report["tasks"]]
    read = sorted({word for word in told if word not in SHORT and word.encode() in held})
    console.print(f"  Of the {len(rows)} patients' rows {found} are in its files; of formulas and terms {', '.join(read) or 'none'}.")
    console.print("  'starfish router attack-demo' plays an attacker who owns it. SECURITY.md says what it does see.")
