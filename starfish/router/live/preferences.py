"""`Prefer` (RFC 7240): how long a client waits, and how much it wants to be told. What can't be read is ignored, as the RFC has it."""

import re
from dataclasses import dataclass

LONGEST_WAIT_S = 55.0


@dataclass(frozen=True, kw_only=True)
class Preferences:
    """`wait` in seconds, 0 for an answer at once; `minimal`: without the files of rounds that are over."""

    wait: float = 0.0
    minimal: bool = False

    @classmethod
    def of(cls, header: str) -> "Preferences":
        told: dict[str, str] = {}
        for part in header.split(",")[:20]:
            name, _, value = part.partition(";")[0].partition("=")
            told.setdefault(name.strip().lower(), value.strip().strip('"'))
        wait = told.get("wait", "")
        seconds = float(wait) if re.fullmatch("[0-9]{1,6}", wait) else 0.0
        return cls(wait=min(seconds, LONGEST_WAIT_S), minimal=told.get("return") == "minimal")

    def applied(self, *, waited: bool) -> dict[str, str]:
        """The answer's `Preference-Applied`."""
        parts = ["return=minimal"] * self.minimal + [f"wait={self.wait:.0f}"] * bool(self.wait and waited)
        return {"Preference-Applied": ", ".join(parts)} if parts else {}


def same_etag(known: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names it; compared weakly, as a GET's is (RFC 9110)."""
    if known is None:
        return False
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in known.split(","))
