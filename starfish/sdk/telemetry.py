"""What a site tells of its run while it works, and how it is read."""

import base64
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from starfish.protocol.messages import ForeignAnswer, LogLines, ProgressReport
from starfish.protocol.problems import TooMany
from starfish.sdk.transport import RouterUnreachable, Transport

T = TypeVar("T", LogLines, ProgressReport)
LINES_BYTES = 64 * 1024
"""Of one request, in UTF-8."""


class TelemetryCalls:
    """Methods raise RouterUnreachable and Problem."""

    _transport: Transport

    def add_lines(self, run_id: int, text: str, *, key: str | None = None) -> None:
        """Lines of this site's log, of any length and in any state of the run; a repeat under the same `key` adds nothing."""
        key = key or str(uuid.uuid4())
        for number, portion in enumerate(portions(text)):
            headers = {"Idempotency-Key": f"{key}.{number}"}
            self._transport.request("POST", f"runs/{run_id}/lines/", json={"lines": portion}, headers=headers)

    def lines(self, run_id: int, *, after: int = 0) -> list[LogLines]:
        """All that the run's site has told since the batch of lines with the id `after`."""
        return list(self._series(LogLines.from_json, f"runs/{run_id}/lines/", after))

    def report_progress(
        self,
        run_id: int,
        *,
        round_seq: int,
        step: str | int,
        fraction: float | None = None,
        metrics: Mapping[str, float] | None = None,
        message: str = "",
        sealed: bytes | None = None,
    ) -> bool:
        """False where it came too soon after the last ones, and was left out. Asked once: the next report tells more.

        `sealed`: in a sealed project, the envelope in which metrics and message are.
        """
        body: dict[str, Any] = {"round": round_seq, "step": step, "fraction": fraction}
        if sealed is None:
            body |= {"metrics": dict(metrics or {}), "message": message}
        else:
            body["sealed"] = base64.b64encode(sealed).decode()
        try:
            self._transport.request("POST", f"runs/{run_id}/progress/", json=body, attempts=1)
        except TooMany:
            return False
        return True

    def progress(self, run_id: int, *, after: int = 0) -> list[ProgressReport]:
        """The run's reports since that with the id `after`; the oldest of very many are gone."""
        return list(self._series(ProgressReport.from_json, f"runs/{run_id}/progress/", after))

    def _series(self, read: Callable[[Any], T], path: str, after: int) -> Iterator[T]:
        """Page by page, until one is empty."""
        while raw := self._transport.json("GET", path, params={"after": after}):
            try:
                page = [read(row) for row in raw]
                if page[0].id <= after:
                    raise ForeignAnswer(f"rows that were not asked for, after {after}")
            except (ForeignAnswer, AttributeError, TypeError) as error:
                raise RouterUnreachable(f"{self._transport.url} does not answer as a Starfish Routing Server: {error}.") from error
            yield from page
            after = page[-1].id


def portions(text: str, size: int = LINES_BYTES) -> Iterator[str]:
    """Text in parts of at most so many bytes, cut between lines where it can be; characters that no router takes are replaced."""
    left = text.encode("utf-8", "replace").replace(b"\0", b"?").strip(b"\n")
    while len(left) > size:
        cut = left.rfind(b"\n", 0, size + 1)
        if cut < 0:
            cut = next(end for end in range(size, 0, -1) if left[end] & 0xC0 != 0x80)  # a character's first byte
        yield left[:cut].decode()
        left = left[cut:].lstrip(b"\n")
    if left:
        yield left.decode()
