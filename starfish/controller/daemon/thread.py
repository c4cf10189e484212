"""A batch's thread: it decides and performs, step after step, so that a long training holds up nothing else."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from starfish.controller.daemon.batch import Batch, RunFailed, Site
from starfish.controller.daemon.decide import FAILING, Action, View, decide
from starfish.controller.daemon.patience import Patience
from starfish.controller.daemon.perform import fail, perform
from starfish.controller.guard.errors import Withheld
from starfish.controller.worker.process import WorkerEnded, WorkerRefused
from starfish.protocol.messages import Listing, Run
from starfish.protocol.run_state import RunStatus as S
from starfish.sdk import Conflict, NotFound
from starfish.sdk.client import Stepped

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 1.0
"""Before looking again at a run that was not where it was thought to be."""
LINGER_S = 0.3
"""So long a coordinator that is done waits for the others before it says so: in a quick round its moves go with the aggregation's."""
APPROVAL_S = 0.5
"""How often the journal is asked whether a person has approved."""
LAST = (Action.FAIL, Action.FINISH, Action.CLOSE)
DESTRUCTIVE = (Action.RESET, Action.BEGIN_ROUND)
"""They remove updates: a listing that may be of before a step of one's own must not decide on them."""
log = logging.getLogger("starfish.daemon")


class BatchThread(threading.Thread):
    """Takes one batch from step to step, as far as the last listing from the Routing Server allows.

    `heard` is told of each listing that a step's answer brought, and when the step was sent.
    """

    def __init__(self, site: Site, stop: threading.Event, own: Run, heard: Callable[[Listing, float, "BatchThread"], None]) -> None:
        super().__init__(name=f"batch-{own.project}-{own.batch}", daemon=True)
        self.site, self.stop, self.first, self.heard = site, stop, own, heard
        self.batch: Batch | None = None
        self.idle = threading.Event()
        """Whether nothing is left to do until the next listing."""
        self._listing: Listing | None = None
        self._changed = threading.Condition()
        self._over = False
        self._finishing = False
        self._size: int | None = None
        self._look_again = 0
        self._last: Listing | None = None
        self._held = False
        """Whether a person at this site has to approve first: nobody but the journal tells when that is done."""
        self._patience = Patience(site.journal, (own.project, own.batch))

    def see(self, listing: Listing) -> None:
        """What the Routing Server said. A stop ends the worker at once, if it is doing anything."""
        with self._changed:
            busy = not self.idle.is_set() and not self._finishing
            self._listing = listing
            self.idle.clear()
            self._changed.notify()
        if self.batch is not None and busy and self._stopped(listing):
            self.batch.end_worker()

    @property
    def _ending(self) -> bool:
        return self._over or self.stop.is_set()

    def end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        if self.batch is not None:
            self.batch.end_worker()

    def run(self) -> None:
        again = False
        while not self._ending:
            listing = None if again else self._next()
            if listing is None and not again:
                break
            again = not self._patience.around(partial(self._advance, listing))
            if again:
                self._look_again += 1
                self.stop.wait(self._patience.pause or min(FIRST_PAUSE_S * 2**self._look_again, LONGEST_PAUSE_S))
            else:
                self._look_again = 0
        self.idle.set()
        if self.batch is not None:
            self.batch.end_worker()

    def _next(self) -> Listing | None:
        """The newest listing, once there is one."""
        with self._changed:
            while self._listing is None and not self._ending:
                self.idle.set()
                self._changed.wait(APPROVAL_S if self._held else None)
                if self._held and self.batch is not None and self.batch.approved:
                    self._held, self._listing = False, self._listing or self._last
                    self.idle.clear()
            listing, self._listing = self._listing, None
            return listing

    def _news(self, within: float) -> Listing | None:
        """A newer listing, if one comes in time."""
        with self._changed:
            if self._listing is None and not self._ending:
                self.idle.set()
                self._changed.wait(within)
                self.idle.clear()
            listing, self._listing = self._listing, None
            return listing

    def _advance(self, listing: Listing | None) -> bool:
        """Step after step until others are to be waited for; false where the run is to be looked at again. `listing` None: look first."""
        if self.batch is None:
            self.batch = Batch(self.site, self.first)
        batch = self.batch
        try:
            self._last = listing or self._look()
            view, fresh = self._view(self._last), listing is None
        except NotFound:
            self._forget()
            return True
        while not self._ending and (action := decide(view, batch.memory(view.own))) is not None:
            if action is Action.SEND and view.own.coordinates and (newer := self._news(LINGER_S)):
                view, fresh = self._view(newer), False
                continue
            if action in DESTRUCTIVE and not fresh:
                view, fresh = self._view(self._look()), True
                continue
            log.info("%s project=%d batch=%d task=%d round=%d", action.name.lower(), *batch.key, *view.own.position)
            self._finishing = action is Action.FINISH
            sent = time.monotonic()
            try:
                stepped = self._perform(action, batch, view)
            except (WorkerEnded, Conflict) as error:
                log.info("look_again project=%d batch=%d reason=%r", *batch.key, str(error))
                return False
            self._over = self._over or action in (Action.FINISH, Action.CLOSE)
            if stepped is not None:
                self.heard(stepped.listing, sent, self)
                view, fresh = self._view(stepped.listing, stepped.run), True
            elif action in LAST:
                break
        self._held = not batch.approved
        return True

    def _forget(self) -> None:
        """The Routing Server knows the run no more."""
        self.site.journal.mark(self.first.id, finished=True)
        self._over = True

    def _perform(self, action: Action, batch: Batch, view: View) -> Stepped | None:
        """The step, or the end of the run where it can't be done."""
        try:
            return perform(action, batch, view)
        except RunFailed as error:
            reason = error
        except WorkerRefused as error:
            reason = RunFailed.of(error.refusal)
        except Withheld as error:
            reason = RunFailed.withheld(error)
        self._over = self._over or view.own.status is S.SUCCESS
        return fail(batch, view.own, reason)

    def _look(self) -> Listing:
        asked = time.monotonic()
        listing = self.site.client.active_runs(self.site.config.uid)
        assert listing is not None
        self.heard(listing, asked, self)
        return listing

    def _view(self, listing: Listing, own: Run | None = None) -> View:
        """All runs of the batch for its coordinator; runs that have ended are asked for only where some are missing."""
        own = self._own(listing) or own or self.site.client.run(self.first.id)
        if not own.coordinates or own.status is S.SUCCESS:
            return View(own=own, batch=[own])
        listed = self._of_batch(listing)
        if len(listed) == self._size:
            return View(own=own, batch=listed)
        whole = self.site.client.batch_runs(own.project, own.batch, self.site.config.uid)
        self._size = len(whole)
        return View(own=next((run for run in whole if run.id == own.id), own), batch=whole)

    def _stopped(self, listing: Listing) -> bool:
        """Whether this run, or for a coordinator any of the batch, has failed or is to."""
        own, listed = self._own(listing), self._of_batch(listing)
        missing = self.first.coordinates and self._size is not None and len(listed) < self._size
        return own is None or missing or any(run.status in FAILING for run in listed)

    def _own(self, listing: Listing) -> Run | None:
        return next((run for run in listing.runs if run.id == self.first.id), None)

    def _of_batch(self, listing: Listing) -> list[Run]:
        return [run for run in listing.runs if (run.project, run.batch) == (self.first.project, self.first.batch)]
