"""The figures on the documentation's page about speed, from the files that the benchmarks have written; the prose is a person's."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "explanation" / "speed.md"
Result = dict[str, Any]


def size(count: int) -> str:
    """As people say it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"


def write() -> None:
    """Between the markers `<!-- NAME -->` and `<!-- /NAME -->`, for each file that is there."""
    text = PAGE.read_text()
    for name, table in TABLES.items():
        file = HERE / f"{name}.json"
        if file.exists():
            before, _, rest = text.partition(f"<!-- {name} -->\n")
            _, _, after = rest.partition(f"<!-- /{name} -->")
            text = f"{before}<!-- {name} -->\n{table(json.loads(file.read_text()))}<!-- /{name} -->{after}"
    PAGE.write_text(text)


def _rounds(results: Sequence[Result]) -> str:
    cells = _table(
        ("sites", "array", "sealed", "s, median", "min", "max", "router MB", "coordinator MB", "participant MB", "router CPU s", "load"),
        [
            (
                str(one["sites"]),
                size(one["bytes"]),
                "yes" if one["sealed"] else "",
                *(f"{one[f'seconds_{which}']:.3f}" for which in ("median", "min", "max")),
                *(f"{megabytes:.0f}" for megabytes in one["rss_mb"].values()),
                f"{one['cpu_seconds']['router']:.3f}",
                f"{one['load']:.1f}",
            )
            for one in results
        ],
    )
    phases = _table(
        ("sites", "array", "sealed", *(f"{phase}, s" for phase in results[0]["phases"])),
        [
            (
                str(one["sites"]),
                size(one["bytes"]),
                "yes" if one["sealed"] else "",
                *(f"{seconds:.3f}" for seconds in one["phases"].values()),
            )
            for one in results
        ],
    )
    return f"{cells}\n{phases}"


def _polling(results: Sequence[Result]) -> str:
    rows = [(one["way"], f"{one['seconds']:.3f}", f"{one['times']:.1f}") for one in results]
    return _table(("how sites learn", "seconds a round", "times as long as waiting"), rows)


def _waiting(results: Sequence[Result]) -> str:
    rows = [
        (
            f"{one['waiters']:,}",
            f"{one['rss_mb_with'] - one['rss_mb_without']:.0f}",
            f"{one['kb_a_waiter']:.0f}",
            f"{one['cpu_share']:.1%}",
            f"{one['wake_ms_median']:.0f}",
            f"{one['wake_ms_max']:.0f}",
            f"{one['after_answer_ms_median']:.0f}",
            f"{one['load']:.1f}",
        )
        for one in results
    ]
    heading = ("waiting sites", "MB more", "kB a site", "of a core", "wake ms, median", "max", "after the change's own answer, ms", "load")
    return _table(heading, rows)


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---:"] * len(heading), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


TABLES: dict[str, Callable[[Sequence[Result]], str]] = {"results": _rounds, "polling": _polling, "waiting": _waiting}
