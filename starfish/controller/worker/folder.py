"""The folder of one batch at one site: what is in it, and under which name.

terms.json                          the project's tasks and definition, as the batch began with them
rows.payload  flow.json             the frozen analysis rows, and how many rows went where
rows.marks  rows-{seq}.marks        a mark for each of these rows; for each that a task uses, where these are not all
limits.json                         the numbers by which the site holds back in this batch
updates/{seq}-{round}/{uid}.update  this site's update; at the coordinator everybody's
models/{seq}-{round}.model          the global model that the round ended with
report.json                         the report, once the batch is over
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starfish.controller.files import Written, write_durably, write_json, write_pieces
from starfish.tasks.payload import Payload

LARGE = 1 << 20


@dataclass(frozen=True)
class BatchFolder:
    """Paths of a batch's files; writing is durable before it returns."""

    path: Path

    @property
    def terms(self) -> Path:
        return self.path / "terms.json"

    @property
    def rows(self) -> Path:
        return self.path / "rows.payload"

    @property
    def marks(self) -> Path:
        return self.path / "rows.marks"

    @property
    def flow(self) -> Path:
        return self.path / "flow.json"

    def task_marks(self, task_seq: int) -> Path:
        return self.path / f"rows-{task_seq}.marks"

    def marks_apart(self) -> dict[int, bytes]:
        """Of the tasks, by seq, that do not use all rows."""
        return {int(file.stem.removeprefix("rows-")): file.read_bytes() for file in sorted(self.path.glob("rows-*.marks"))}

    @property
    def limits(self) -> Path:
        return self.path / "limits.json"

    @property
    def report(self) -> Path:
        return self.path / "report.json"

    def update(self, task_seq: int, round_seq: int, site: str) -> Path:
        return self.path / "updates" / f"{task_seq}-{round_seq}" / f"{site}.update"

    def model(self, task_seq: int, round_seq: int) -> Path:
        return self.path / "models" / f"{task_seq}-{round_seq}.model"

    def updates(self, task_seq: int, round_seq: int) -> Iterator[tuple[str, Path]]:
        """`(site uid, file)` of every update of a round, in ascending order of uid: the order of summation."""
        folder = self.update(task_seq, round_seq, "any").parent
        with suppress(FileNotFoundError):
            for name in sorted(name.removesuffix(".update") for name in os.listdir(folder) if name.endswith(".update")):
                yield name, folder / f"{name}.update"

    def last_model(self, task_seq: int) -> tuple[int, Path] | None:
        """The last round of a task of which the global model is here, and its file."""
        rounds = [int(file.stem.split("-")[1]) for file in (self.path / "models").glob(f"{task_seq}-*.model")]
        return (max(rounds), self.model(task_seq, max(rounds))) if rounds else None

    def let_go(self, task_seq: int, round_seq: int, site: str) -> None:
        """The large files of rounds that are over: models but the last three, and what others sent. A hundred such would fill a disk.

        The Routing Server has them. What this site itself has sent stays, and round 1's updates, of which the report tells.
        """
        old = [self.model(task_seq, round_seq - 3)]
        if round_seq > 2:
            old += [file for uid, file in self.updates(task_seq, round_seq - 1) if uid != site]
        for file in old:
            with suppress(FileNotFoundError):
                if file.stat().st_size > LARGE:
                    file.unlink()

    @staticmethod
    def write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, data)

    @staticmethod
    def write_payload(path: Path, payload: Payload) -> Written:
        """As it is written, its digest is taken."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_pieces(path, payload.pieces())

    @staticmethod
    def write_json(path: Path, value: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, value)

    @staticmethod
    def read_json(path: Path) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(path.read_bytes())
        return value
