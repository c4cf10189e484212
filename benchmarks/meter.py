"""Memory and CPU of the parts of a federation, a few times a second, from /proc: cheap enough not to be seen in the figures."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psutil

from benchmarks.processes import cpu_seconds, resident_mb

EVERY_S = 0.2
CHILDREN_EVERY_S = 1.0


@dataclass(kw_only=True)
class Part:
    """One part: a process and its children, by name (`router`, or a site's).

    `peak_mb` is the most memory that processes which lived at the same time have each had, added, `private_mb` the most of it that
    was not mapped files; `cpu` the CPU time of all of them at moments (wall clock).
    """

    pid: int
    peak_mb: float = 0.0
    private_mb: float = 0.0
    cpu: list[tuple[float, float]] = field(default_factory=list)
    _private: dict[int, float] = field(default_factory=dict)
    _used: dict[int, float] = field(default_factory=dict)
    _children: list[int] = field(default_factory=list)
    _looked: float = 0.0

    def look(self) -> None:
        """A worker that has ended is not added to the one that came after it."""
        living = [self.pid, *self._living_children()]
        for pid in living:
            self._private[pid] = max(self._private.get(pid, 0.0), resident_mb(pid, "RssAnon"))
            self._used[pid] = max(self._used.get(pid, 0.0), cpu_seconds(pid))
        self.peak_mb = max(self.peak_mb, sum(resident_mb(pid, "VmHWM") for pid in living))
        self.private_mb = max(self.private_mb, sum(self._private[pid] for pid in living))
        self.cpu.append((time.time(), sum(self._used.values())))

    def cpu_between(self, first: float, last: float) -> float:
        """Seconds of CPU between two moments."""
        return self._cpu_at(last) - self._cpu_at(first)

    def _living_children(self) -> list[int]:
        now = time.monotonic()
        if now - self._looked > CHILDREN_EVERY_S or any(not psutil.pid_exists(pid) for pid in self._children):
            self._looked = now
            try:
                self._children = [child.pid for child in psutil.Process(self.pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                self._children = []
        return self._children

    def _cpu_at(self, moment: float) -> float:
        """Between two looks, on the line through them."""
        earlier = [look for look in self.cpu if look[0] <= moment] or self.cpu[:1]
        later = [look for look in self.cpu if look[0] > moment] or self.cpu[-1:]
        (start, used), (end, more) = earlier[-1], later[0]
        return used if end <= start else used + (more - used) * (moment - start) / (end - start)


class Meter:
    """Looks until `stop`; afterwards `parts` are the figures."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self.parts = {name: Part(pid=pid) for name, pid in pids.items()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="meter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(EVERY_S):
            for part in self.parts.values():
                part.look()
