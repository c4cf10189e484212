"""CSV files as hospitals have them: any delimiter, a BOM, Windows-1252, decimal commas, quoted newlines, with headers or without."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NoReturn

import numpy as np

from starfish.controller.data.errors import DataError
from starfish.controller.data.sources import Table
from starfish.controller.data.values import is_missing_text

DELIMITERS = (",", ";", "\t", "|")
SAMPLE, SAMPLE_SIZE = 200, 1_000_000
CHUNK = 300  # few enough rows at a time that the garbage collector sleeps
MANY = 2_000
SIGNATURES = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF document",
    b"\x1f\x8b": "a compressed file",
    b"$FL2": "an SPSS file",
}
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
A_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?", re.ASCII)
A_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+", re.ASCII)
A_COMMA_FRACTION = re.compile(r"[+-]?(0?,\d+|\d{4,},\d+|\d+,(\d{1,2}|\d{4,}))", re.ASCII)

Record = tuple[int, list[str]]
"""The line in which a record begins, and its cells."""


def read_csv(path: Path) -> Table:
    """Read a CSV file. Raises DataError."""
    text = _text(path)
    delimiter = _delimiter(path, text)
    records = _records(path, text, delimiter)
    first = next(records, None)
    if first is None:
        raise DataError("The dataset's file is empty.", private=f"{path} is empty: it has neither a header nor rows.", code="empty-file")
    names, headless = _names(path, first[1])
    columns, lines = _columns(path, names, _with(first, records) if headless else records)
    if not lines:
        raise DataError("The dataset has a header and no rows.", private=f"{path} has a header and no rows.", code="no-rows")
    named = {name: cells for name, cells in zip(names, columns, strict=True) if name}
    return Table(
        columns=named,
        n=len(lines),
        source=str(path),
        lines=np.array(lines, dtype=np.int64),
        decimal_comma=delimiter != "," and _has_decimal_comma(columns, A_COMMA_NUMBER if delimiter == ";" else A_COMMA_FRACTION),
    )


def _text(path: Path) -> str:
    if path.is_char_device() or path.is_block_device():
        raise DataError("The dataset is a device, not a file.", private=f"{path} is a device, not a file; name a CSV file.")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError("The dataset's file is missing.", private=f"There is no file {path}.", code="no-file") from None
    except IsADirectoryError:
        raise DataError("The dataset is a folder, not a file.", private=f"{path} is a folder; name the CSV file in it.") from None
    except OSError as error:
        raise DataError("The dataset's file can't be read.", private=f"{path} can't be read: {error.strerror}.", code="no-file") from None
    kind = next((kind for signature, kind in SIGNATURES.items() if data.startswith(signature)), None)
    if kind is not None:
        _not_csv(path, kind)
    text = _decoded(path, data).rstrip("\x1a")
    if CONTROL.search(text):
        _not_csv(path, "a binary file")
    return text


def _decoded(path: Path, data: bytes) -> str:
    """UTF-8 or UTF-16 with a mark, else UTF-8, else Windows-1252."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return _not_csv(path, "neither UTF-8 nor Windows-1252 text")


def _not_csv(path: Path, kind: str) -> NoReturn:
    raise DataError(
        f"The dataset's file is {kind}, not CSV.", private=f"{path} is {kind}, not CSV. Save or export it as CSV.", code="not-csv"
    )


def _delimiter(path: Path, text: str) -> str:
    """What cuts each of the first rows as often as the header (a comma last: it may be decimal); else what cuts the header most."""
    ranked = []
    for delimiter in DELIMITERS:
        widths = [len(cells) for _, cells in _until_broken(_records(path, text[:SAMPLE_SIZE], delimiter))]
        if widths:
            even = widths[0] > 1 and all(width >= widths[0] for width in widths[:-1])
            ranked.append((even, even and delimiter != ",", widths[0], delimiter))
    return max(ranked, key=lambda rank: rank[:3])[3] if ranked else ","


def _until_broken(records: Iterator[Record]) -> Iterator[Record]:
    """The first records of a sample, which may end within a cell."""
    with suppress(DataError):
        yield from islice(records, SAMPLE)


def _records(path: Path, text: str, delimiter: str) -> Iterator[Record]:
    """The file's records that have anything in them. Raises DataError."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    begins = 1
    try:
        for cells in reader:
            if any(cells):
                yield begins, cells
            begins = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            "The dataset's file is not well-formed CSV.",
            private=f"{path}, line {begins}: {error}. A quotation mark may be missing its partner.",
            code="not-csv",
        ) from None


def _names(path: Path, cells: list[str]) -> tuple[list[str], bool]:
    """The columns' names, and whether they were made up because the first record is numbers alone."""
    cells = [cell.strip() for cell in cells]
    filled = [cell for cell in cells if not is_missing_text(cell)]
    if filled and all(A_NUMBER.fullmatch(cell) for cell in filled):
        return [*(f"x{number}" for number in range(1, len(cells))), "y"], True
    twice = sorted({cell for cell in cells if cell and cells.count(cell) > 1})
    if twice:
        raise DataError(
            "The dataset has several columns of the same name.",
            private=f"{path} has several columns called {', '.join(repr(name) for name in twice)}; rename them.",
            code="duplicate-header",
        )
    if not any(cells):
        raise DataError("The dataset's columns have no names.", private=f"{path}: the header names no column.", code="no-header")
    return cells, False


def _with(first: Record, records: Iterator[Record]) -> Iterator[Record]:
    yield first
    yield from records


def _columns(path: Path, names: list[str], records: Iterator[Record]) -> tuple[list[list[str]], list[int]]:
    """The cells by column, and the lines of the rows. Raises DataError for rows of another width."""
    columns: list[list[str]] = [[] for _ in names]
    known: list[dict[str, str]] = [{} for _ in names]
    lines: list[int] = []
    while chunk := list(islice(records, CHUNK)):
        rows = [cells for _, cells in chunk]
        if any(len(cells) != len(names) for cells in rows):
            rows = [_fitted(path, line, cells, len(names)) for line, cells in chunk]
        for column, texts, cells in zip(columns, known, zip(*rows, strict=True), strict=True):
            column.extend(_shared(cells, texts))
        lines.extend(line for line, _ in chunk)
    return columns, lines


def _shared(cells: Sequence[str], known: dict[str, str]) -> Iterable[str]:
    """The stripped cells; of a column that repeats itself, each text once, which saves most of the memory."""
    if len(known) > MANY:
        return map(str.strip, cells)
    return [known.setdefault(cell, cell) for cell in map(str.strip, cells)]


def _fitted(path: Path, line: int, cells: list[str], width: int) -> list[str]:
    """The row, without empty cells beyond the header."""
    if len(cells) < width or any(cells[width:]):
        raise DataError(
            "A row of the dataset has more or fewer cells than the header.",
            private=f"{path}, line {line}: this row has {len(cells)} cells and the header {width}.",
            code="ragged",
        )
    return cells[:width]


def _has_decimal_comma(columns: list[list[str]], sure: re.Pattern[str]) -> bool:
    """Whether some cell is a number with a decimal comma. Between semicolons 1,234 is one; elsewhere it may be a thousand."""
    return any("," in cell and sure.fullmatch(cell) for cells in columns for cell in cells)
