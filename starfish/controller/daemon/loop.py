"""The daemon's loop: one thread learns where this site's runs are, and each batch has a thread that decides and performs.

Learning is waiting: the Routing Server answers as soon as something is new. With STARFISH_POLL_S it is asked plainly every so many
seconds instead, as behind a proxy that allows no long request.
"""

import logging
import logging.handlers
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from starfish.controller.config import Home
from starfish.controller.daemon.batch import Site
from starfish.controller.daemon.journal import BatchKey, KnownRun
from starfish.controller.daemon.lock import only_daemon
from starfish.controller.daemon.oldkeys import OldKeys
from starfish.controller.daemon.patience import Patience
from starfish.controller.daemon.thread import BatchThread
from starfish.controller.daemon.token import TokenKeeper
from starfish.controller.errors import HomeError
from starfish.controller.guard.policy import read_policy
from starfish.controller.trust.admission import Trusted
from starfish.controller.worker.process import end_marked, end_tree, mark_of
from starfish.protocol.messages import Listing, Run
from starfish.sdk import NotFound, Problem, RouterUnreachable

HEARTBEAT_S = 15.0
WAIT_S, QUIET_S, LONGEST_POLL_S = 25.0, 0.3, 15.0
GOODBYE_S = 0.8
log = logging.getLogger("starfish.daemon")


def run(home: Home, *, stop: threading.Event | None = None, starting: Callable[[], None] = lambda: None) -> None:
    """Work until told to stop: by `stop`, SIGTERM or SIGINT. `starting` is called once nothing can prevent it.

    Raises NotNow where another daemon has this home, HomeError.
    """
    os.umask(0o077)  # the home is its user's alone, in a copy too
    config = home.load()
    read_policy(home.policy_file)  # each batch reads the file that is there when it begins; a site does not come up with a wrong one
    with only_daemon(home), _log_to(home.path / "daemon.log"):
        stop = stop or _stop_on_signals()
        with home.journal() as journal, home.trust() as store:
            client = home.client()
            trusted = Trusted(client=client, store=store, keys=home.keys)
            site = Site(home=home, config=config, client=client, journal=journal, trusted=trusted)
            daemon = Daemon(site, poll=_poll_of_environment(), stop=stop)
            starting()
            log.info("up site=%s router=%s pid=%d", config.name, config.router, os.getpid())
            daemon.work()
            log.info("down site=%s", config.name)


class Daemon:
    """Learns, and hands what it has learnt to the batches' threads."""

    def __init__(self, site: Site, *, poll: float | None, stop: threading.Event) -> None:
        self.site, self.poll, self.stop = site, poll, stop
        self.home, self.config, self.client, self.journal = site.home, site.config, site.client, site.journal
        self.threads: dict[BatchKey, BatchThread] = {}
        self._lock = threading.RLock()
        self._known: Listing | None = None
        self._stepped = 0.0
        self._beat_due = 0.0
        self._old_keys = OldKeys(self.home)
        self._token = TokenKeeper(self.home, self.config, self.client)
        self._patience = Patience(self.journal)
        self._patience_with: dict[BatchKey, Patience] = {}

    def work(self) -> None:
        """Until told to stop. A Routing Server that hangs holds up the learning thread alone, not the end."""
        self._end_leftovers()
        learning = threading.Thread(target=self._keep_learning, name="learning", daemon=True)
        learning.start()
        self.stop.wait()
        self._leave()

    def _keep_learning(self) -> None:
        while not self.stop.is_set():
            if self._patience.around(self._learn) is None:
                self._known, self._beat_due = None, 0.0
                self.stop.wait(self._patience.pause)
            else:
                self.stop.wait(self.poll or 0)

    def _learn(self) -> bool:
        """One look at the Routing Server, which may take as long as nothing happens there. True, for whoever asks whether it went well."""
        self._token.look()
        self._old_keys.look()
        if time.monotonic() >= self._beat_due:
            self.client.heartbeat(self.config.uid)
            self._beat_due = time.monotonic() + HEARTBEAT_S if self.poll else math.inf  # to wait is a sign of life
        self._until_quiet()
        known, asked = self._known, time.monotonic()
        if self.poll or known is None:
            listing = self.client.active_runs(self.config.uid)
        else:
            listing = self.client.active_runs(self.config.uid, known=known.etag, wait=WAIT_S)
        if listing is not None and not self.stop.is_set():
            self.heard(listing, asked)
        return True

    def _until_quiet(self) -> None:
        """As long as a thread moves runs by itself its answers tell what is new; but a stop must be heard of during a long training."""
        deadline = time.monotonic() + QUIET_S
        with self._lock:
            self.threads = {key: thread for key, thread in self.threads.items() if thread.is_alive()}
            threads = list(self.threads.values())
        for thread in threads:
            thread.idle.wait(max(0.0, deadline - time.monotonic()))

    def heard(self, listing: Listing, asked: float, source: BatchThread | None = None) -> None:
        """Hand on what the Routing Server said when it was asked: by this thread, or in answer to a step of `source`.

        An answer to a question that was asked before the last step is of before it: it is dropped, and asked again.
        """
        with self._lock:
            if source is None and asked < self._stepped:
                return
            self._known = listing
            self._stepped = max(self._stepped, asked) if source else self._stepped
        own = {run.id: run for run in listing.runs if run.site_uid == self.config.uid}
        for run in own.values():
            if source is None or run.id != source.first.id:
                self._alone((run.project, run.batch), partial(self._tell, run, listing))
        if source is None:
            for known in self.journal.unfinished():
                if known.run not in own:
                    self._alone((known.project, known.batch), partial(self._ended, known, listing))

    def _alone(self, key: BatchKey, work: Callable[[], None]) -> None:
        """What goes wrong with one batch is said there, and holds up no other."""
        self._patience_with.setdefault(key, Patience(self.journal, key)).around(work)

    def _tell(self, own: Run, listing: Listing) -> None:
        key = (own.project, own.batch)
        with self._lock:
            thread = self.threads.get(key)
            if thread is None or not thread.is_alive():
                self.journal.take_up(own.id, key, coordinates=own.coordinates)
                thread = self.threads[key] = BatchThread(self.site, self.stop, own, self.heard)
                thread.start()
        thread.see(listing)

    def _ended(self, known: KnownRun, listing: Listing) -> None:
        """A run that was live and is no longer listed."""
        with self._lock:
            thread = self.threads.get((known.project, known.batch))
        if thread is not None and thread.is_alive():
            thread.see(listing)
            return
        try:
            self._tell(self.client.run(known.run), listing)
        except NotFound:
            self.journal.mark(known.run, finished=True)

    def _end_leftovers(self) -> None:
        """Workers that a killed daemon left behind."""
        end_marked(self.home.batches)
        for key, pid, started in self.journal.workers():
            end_tree(pid, started, mark_of(self.home.work(*key)))
            self.journal.worker_ended(key)

    def _leave(self) -> None:
        """In time, whatever hangs: nothing that counts is in memory alone."""
        threads = list(self.threads.values())
        for thread in threads:
            thread.end()
        goodbye = threading.Thread(target=self._say_goodbye, name="goodbye", daemon=True)
        _join(threads, GOODBYE_S)
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


def _join(threads: Sequence[threading.Thread], within: float) -> None:
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
