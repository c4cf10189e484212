"""From texts to values: numbers, days, and what counts as missing. Every rule looks at each distinct text once."""

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime

import numpy as np

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "#null!", "."})
EPOCH = date(1970, 1, 1).toordinal()
ISO_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA_NUMBER = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([.,' \u00a0\u202f’]\d{3})+([.,]\d*)?", re.ASCII)


def is_missing_text(text: str) -> bool:
    """Whether a text says "no value" in any file: empty, NA, N/A, NaN, null or a dot, in any case."""
    return text.casefold() in MISSING


def missing_words(texts: Sequence[str]) -> np.ndarray:
    """`is_missing_text` of each."""
    return np.fromiter(map(MISSING.__contains__, map(str.casefold, texts)), dtype=bool, count=len(texts))


def parse_numbers(texts: Sequence[str], decimal_comma: bool) -> np.ndarray:
    """The finite numbers, NaN where a text is none. Where 1,5 is a number, 1.234 may be a thousand, and is none."""
    quick = _quick(texts, decimal_comma)
    if quick is not None:
        return quick
    return np.array([_number(text, decimal_comma) for text in texts], dtype=np.float64)


def _quick(texts: Sequence[str], decimal_comma: bool) -> np.ndarray | None:
    """All at once, where every text is a plain finite number: what float() reads and people don't write is left to `_number`."""
    joined = "".join(texts)
    if "_" in joined or not joined.isascii() or (decimal_comma and "." in joined):
        return None
    if decimal_comma:
        texts = [text.replace(",", ".") for text in texts]
    try:
        values = np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))
    except ValueError:
        return None
    return values if bool(np.isfinite(values).all()) else None


def _number(text: str, decimal_comma: bool) -> float:
    if decimal_comma and "," in text:
        text = text.replace(",", ".") if COMMA_NUMBER.fullmatch(text) else ""
    elif decimal_comma and looks_like_thousands(text):
        return math.nan
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else math.nan


def looks_like_thousands(text: str) -> bool:
    """1,234 or 1'234 or 1 234.5: a number with separators, which might be something else elsewhere."""
    return THOUSANDS.fullmatch(text) is not None


def day_parser(format: str | None) -> Callable[[str], float]:
    """A function from text to days since 1970-01-01, NaN where the text is no such day; ISO without a format."""
    return _iso_day if format is None else lambda text: _formatted_day(text, format)


def _iso_day(text: str) -> float:
    found = ISO_DAY.fullmatch(text)
    try:
        return float(date.fromisoformat(found.group(1)).toordinal() - EPOCH) if found else math.nan
    except ValueError:
        return math.nan


def _formatted_day(text: str, format: str) -> float:
    try:
        return float(datetime.strptime(text, format).toordinal() - EPOCH)
    except ValueError:
        return math.nan
