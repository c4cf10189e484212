"""Where rows come from. Every kind of source yields the same Table of texts; what they mean is typing's affair."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starfish.controller.data.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Table:
    """A source as it stands: every cell a stripped text, every column of length `n`.

    `lines` says in which line (1-based) of the source each row begins; `decimal_comma` whether 1,5 may be one and a half.
    """

    columns: dict[str, list[str]]
    n: int
    source: str
    lines: np.ndarray
    decimal_comma: bool = False


NOT_YET = {
    ".xlsx": "an Excel workbook",
    ".xls": "an Excel workbook",
    ".ods": "a spreadsheet",
    ".parquet": "a Parquet file",
    ".sqlite": "an SQLite database",
    ".sqlite3": "an SQLite database",
    ".db": "a database",
    ".sav": "an SPSS file",
    ".dta": "a Stata file",
    ".sas7bdat": "a SAS file",
    ".rds": "an R file",
    ".zip": "an archive",
    ".gz": "an archive",
}


def read_source(source: str | Path) -> Table:
    """Read a source whole. Raises DataError, whose public sentence names neither file nor value."""
    if "://" in str(source):
        raise DataError("The dataset is a database, which can't be read yet; export the query as CSV.", private=f"{source}: {_ONLY_CSV}")
    path = Path(source).expanduser()
    return _reader(path)(path)


def _reader(path: Path) -> Callable[[Path], Table]:
    from starfish.controller.data.csv_source import read_csv

    kind = NOT_YET.get(path.suffix.lower())
    if kind is not None:
        raise DataError(f"The dataset's file is {kind}, which can't be read yet.", private=f"{path} is {kind}. {_ONLY_CSV}")
    return read_csv


_ONLY_CSV = "Only CSV files can be read; export or save it as CSV."
