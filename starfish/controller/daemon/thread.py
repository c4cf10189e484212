"""A batch's thread: it decides and performs, step after step, so that a long training holds up nothing else."""

import logging
import threading
import time
from functools import partial

from starfish.controller.daemon.batch import Batch, RunFailed, Site
from starfish.controller.daemon.decide import FAILING, Action, View, decide
from starfish.controller.daemon.patience import Patience
from starfish.controller.daemon.perform import fail, perform
from starfish.controller.worker.process import WorkerEnded, WorkerRefused
from starfish.protocol.messages import Run
from starfish.protocol.run_state import RunStatus as S
from starfish.sdk import Conflict

log = logging.getLogger("starfish.daemon")


class BatchThread(threading.Thread):
    """Takes one batch from step to step, as far as the last look at the Routing Server allows."""

    def __init__(self, site: Site, stop: threading.Event, own: Run) -> None:
        super().__init__(name=f"batch-{own.project}-{own.batch}", daemon=True)
        self.site, self.stop, self.first = site, stop, own
        self.batch: Batch | None = None
        self._view: View | None = None
        self._changed = threading.Condition()
        self._over = False
        self._asked = self._acted = 0.0
        self._patience = Patience(site.journal, (own.project, own.batch))

    def see(self, view: View, asked: float) -> None:
        """What the Routing Server said when it was asked. A stop ends the worker at once, whatever it is doing."""
        with self._changed:
            self._view, self._asked = view, asked
            self._changed.notify()
        if (view.own.status in FAILING or view.broken) and self.batch is not None:
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
        while (view := self._next()) is not None:
            self._patience.around(partial(self._advance, view))
            if self._patience.pause:
                self.stop.wait(self._patience.pause)
        if self.batch is not None:
            self.batch.end_worker()

    def _next(self) -> View | None:
        """The newest view, once there is one that is newer than this thread's own last move."""
        with self._changed:
            while (self._view is None or self._asked < self._acted) and not self._ending:
                self._changed.wait()
            view, self._view = self._view, None
            return None if self._ending else view

    def _advance(self, view: View) -> None:
        """Step after step until others are to be waited for."""
        if self.batch is None:
            self.batch = Batch(self.site, self.first)
        batch = self.batch
        while not self._ending and (action := decide(view, batch.memory(view.own))) is not None:
            log.info("%s project=%d batch=%d task=%d round=%d", action.name.lower(), *batch.key, *view.own.position)
            try:
                after = self._perform(action, batch, view)
            except (WorkerEnded, Conflict) as error:
                log.info("look_again project=%d batch=%d reason=%r", *batch.key, str(error))
                return
            if after is not view.own:
                self._acted = time.monotonic()
            self._over = self._over or action in (Action.FINISH, Action.CLOSE)
            if after is None:
                return
            view = view.moved(after, action)

    def _perform(self, action: Action, batch: Batch, view: View) -> Run | None:
        """The step, or the end of the run where it can't be done."""
        try:
            return perform(action, batch, view)
        except RunFailed as error:
            reason = error
        except WorkerRefused as error:
            reason = RunFailed.of(error.refusal)
        fail(batch, view.own, reason)
        self._over = self._over or view.own.status is S.SUCCESS
        return None
