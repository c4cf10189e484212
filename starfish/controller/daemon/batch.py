"""One batch at this site: its folder, its worker, its log lines, and the failures that it may end with."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starfish.controller.config import Home, SiteConfig
from starfish.controller.daemon.decide import Memory
from starfish.controller.daemon.journal import BatchKey, Journal, Level
from starfish.controller.guard import gate
from starfish.controller.guard.errors import Withheld
from starfish.controller.guard.policy import read_policy
from starfish.controller.trust.admission import Trusted
from starfish.controller.trust.wrapping import Wrapping
from starfish.controller.worker.folder import BatchFolder
from starfish.controller.worker.process import Refusal, Worker, WorkerDied
from starfish.protocol.messages import Run
from starfish.protocol.run_state import RunStatus
from starfish.sdk import Client

LONGEST_LINE = 4000
LIVES = 3
"""So often a step is begun with a new worker before the run is given up."""


class RunFailed(Exception):
    """This site's run cannot go on. `public` may leave; `private` is for this site's people.

    `wrapping`: how it may be told where the batch's terms were not accepted; else it is not.
    """

    def __init__(
        self, public: str, *, code: str, private: str | None = None, variable: str | None = None, wrapping: Wrapping | None = None
    ) -> None:
        super().__init__(public)
        self.wrapping = wrapping
        self.public = public
        self.private = private or public
        self.code = code
        self.variable = variable

    @staticmethod
    def withheld(error: Withheld) -> "RunFailed":
        return RunFailed(error.public, code="policy", private=f"{error.private} (rule {error.rule} of policy.yaml)")

    @staticmethod
    def of(refusal: Refusal) -> "RunFailed":
        return RunFailed(refusal.public, code=refusal.code, private=refusal.private, variable=refusal.variable)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the batches of a site share."""

    home: Home
    config: SiteConfig
    client: Client
    journal: Journal
    trusted: Trusted
    start_worker: Callable[[Path, tuple[Path, ...]], Worker] = Worker


class Batch:
    """What all steps of a batch share. Nothing in it is lost with the process but the warm worker."""

    def __init__(self, site: Site, run: Run) -> None:
        self.home, self.config, self.client, self.journal = site.home, site.config, site.client, site.journal
        self.policy = read_policy(site.home.policy_file)
        self.trusted = site.trusted
        self._start_worker = site.start_worker
        self.key: BatchKey = (run.project, run.batch)
        self.folder = BatchFolder(self.home.work(run.project, run.batch))
        self._set_aside_another(run)
        self.folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._unsent = self.folder.path / "public.log"
        self.worker: Worker | None = None
        self.told_at = 0.0
        """When lines were told last, by the monotonic clock."""
        self.digests: dict[Path, str] = {}
        """Of the files that the worker has written, as it says."""
        self.identity = _identity(run)
        self.wrapping: Wrapping | None = None
        """How what leaves and comes is sealed and opened; None until the batch's terms are checked: nothing does either before."""
        self.told: Run | None = None
        self.members: frozenset[str] | None = None
        """Of a sealed batch whose terms were checked: the run as it was told then, and who is in the batch as far as this site knows."""

    @property
    def work(self) -> str:
        return str(self.folder.path)

    @property
    def opened(self) -> Wrapping:
        """For steps that come after the batch's terms were checked."""
        assert self.wrapping is not None
        return self.wrapping

    def memory(self, run: Run) -> Memory:
        """What is on the disk, as `decide` asks for it."""
        binding = self.home.binding(run.project)
        known = self.journal.known(run.id)
        seq, turn = run.position
        previous = previous_position(run)
        return Memory(
            verified=self.wrapping is not None,
            takes_part=not (run.coordinates and binding is not None and binding.source is None),
            failed=known is not None and known.failed,
            restarted=run.status is RunStatus.STANDBY and previous is None and self.journal.prepared(run.id),
            prepared=self.folder.rows.exists() and self.folder.flow.exists() and gate.noted(self.journal, self.key),
            approved=self.approved,
            has_last_model=previous is None or self._is_here(self.folder.model(*previous)),
            has_update=self.folder.update(seq, turn, self.config.uid).exists(),
            updates=frozenset(uid for uid, file in self.folder.updates(seq, turn) if self._is_here(file)),
            told=self.told,
            members=self.members,
        )

    @property
    def approved(self) -> bool:
        """Whether it waits for no person at this site."""
        return gate.cleared(self.journal, self.key)

    def call(self, name: str, **args: Any) -> dict[str, Any]:
        """A step of the worker, begun again where the worker died. Raises WorkerRefused, WorkerEnded, RunFailed."""
        for _ in range(LIVES):
            worker = self._warm((Path(args["source"]),) if "source" in args else ())
            began = time.monotonic()
            try:
                result = worker.call(name, {"work": self.work, **args})
            except WorkerDied as error:
                self.worker = None
                self.log("warning", f"worker_died: {error}; it is started again")
                continue
            self.say(f"{name} took {time.monotonic() - began:.3f} s")
            if "sha256" in result:
                self.digests[Path(result["path"])] = result["sha256"]
            for line in result.get("log", ()):
                self.say(line)
            return result
        raise RunFailed(
            f"The worker process ended unexpectedly {LIVES} times during '{name}'.",
            code="worker-died",
            private=f"The worker process ended unexpectedly {LIVES} times during '{name}'; {self.folder.path / 'worker.log'} says more.",
        )

    def end_worker(self) -> None:
        """May be called from any thread, and more than once."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.end()
            self.journal.worker_ended(self.key)

    def say(self, line: str, level: Level = "info", private: str | None = None) -> None:
        """A public line: states, rounds, durations; never a row. The coordinator reads it; this site's people `private`, if given."""
        line = line.encode("utf-8", "replace").decode().replace("\0", "?").replace("\n", " ")[:LONGEST_LINE]
        with self._unsent.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='milliseconds')} {line}\n")
        self.journal.log(self.key, level, line, private)

    def unsent(self) -> str:
        """The public lines that were not sent yet, as many as go at once."""
        most = self.wrapping.lines_bytes if self.wrapping else 0
        lines = self._unsent.read_bytes() if self._unsent.exists() else b""
        return lines[: lines.rfind(b"\n", 0, most) + 1].decode()

    def sent(self, lines: str) -> None:
        """These have arrived."""
        rest = self._unsent.read_bytes()[len(lines.encode()) :]
        self._unsent.write_bytes(rest)

    def log(self, level: Level, public: str, private: str | None = None) -> None:
        """A line for this site's people."""
        self.journal.log(self.key, level, public, private)

    def _warm(self, reads: tuple[Path, ...]) -> Worker:
        """The worker of the steps before, unless this one reads a file outside the folder that it may not."""
        if self.worker is not None and not set(reads) <= set(self.worker.reads):
            self.end_worker()
        if self.worker is None:
            self.worker = self._start_worker(self.folder.path, reads)
            self.journal.worker_began(self.key, self.worker.pid, self.worker.started)
        return self.worker

    def _is_here(self, file: Path) -> bool:
        return file.exists() and (self.wrapping is None or self.wrapping.knows(file))

    def _set_aside_another(self, run: Run) -> None:
        """A Routing Server that was restored gives the same numbers again: what is here of another batch is kept, and not used."""
        if not self.folder.terms.exists() or self.folder.read_json(self.folder.terms).get("run") == _identity(run):
            return
        number = 1
        while (aside := self.folder.path.with_name(f"{self.folder.path.name}-earlier-{number}")).exists():
            number += 1
        self.folder.path.rename(aside)
        self.journal.log(self.key, "warning", "another_batch_of_this_number: the earlier one's files are kept beside", str(aside))

    def write_terms(self, name: str, description: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], manifest: str | None) -> None:
        """What the batch begins with; later rounds and a restart use the same. `description`: the project's definition."""
        if self.folder.terms.exists():
            return
        terms = {"project": name, "batch": self.key[1], "tasks": list(tasks), "definition": dict(description), "manifest": manifest}
        self.folder.write_json(self.folder.terms, terms | {"run": self.identity})


def _identity(run: Run) -> str:
    """What a restored Routing Server does not give again: a run's id with the moment at which it was made."""
    return f"{run.id} {run.created_at}"


def previous_position(run: Run, position: tuple[int, int] | None = None) -> tuple[int, int] | None:
    """The task and round whose global model a round (the present one) follows; None of the first round of all."""
    seq, turn = position or run.position
    if turn > 1:
        return seq, turn - 1
    if seq == min((int(task["seq"]) for task in run.tasks), default=seq):
        return None
    return seq - 1, int(run.task_at(seq - 1)["config"]["current_round"])
