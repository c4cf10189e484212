"""The answer that the pooled rows would give, by a library that knows nothing of Starfish, and the average that others would report."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm

from starfish.controller import project_file
from starfish.controller.simulate import SimulatedSite, simulate

TERMS = ("(Intercept)", "age", "sex[male]", "trestbps", "thalch", "exang")


@dataclass(frozen=True, kw_only=True)
class PooledFit:
    """Maximum likelihood on all rows in one place."""

    estimates: Mapping[str, float]
    std_errors: Mapping[str, float]
    log_likelihood: float


def pooled_fit(sources: Mapping[str, Path], *, by_site: bool) -> PooledFit:
    """statsmodels' GLM on the rows of all hospitals; `by_site` adds an indicator for each hospital but the first by name."""
    frames = {site: pd.read_csv(source).assign(site=site) for site, source in sources.items()}
    rows = pd.concat(frames.values(), ignore_index=True)
    rows["trestbps"] = rows["trestbps"].replace(0, np.nan)
    rows = rows.dropna(subset=["age", "sex", "trestbps", "thalch", "exang", "disease"])
    columns = {
        "(Intercept)": np.ones(len(rows)),
        "age": rows["age"],
        "sex[male]": rows["sex"] == "male",
        "trestbps": rows["trestbps"],
        "thalch": rows["thalch"],
        "exang": rows["exang"].astype(bool),
    }
    if by_site:
        columns |= {f"site[{site}]": rows["site"] == site for site in sorted(sources)[1:]}
    design = pd.DataFrame({name: np.asarray(column, dtype=float) for name, column in columns.items()})
    fit = sm.GLM(rows["disease"].to_numpy(dtype=float), design, family=sm.families.Binomial()).fit(tol=1e-14, maxiter=100)
    return PooledFit(estimates=dict(fit.params), std_errors=dict(fit.bse), log_likelihood=float(fit.llf))


def naive_average(project: Path, sources: Mapping[str, Path]) -> tuple[dict[str, float], dict[str, str]]:
    """The mean of the sites' own estimates weighted by their rows, and why a site has none of its own."""
    weighted: list[tuple[int, dict[str, float]]] = []
    without: dict[str, str] = {}
    alone = _first_task_alone(project)
    for site, source in sources.items():
        task: dict[str, Any] = simulate(alone, [SimulatedSite(name=site, source=str(source))])["tasks"][0]
        if task["failure"] or not task["converged"]:
            without[site] = task["failure"]["message"] if task["failure"] else "its own fit does not converge"
            continue
        weighted.append((task["fit"]["n"], {row["term"]: row["estimate"] for row in task["estimates"]}))
    total = sum(n for n, _ in weighted)
    return {term: sum(n * estimates[term] for n, estimates in weighted) / total for term in TERMS}, without


def _first_task_alone(project: Path) -> project_file.ProjectFile:
    whole = project_file.read(project)
    return project_file.ProjectFile(name=whole.name, description=whole.description, definition=whole.definition, tasks=whole.tasks[:1])


def largest_difference(task: Mapping[str, Any], pooled: PooledFit) -> tuple[float, float]:
    """Of estimates in standard errors, and of standard errors relative to the pooled ones."""
    rows = {row["term"]: row for row in task["estimates"]}
    estimates = max(abs(rows[term]["estimate"] - pooled.estimates[term]) / pooled.std_errors[term] for term in pooled.estimates)
    errors = max(abs(rows[term]["std_error"] / pooled.std_errors[term] - 1) for term in pooled.estimates)
    return estimates, errors
