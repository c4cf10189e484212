"""What a site holds back: the numbers of its policy, what a task would make of its rows, and where the two disagree.

A site takes part whole, or not at all: nothing here edits a sum that others add. Each number is explained in
docs/explanation/disclosure.md.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from starfish.tasks.errors import SiteRefusal
from starfish.tasks.payload import Payload

DOMINANT = 0.5
"""One row is as loud as all others together: so much of any combination of columns, or of the squared residuals, is too much."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A site's numbers; `OPEN` holds nothing back.

    `min_rows`: of a task's rows. `min_cell`: of a table's cell, of the rows of a level and of an indicator column. `min_events`: of
    events and of non-events. `max_parameters`: parameters divided by rows. `oracle`: whether score and information are given only
    where the pooled fit itself leads, and not where few rows make them up: `max_share` of any diagonal of the information by one
    row, and an effective number of rows of at least `min_rows`. `min_sites`: sites that a pooled result must be of.
    """

    min_rows: int
    min_cell: int
    min_events: int
    max_parameters: float
    min_sites: int
    oracle: bool
    max_share: float


OPEN = Limits(min_rows=1, min_cell=0, min_events=0, max_parameters=float("inf"), min_sites=1, oracle=False, max_share=1.0)


@dataclass(frozen=True, kw_only=True)
class Scrutiny:
    """By what a site judges a round before it answers: its limits, the global model before the last one, and what it sent then."""

    limits: Limits = OPEN
    model: Payload | None = None
    update: Payload | None = None


UNCHECKED = Scrutiny()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Rows of a table's cell. `variables` says in public what the table is of, `name` in private which cell."""

    variables: str
    name: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Design:
    """What a task makes of one site's rows, as far as it bears on single patients.

    `rows` that it reads, None where it reads none; `parts` of them that are looked at by themselves, such as rows held out.
    `outcomes`: events and non-events, by the outcome's name. `cells` that are not empty. `shares`: the largest part that one row has
    of a column's squares about their mean, or of the weights. `effective`: the number of rows, by the weights (sum² / sum of squares).
    `leverage`: the largest of any row. `single`: values of single patients that are asked for.
    """

    rows: int | None
    parts: Mapping[str, int] = field(default_factory=dict)
    parameters: int = 0
    outcomes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    cells: Sequence[Cell] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    effective: float | None = None
    leverage: float = 0.0
    single: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Breach:
    """A rule of the policy that a design breaks, and how (`code`). `public` names it and never what was found; `private` has that."""

    code: str
    rule: str
    found: float
    limit: float
    public: str
    private: str
    variable: str | None = None


def breaches(design: Design, limits: Limits) -> list[Breach]:
    """Every rule that is broken, the plainest first."""
    return [*_rows(design, limits), *_outcomes(design, limits), *_cells(design, limits), *_rules_of_one_row(design, limits)]


def refuse(broken: Sequence[Breach], title: str) -> None:
    """Raises SiteRefusal, for the first breach in public and for all in private."""
    if broken:
        first = broken[0]
        raise SiteRefusal(
            f"{title}: {first.public} (rule {first.rule}). This site does not take part; go on without it, or ask for less.",
            code=first.code,
            private=f"{title}: " + " ".join(f"{breach.private} (rule {breach.rule})." for breach in broken[:20]),
            variable=first.variable,
        )


def _rows(design: Design, limits: Limits) -> Iterator[Breach]:
    counted = {"rows used": design.rows} if design.rows is not None else {}
    for name, rows in {**counted, **design.parts}.items():
        if 0 < rows < limits.min_rows:
            yield Breach(
                code="min-rows",
                rule="min_rows",
                found=rows,
                limit=limits.min_rows,
                public=f"there are too few {name} at this site",
                private=f"there are {rows} {name}; the policy wants {limits.min_rows}",
            )
    if design.rows and design.parameters > limits.max_parameters * design.rows:
        yield Breach(
            code="max-parameters",
            rule="max_parameters",
            found=design.parameters / design.rows,
            limit=limits.max_parameters,
            public="there are too many parameters for this site's rows; take terms out of the formula",
            private=f"{design.parameters} parameters for {design.rows} rows; the policy allows {limits.max_parameters:g} a row",
        )
    if design.single and limits.min_cell > 1:
        yield Breach(
            code="single-values",
            rule="min_cell",
            found=1,
            limit=limits.min_cell,
            public=f"{' and '.join(design.single)} would be values of single patients",
            private=f"{' and '.join(design.single)} would be values of single patients; no policy but 'open' lets them leave",
        )


def _outcomes(design: Design, limits: Limits) -> Iterator[Breach]:
    for name, (without, events) in design.outcomes.items():
        if min(without, events) < limits.min_events:
            yield Breach(
                code="min-events",
                rule="min_events",
                found=min(without, events),
                limit=limits.min_events,
                public=f"{name}: there are too few events, or too few rows without one, at this site",
                private=f"{name}: {events} events and {without} rows without one; the policy wants {limits.min_events} of each",
                variable=name,
            )


def _cells(design: Design, limits: Limits) -> Iterator[Breach]:
    for cell in sorted(design.cells, key=lambda cell: cell.rows):
        if 0 < cell.rows < limits.min_cell:
            yield Breach(
                code="min-cell",
                rule="min_cell",
                found=cell.rows,
                limit=limits.min_cell,
                public=f"{cell.variables}: some value or combination of values has too few rows at this site",
                private=f"{cell.name}: {cell.rows} rows; the policy wants none or {limits.min_cell}",
                variable=cell.variables,
            )


def _rules_of_one_row(design: Design, limits: Limits) -> Iterator[Breach]:
    for name, share in design.shares.items():
        if share > limits.max_share:
            yield Breach(
                code="max-share",
                rule="max_share",
                found=share,
                limit=limits.max_share,
                public=f"{name}: one row makes up too much of it at this site",
                private=f"{name}: one row makes up {share:.0%} of its squares; the policy allows {limits.max_share:.0%}",
                variable=name,
            )
    if design.effective is not None and design.effective < limits.min_rows:
        yield Breach(
            code="effective-rows",
            rule="min_rows",
            found=design.effective,
            limit=limits.min_rows,
            public="the weights leave too few rows that count at this site",
            private=f"the weights leave {design.effective:.1f} rows that count; the policy wants {limits.min_rows}",
        )
    if limits.oracle and design.leverage >= DOMINANT:
        yield Breach(
            code="leverage",
            rule="oracle",
            found=design.leverage,
            limit=DOMINANT,
            public="some combination of the formula's columns speaks of one row more than of all others together at this site",
            private=f"the largest leverage is {design.leverage:.2f}; below {DOMINANT} no combination of columns speaks of one row most",
        )
