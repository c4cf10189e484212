"""From the last global model to estimates, standard errors, tests and criteria."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from starfish.tasks.api import TaskReport
from starfish.tasks.likelihood.linalg import inverse
from starfish.tasks.likelihood.scaling import Layout, back
from starfish.tasks.likelihood.state import State, site_digest
from starfish.tasks.payload import number

if TYPE_CHECKING:
    from starfish.tasks.likelihood.task import LikelihoodTask

Array = np.ndarray
HETEROGENEOUS = 0.05


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Reported parameters: names, references, and the matrix from the pooled parameters to them."""

    names: list[str]
    references: list[str | None]
    matrix: Array


def model_report(task: "LikelihoodTask", state: State, site_names: Mapping[str, str] | None) -> TaskReport:
    """Without estimates where no round has come so far as to have any."""
    if "decrement" not in state.meta:
        return TaskReport(converged=False, warnings=("The task ended before it had an estimate; raise total_round.",))
    terms = _terms(task, task.layout(state), state, site_names)
    beta = terms.matrix @ state.arrays["base_theta"]
    if task.question.formula.intercept:
        beta[0] += state.origin
    converged = bool(state.meta.get("converged", False))
    heterogeneity = _homogeneity(task, state)
    warnings = [] if converged else ["The task reached total_round before it converged: these are no maximum-likelihood estimates."]
    if converged and state.stage != "done":
        warnings.append(f"total_round was reached before all was computed: {_missing(task, state)}. Raise it.")
    differs = heterogeneity is not None and heterogeneity["p_value"] is not None and heterogeneity["p_value"] < HETEROGENEOUS
    if heterogeneity and differs and task.config.site == "none":
        warnings.append(
            f"The sites differ by more than chance (test of homogeneity, p = {heterogeneity['p_value']:.2g}); consider 'site: fixed'."
        )
    return TaskReport(
        converged=converged,
        estimates=_rows(task, state, terms, beta, _errors(task, state, terms)),
        fit=_fit(task, state),
        tables={**({"homogeneity": heterogeneity} if heterogeneity else {}), **task.tables(state)},
        warnings=warnings,
        methods=_methods(task, state),
    )


def two_sided(statistic: Array | float, df: float | None) -> Array:
    """P(|Z| >= |statistic|), or of Student's t with `df` degrees of freedom; exact in the tails."""
    size = np.abs(np.asarray(statistic, dtype=np.float64))
    if df is None:
        return np.asarray(special.erfc(size / np.sqrt(2.0)))
    return np.asarray(special.betainc(df / 2.0, 0.5, df / (df + size * size)))


def critical(alpha: float, df: float | None) -> float:
    """The two-sided quantile."""
    lower = alpha / 2.0
    return -float(special.ndtri(lower) if df is None else special.stdtrit(df, lower))


def _covariance(task: "LikelihoodTask", state: State) -> Array:
    bread = inverse(state.arrays["base_information"])
    if _se_type(task, state) == "model":
        return bread * task.dispersion(state, state.meta["base_ll"])
    n, p = task.n(state), len(bread)
    groups = state.meta["groups"]
    if task.se_type == "cluster":
        factor = groups / (groups - 1.0) * (n - 1.0) / (n - p)
    elif task.se_type == "sampling":
        factor = n / (n - 1.0)
    else:
        factor = n / (n - p) if task.se_type == "HC1" else 1.0
    sandwich: Array = bread @ state.arrays["meat"] @ bread * factor
    return sandwich


def _errors(task: "LikelihoodTask", state: State, terms: Terms) -> Array:
    """Standard errors of the reported terms, whose units may be too far apart for their squares."""
    units = np.abs(terms.matrix).max(axis=1)
    matrix = terms.matrix / units[:, None]
    errors: Array = units * np.sqrt(np.einsum("ij,jk,ik->i", matrix, _covariance(task, state), matrix))
    return errors


def _terms(task: "LikelihoodTask", layout: Layout, state: State, site_names: Mapping[str, str] | None) -> Terms:
    columns = task.question.formula.columns
    names, references = [column.name for column in columns], [column.reference for column in columns]
    if layout.sites == 1:
        return Terms(names=names, references=references, matrix=back(layout, state))
    known = {site_digest(uid): name for uid, name in (site_names or {}).items()}
    shown = [known.get(digest, f"site {place + 1}") for place, digest in enumerate(state.sites)]
    order = sorted(range(len(shown)), key=lambda place: shown[place]) if site_names else list(range(len(shown)))
    reference, others = order[0], order[1:]
    matrix = np.zeros((layout.pooled, layout.pooled))
    matrix[0, reference] = 1.0
    matrix[1 : 1 + layout.slopes, layout.sites :] = np.eye(layout.slopes)
    for row, place in enumerate(others, start=1 + layout.slopes):
        matrix[row, place], matrix[row, reference] = 1.0, -1.0
    return Terms(
        names=[*names, *(f"site[{shown[place]}]" for place in others)],
        references=[*references, *(shown[reference] for _ in others)],
        matrix=matrix @ back(layout, state),
    )


def _rows(task: "LikelihoodTask", state: State, terms: Terms, beta: Array, error: Array) -> list[dict[str, Any]]:
    df = task.residual_df(state)
    if df is not None and _se_type(task, state) == "cluster":
        df = state.meta["groups"] - 1.0
    reach = critical(task.config.alpha, df)
    rows = []
    for name, reference, value, se in zip(terms.names, terms.references, beta, error, strict=True):
        statistic = value / se if se > 0 else np.nan
        low, high = value - reach * se, value + reach * se
        row = {"term": name, "estimate": value, "std_error": se, "statistic": statistic, "p_value": two_sided(statistic, df)}
        row |= {"ci_low": low, "ci_high": high}
        with np.errstate(over="ignore"):
            row |= {f"exp_{key}": np.exp(row[key]) if task.ratio else np.nan for key in ("estimate", "ci_low", "ci_high")}
        rows.append(
            {key: number(cell) if key != "term" else cell for key, cell in row.items()} | {"scale": task.ratio, "reference": reference}
        )
    return rows


def _fit(task: "LikelihoodTask", state: State) -> dict[str, Any]:
    ll, k, n = task.log_likelihood(state), task.parameters(state), task.n(state)
    proper = task.config.weights != "sampling" and not task.firth
    return {
        "n": _whole(n),
        "df": k,
        "log_likelihood": number(ll),
        "aic": number(-2.0 * ll + 2.0 * k) if proper else None,
        "bic": number(-2.0 * ll + np.log(n) * k) if proper else None,
        "decrement": number(state.meta["decrement"]),
        "se_type": _se_type(task, state),
        "ci_method": task.config.ci,
        "evaluations": state.meta["evaluations"],
    } | dict(task.fit(state))


def _homogeneity(task: "LikelihoodTask", state: State) -> dict[str, Any] | None:
    """Whether the sites' own scores at the pooled estimate are larger than chance: the sum of U_k' I_k⁻ U_k."""
    spread, df = state.meta["homogeneity"]
    if df <= 0 or len(state.sites) < 2 or task.config.weights == "sampling" or task.firth:
        return None
    return dict(task.homogeneity(state, spread, int(df)))


def _missing(task: "LikelihoodTask", state: State) -> str:
    """What the rounds that are left would have brought."""
    robust = [f"standard errors are those of the model, not {task.se_type}"] if _se_type(task, state) != task.se_type else []
    return ", ".join([*robust, *(f"the {stage.name} are not complete" for stage in task.after())])


def _se_type(task: "LikelihoodTask", state: State) -> str:
    """As they could be computed: without the round for the meat, from the information."""
    return task.se_type if "meat" in state.arrays else "model"


def _methods(task: "LikelihoodTask", state: State) -> str:
    sites = len(state.sites)
    errors = {"model": "from the information matrix", "cluster": "clustered sandwich", "sampling": "sandwich for sampling weights"}
    how = "maximum likelihood with Firth's penalty" if task.firth else "maximum likelihood"
    end = "the decrement was at most 1e-12" if state.meta.get("converged") else f"round {state.meta['round']}, before it converged"
    se_type = _se_type(task, state)
    return (
        f"{task.title} ({task.question.formula.text}) was fitted by {how} to the rows of {sites} site{'s' * (sites > 1)} "
        f"without moving them: each site returned its log-likelihood, score and information, which were added exactly and maximised by "
        f"Newton's method until {end}. Standard errors: {errors.get(se_type, f'{se_type} sandwich')}; "
        f"{100 * (1 - task.config.alpha):g} % Wald intervals."
    )


def _whole(n: float) -> float | int:
    return int(n) if float(n).is_integer() else n
