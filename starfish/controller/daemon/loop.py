"""The daemon's loop: one thread learns where this site's runs are, and each batch has a thread that decides and performs."""

import logging
import logging.handlers
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from starfish.controller.config import Home
from starfish.controller.daemon.batch import Site
from starfish.controller.daemon.decide import View
from starfish.controller.daemon.journal import BatchKey, Journal
from starfish.controller.daemon.lock import only_daemon
from starfish.controller.daemon.patience import Patience
from starfish.controller.daemon.thread import BatchThread
from starfish.controller.errors import HomeError
from starfish.controller.guard.policy import read_policy
from starfish.controller.worker.process import end_marked, end_tree, mark_of
from starfish.protocol.messages import Run
from starfish.sdk import NotFound, Problem, RouterUnreachable

HEARTBEAT_S = 15.0
IDLE_S, BUSY_S, LONGEST_POLL_S = 2.0, 0.2, 15.0
GOODBYE_S = 0.8
log = logging.getLogger("starfish.daemon")


def run(home: Home, *, poll: float | None = None, stop: threading.Event | None = None) -> None:
    """Work until told to stop: by `stop`, SIGTERM or SIGINT. Raises NotNow where another daemon has this home, HomeError."""
    config, policy = home.load(), read_policy(home.policy_file)
    with only_daemon(home), _log_to(home.path / "daemon.log"):
        stop = stop or _stop_on_signals()
        with Journal(home.journal_file) as journal:
            site = Site(home=home, config=config, client=home.client(), journal=journal, policy=policy)
            daemon = Daemon(site, poll=poll or _poll_of_environment(), stop=stop)
            log.info("up site=%s router=%s pid=%d", config.name, config.router, os.getpid())
            daemon.work()
            log.info("down site=%s", config.name)


class Daemon:
    """Learns, and hands what it has learnt to the batches' threads."""

    def __init__(self, site: Site, *, poll: float | None, stop: threading.Event) -> None:
        self.site, self.poll, self.stop = site, poll, stop
        self.home, self.config, self.client, self.journal = site.home, site.config, site.client, site.journal
        self.threads: dict[BatchKey, BatchThread] = {}
        self._beat_due = 0.0
        self._sizes: dict[BatchKey, int] = {}
        self._patience = Patience(self.journal)
        self._patience_with: dict[BatchKey, Patience] = {}

    def work(self) -> None:
        """Until told to stop. A Routing Server that hangs holds up the learning thread alone, not the end."""
        self._end_leftovers()
        learning = threading.Thread(target=self._keep_learning, name="learning", daemon=True)
        learning.start()
        self.stop.wait()
        self._leave(learning)

    def _keep_learning(self) -> None:
        while not self.stop.is_set():
            busy = self._patience.around(self._learn)
            self.stop.wait(self._patience.pause or self.poll or (BUSY_S if busy else IDLE_S))

    def _learn(self) -> bool:
        """One look at the Routing Server; whether a run of this site is live."""
        self.threads = {key: thread for key, thread in self.threads.items() if thread.is_alive()}
        if time.monotonic() >= self._beat_due:
            self.client.heartbeat(self.config.uid)
            self._beat_due = time.monotonic() + HEARTBEAT_S
        asked = time.monotonic()
        active = self.client.active_runs(self.config.uid)
        own = {run.id: run for run in active if run.site_uid == self.config.uid}
        for run in own.values():
            self.journal.take_up(run.id, (run.project, run.batch), coordinates=run.coordinates)
            self._alone((run.project, run.batch), partial(self._tell, run, active, asked))
        for known in self.journal.unfinished():
            if known.run not in own:
                self._alone((known.project, known.batch), partial(self._ended, known.run))
        return bool(own)

    def _alone(self, key: BatchKey, work: Callable[[], None]) -> None:
        """What goes wrong with one batch is said there, and holds up no other."""
        self._patience_with.setdefault(key, Patience(self.journal, key)).around(work)

    def _ended(self, run_id: int) -> None:
        """A run that was live and is no longer listed."""
        asked = time.monotonic()
        try:
            self._tell(self.client.run(run_id), [], asked)
        except NotFound:
            self.journal.mark(run_id, finished=True)

    def _tell(self, own: Run, active: list[Run], asked: float) -> None:
        key = (own.project, own.batch)
        thread = self.threads.get(key)
        if thread is None or not thread.is_alive():
            thread = self.threads[key] = BatchThread(self.site, self.stop, own)
            thread.start()
        batch = self._whole_batch(own, active)
        thread.see(View(own=next((run for run in batch if run.id == own.id), own), batch=batch), asked)

    def _whole_batch(self, own: Run, active: list[Run]) -> list[Run]:
        """All runs of the batch for its coordinator; runs that have ended are asked for only where some are missing."""
        if not own.coordinates:
            return [own]
        key = (own.project, own.batch)
        listed = [run for run in active if (run.project, run.batch) == key]
        if len(listed) == self._sizes.get(key):
            return listed
        whole = self.client.batch_runs(own.project, own.batch, self.config.uid)
        self._sizes[key] = len(whole)
        return whole

    def _end_leftovers(self) -> None:
        """Workers that a killed daemon left behind."""
        end_marked(self.home.batches)
        for key, pid, started in self.journal.workers():
            end_tree(pid, started, mark_of(self.home.work(*key)))
            self.journal.worker_ended(key)

    def _leave(self, learning: threading.Thread) -> None:
        """In time, whatever hangs: nothing that counts is in memory alone."""
        threads = list(self.threads.values())
        for thread in threads:
            thread.end()
        goodbye = threading.Thread(target=self._say_goodbye, name="goodbye", daemon=True)
        _join([learning, *threads], GOODBYE_S)
        end_marked(self.home.batches)
        goodbye.start()
        _join([goodbye], GOODBYE_S / 2)

    def _say_goodbye(self) -> None:
        try:
            self.client.heartbeat(self.config.uid, connected=False)
        except (RouterUnreachable, Problem) as error:
            log.info("goodbye_failed reason=%r", str(error))
        self.client.close()


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Not in the handler itself: the thread that it interrupts may hold the event's lock.
        signal.signal(number, lambda *_: threading.Thread(target=stop.set).start())
    return stop


def _poll_of_environment() -> float | None:
    """Raises HomeError."""
    text = os.environ.get("STARFISH_POLL_S", "")
    try:
        seconds = float(text) if text else None
    except ValueError:
        seconds = -1.0
    if seconds is not None and not 0 < seconds <= LONGEST_POLL_S:
        raise HomeError(f"STARFISH_POLL_S is {text!r}; it must be a number of seconds above 0 and up to {LONGEST_POLL_S:.0f}.")
    return seconds


def _join(threads: list[threading.Thread], within: float) -> None:
    deadline = time.monotonic() + within
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=5_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    path.chmod(0o600)
    logger = logging.getLogger("starfish")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
