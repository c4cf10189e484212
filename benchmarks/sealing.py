"""Sealing and opening: `python -m benchmarks.sealing [--megabytes 2048]`. How fast on one core, and by how much the memory grows.

The bytes come from memory and go through a file on the repository's disk; the processor's seconds are this process's, the system's for
the file included. `--results` names another file than benchmarks/sealing.json.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.processes import load, resident_mb, scratch
from starfish.sealing.envelope import Context, Expectation, open_bytes, open_file, seal, seal_bytes
from starfish.sealing.keys import SiteKeys, new_keys

RESULTS = Path(__file__).with_name("sealing.json")
PIECE, SMALL, REPEATS = 1 << 16, 1000, 1000
LEAST_MB_S, ALLOWED_MB, ALLOWED_MS = 300.0, 50.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`_mb_s`: megabytes of content in a second of one core; `_ms`: for 1 kB; `memory_mb`: the peak above idle."""

    megabytes: int
    sealing_mb_s: float
    opening_mb_s: float
    sealing_ms: float
    opening_ms: float
    memory_mb: float
    load: float

    @property
    def good(self) -> bool:
        fast = min(self.sealing_mb_s, self.opening_mb_s) >= LEAST_MB_S
        return fast and self.memory_mb <= ALLOWED_MB and max(self.sealing_ms, self.opening_ms) < ALLOWED_MS


class Source:
    """Bytes that cost nothing to make: one piece of chance, again and again."""

    def __init__(self, size: int) -> None:
        self.piece, self.left = os.urandom(PIECE), size

    def read(self, size: int) -> bytes:
        part = self.piece[: min(size, self.left)]
        self.left -= len(part)
        return part


def main() -> int:
    """0 where speed and memory are within their bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with scratch() as folder:
        measured = measure(arguments.megabytes, folder)
    arguments.results.write_text(json.dumps(asdict(measured), indent=1) + "\n")
    print(f"{measured.megabytes} MB: sealed at {measured.sealing_mb_s:.0f} MB/s, opened at {measured.opening_mb_s:.0f} MB/s")
    print(f"1 kB: sealed in {measured.sealing_ms:.2f} ms, opened in {measured.opening_ms:.2f} ms")
    print(f"The memory grew by {measured.memory_mb:.1f} MB.")
    return 0 if measured.good else 1


def measure(megabytes: int, folder: Path) -> Measured:
    """Small ones first: after them the process is as it is when it idles."""
    coordinator, sender = (new_keys(uid=f"00000000-0000-4000-8000-{n:012}", name=f"Site {n}", created=datetime.now(UTC)) for n in (1, 2))
    place = {"project": "0" * 32, "manifest": "0" * 64, "batch": "0" * 64, "task": 1, "round": 1, "kind": "update"}
    context, expected = Context(**place, sender=sender.card.hash), Expectation(**place, sender=sender.card)
    recipients, content = [coordinator.card.recipient, sender.card.recipient], os.urandom(SMALL)
    envelope = seal_bytes(content, context, recipients, sender.signing)
    sealing = _seconds(lambda: seal_bytes(content, context, recipients, sender.signing), REPEATS)
    opening = _seconds(lambda: open_bytes(envelope, [coordinator.identity], expected), REPEATS)
    idle, size = resident_mb(os.getpid()), megabytes * 10**6
    file = folder / "envelope"
    sealed = _seconds(lambda: _seal_to(file, size, context, recipients, sender))
    opened = _seconds(lambda: open_file(file, folder / "content", [coordinator.identity], expected))
    return Measured(
        megabytes=megabytes,
        sealing_mb_s=round(megabytes / sealed, 1),
        opening_mb_s=round(megabytes / opened, 1),
        sealing_ms=round(sealing * 1000, 3),
        opening_ms=round(opening * 1000, 3),
        memory_mb=round(resident_mb(os.getpid(), "VmHWM") - idle, 1),
        load=round(load(), 2),
    )


def _seal_to(path: Path, size: int, context: Context, recipients: list[str], sender: SiteKeys) -> None:
    with path.open("wb", buffering=0) as target:
        seal(Source(size), target, context, recipients, sender.signing)


def _seconds(act: Callable[[], object], repeats: int = 1) -> float:
    """Of one core, for one time."""
    began = time.process_time()
    for _ in range(repeats):
        act()
    return (time.process_time() - began) / repeats


if __name__ == "__main__":
    sys.exit(main())
