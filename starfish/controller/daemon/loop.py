"""The daemon's loop: one thread learns where this site's runs are, and each batch has a thread that decides and performs."""

import logging
import logging.handlers
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from starfish.controller.config import Home
from starfish.controller.daemon.batch import Batch, RunFailed
from starfish.controller.daemon.decide import FAILING, Action, View, decide
from starfish.controller.daemon.journal import BatchKey, Journal
from starfish.controller.daemon.lock import only_daemon
from starfish.controller.daemon.perform import fail, perform
from starfish.controller.errors import HomeError
from starfish.controller.guard.policy import read_policy
from starfish.controller.worker.process import WorkerEnded, WorkerRefused, end_marked, end_tree, mark_of
from starfish.protocol.messages import Run
from starfish.sdk import Client, Conflict, Forbidden, NotFound, Problem, RouterUnreachable, Unauthorized

HEARTBEAT_S = 15.0
IDLE_S, BUSY_S, LONGEST_POLL_S = 2.0, 0.2, 15.0
FIRST_PAUSE_S, LONGEST_PAUSE_S, REFUSED_PAUSE_S = 0.2, 5.0, 5.0
GOODBYE_S = 0.8
log = logging.getLogger("starfish.daemon")


def run(home: Home, *, poll: float | None = None, stop: threading.Event | None = None) -> None:
    """Work until told to stop: by `stop`, SIGTERM or SIGINT. Raises NotNow where another daemon has this home, HomeError."""
    config = home.load()
    read_policy(home.policy_file)
    with only_daemon(home):
        _log_to(home.path / "daemon.log")
        stop = stop or _stop_on_signals()
        with Journal(home.journal_file) as journal:
            daemon = Daemon(home, home.client(), journal, poll=poll or _poll_of_environment(), stop=stop)
            log.info("up site=%s router=%s pid=%d", config.name, config.router, os.getpid())
            daemon.work()
            log.info("down site=%s", config.name)


class Daemon:
    """Learns, and hands what it has learnt to the batches' threads."""

    def __init__(self, home: Home, client: Client, journal: Journal, *, poll: float | None, stop: threading.Event) -> None:
        self.home, self.client, self.journal, self.poll, self.stop = home, client, journal, poll, stop
        self.config, self.policy = home.load(), read_policy(home.policy_file)
        self.threads: dict[BatchKey, BatchThread] = {}
        self._beat_due = 0.0
        self._sizes: dict[BatchKey, int] = {}
        self._patience = Patience(journal)

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
            self._tell(run, active, asked)
        for known in self.journal.unfinished():
            if known.run not in own:
                self._ended(known.run)
        return bool(own)

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
            thread = self.threads[key] = BatchThread(self, own)
            thread.start()
        thread.see(View(own=own, batch=self._whole_batch(own, active)), asked)

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
        goodbye.start()
        _join([goodbye], GOODBYE_S / 2)

    def _say_goodbye(self) -> None:
        try:
            self.client.heartbeat(self.config.uid, connected=False)
        except (RouterUnreachable, Problem) as error:
            log.info("goodbye_failed reason=%r", str(error))
        self.client.close()


class BatchThread(threading.Thread):
    """Takes one batch from step to step, as far as the last look at the Routing Server allows."""

    def __init__(self, daemon: Daemon, own: Run) -> None:
        super().__init__(name=f"batch-{own.project}-{own.batch}", daemon=True)
        self.site, self.first = daemon, own
        self.batch: Batch | None = None
        self._view: View | None = None
        self._changed = threading.Condition()
        self._over = False
        self._asked = self._acted = 0.0
        self._patience = Patience(daemon.journal, (own.project, own.batch))

    def see(self, view: View, asked: float) -> None:
        """What the Routing Server said when it was asked. A stop ends the worker at once, whatever it is doing."""
        with self._changed:
            self._view, self._asked = view, asked
            self._changed.notify()
        if (view.own.status in FAILING or view.broken) and self.batch is not None:
            self.batch.end_worker()

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        if self.batch is not None:
            self.batch.end_worker()

    def run(self) -> None:
        while (view := self._next()) is not None:
            self._patience.around(partial(self._advance, view))
            if self._patience.pause:
                self.site.stop.wait(self._patience.pause)
        if self.batch is not None:
            self.batch.end_worker()

    def _next(self) -> View | None:
        """The newest view, once there is one that is newer than this thread's own last move."""
        with self._changed:
            while (self._view is None or self._asked < self._acted) and not self._over:
                self._changed.wait()
            view, self._view = self._view, None
            return None if self._over else view

    def _advance(self, view: View) -> bool:
        """Step after step until others are to be waited for."""
        if self.batch is None:
            site = self.site
            self.batch = Batch(site.home, site.config, site.client, site.journal, site.policy, self.first)
        batch = self.batch
        while not self._over and (action := decide(view, batch.memory(view.own))) is not None:
            log.info("%s project=%d batch=%d task=%d round=%d", action.name.lower(), *batch.key, *view.own.position)
            try:
                after = perform(action, batch, view)
            except (RunFailed, WorkerRefused) as error:
                reason = error if isinstance(error, RunFailed) else RunFailed.of(error.refusal)
                fail(batch, view.own, reason)
                return True
            except (WorkerEnded, Conflict) as error:
                log.info("look_again project=%d batch=%d reason=%r", *batch.key, str(error))
                return True
            if after is not view.own:
                self._acted = time.monotonic()
            self._over = self._over or action in (Action.FINISH, Action.CLOSE)
            if after is None:
                return True
            view = view.moved(after, action)
        return True


class Patience:
    """What to do about errors that time may mend: say it once, wait longer each time."""

    def __init__(self, journal: Journal, key: BatchKey | None = None) -> None:
        self.journal, self.key = journal, key
        self.pause = 0.0
        self.errors = 0
        self._said: str | None = None

    def around(self, work: Callable[[], bool]) -> bool:
        """The result of `work`, or False; `pause` is how long to wait before the next try."""
        try:
            result = work()
        except RouterUnreachable as error:
            self._wait(str(error), min(max(self.pause * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S))
        except (Unauthorized, Forbidden) as error:
            self._wait(f"The Routing Server refuses this site: {error}. Its operator can say why.", REFUSED_PAUSE_S)
        except Problem as error:
            self._wait(f"The Routing Server refuses: {error}", min(max(self.pause * 2, FIRST_PAUSE_S), LONGEST_PAUSE_S))
        except Exception as error:  # the loop's edge: whatever it is, the site stays up and says so
            self.errors += 1
            log.exception("internal_error count=%d", self.errors)
            self._wait(f"Internal error {type(error).__name__}: {error} (daemon.log has more).", LONGEST_PAUSE_S)
        else:
            if self._said is not None:
                self.journal.log(self.key, "info", "The Routing Server answers again.")
            self._said, self.pause = None, 0.0
            return result
        return False

    def _wait(self, reason: str, pause: float) -> None:
        self.pause = pause
        if reason != self._said:
            log.warning("waiting reason=%r", reason)
            with suppress(sqlite3.Error):  # a full disk is a reason too
                self.journal.log(self.key, "warning", reason)
        self._said = reason


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


def _log_to(path: Path) -> None:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=5_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    path.chmod(0o600)
    logger = logging.getLogger("starfish")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
